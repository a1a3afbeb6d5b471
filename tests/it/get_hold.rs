//! GetHold: as it is, or as it ended, from whichever store knows.

use holdfast::proto::HoldState;
use redis::AsyncCommands;
use tonic::Code;

use crate::support::{EVENT, Stage, code_and_reason, eventually, floor, hold_request};

#[tokio::test(flavor = "multi_thread")]
async fn also_after_redis_has_forgotten_it() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut holds = Vec::new();
    for (seat, state) in
        [("A-1", HoldState::Confirmed), ("A-2", HoldState::Released), ("A-3", HoldState::Expired)]
    {
        let mut request = hold_request("ann", &[seat]);
        request.areas = floor(2);
        let hold = server.hold(request).await.unwrap();
        match state {
            HoldState::Confirmed => drop(server.confirm(&hold, "pay-1").await.unwrap()),
            HoldState::Released => drop(server.release(&hold, &[], vec![]).await.unwrap()),
            _ => server.expire(&hold).await,
        }
        let ended = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
        assert_eq!(ended.state(), state);
        holds.push(ended);
    }
    let postgres = stage.stores.postgres().await;
    eventually("all is journaled", async || {
        let sql = "SELECT (SELECT count(*) FROM holds) + (SELECT count(*) FROM hold_outcomes)";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 6).then_some(())
    })
    .await;
    let mut redis = stage.stores.redis().await;
    let _: () = redis.del("hf:{event}:holds").await.unwrap();
    for before in holds {
        let after = server.get_hold(EVENT, &before.hold_id).await.unwrap();
        assert_eq!(after, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_holds_are_not_found() {
    let stage = Stage::new().await;
    let unknown = uuid::Uuid::now_v7().to_string();
    let told = code_and_reason(stage.server.get_hold(EVENT, &unknown).await);
    assert_eq!(told, (Code::NotFound, "HOLD_NOT_FOUND".into()));
    let told = code_and_reason(stage.server.get_hold("elsewhere", &unknown).await);
    assert_eq!(told, (Code::NotFound, "EVENT_NOT_FOUND".into()));
}

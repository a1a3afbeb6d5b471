//! BlockSeats and UnblockSeats: out of sale, and back.

use holdfast::proto::{BlockSeatsRequest, SeatState, SeatStatus, UnblockSeatsRequest};
use redis::AsyncCommands;
use tonic::{Code, Status};

use crate::support::{EVENT, Stage, code_and_reason, hold_request, refusal};

async fn block(stage: &Stage, seats: &[&str]) -> Result<Vec<SeatState>, Status> {
    let seat_ids = seats.iter().map(ToString::to_string).collect();
    let request = BlockSeatsRequest { event_id: EVENT.into(), seat_ids };
    Ok(stage.server.catalog.clone().block_seats(request).await?.into_inner().seats)
}

async fn unblock(stage: &Stage, seats: &[&str]) -> Result<Vec<SeatState>, Status> {
    let seat_ids = seats.iter().map(ToString::to_string).collect();
    let request = UnblockSeatsRequest { event_id: EVENT.into(), seat_ids };
    Ok(stage.server.catalog.clone().unblock_seats(request).await?.into_inner().seats)
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_sale_and_back() {
    let stage = Stage::new().await;
    let mut watcher = stage.server.watch(EVENT, "").await;
    watcher.snapshot().await;
    for _ in 0..2 {
        let seats = block(&stage, &["A-1", "A-2"]).await.unwrap();
        assert!(seats.iter().all(|seat| seat.status() == SeatStatus::Blocked));
    }
    let told = refusal(stage.server.hold(hold_request("ann", &["A-1"])).await);
    assert_eq!(told.subjects, ["SEAT_BLOCKED A-1"]);
    for _ in 0..2 {
        let seats = unblock(&stage, &["A-1"]).await.unwrap();
        assert_eq!(seats[0].status(), SeatStatus::Available);
    }
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    // A seat that is not blocked is left as it is.
    assert_eq!(unblock(&stage, &["A-1"]).await.unwrap()[0].status(), SeatStatus::Held);
    assert_eq!(stage.server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold);

    watcher.until("all changes", |w| w.changes.len() == 4).await;
    assert_eq!(watcher.house, stage.server.house().await);
    assert_eq!(watcher.house.count(SeatStatus::Blocked), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn not_what_somebody_has() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let sold = stage.server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    stage.server.confirm(&sold, "pay-1").await.unwrap();
    let told = refusal(block(&stage, &["A-1", "A-2", "A-3"]).await);
    assert_eq!((told.code, &*told.reason), (Code::FailedPrecondition, "SEAT_UNAVAILABLE"));
    assert_eq!(told.subjects, ["SEAT_HELD A-1", "SEAT_SOLD A-2"]);
    assert_eq!(stage.server.house().await.count(SeatStatus::Blocked), 0, "all or nothing");
    let told = code_and_reason(block(&stage, &["X-1"]).await);
    assert_eq!(told, (Code::NotFound, "SEAT_NOT_FOUND".into()));

    // What has run out is nobody's.
    stage.server.expire(&hold).await;
    block(&stage, &["A-1"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_seats_survive_redis() {
    let stage = Stage::new().await;
    block(&stage, &["A-1", "A-2"]).await.unwrap();
    unblock(&stage, &["A-2"]).await.unwrap();
    let _: () = redis::cmd("FLUSHDB").query_async(&mut stage.stores.redis().await).await.unwrap();
    let told = refusal(stage.server.hold(hold_request("ann", &["A-1", "A-2"])).await);
    assert_eq!(told.subjects, ["SEAT_BLOCKED A-1"]);
    let keys: Vec<String> = stage.stores.redis().await.keys("hf:*").await.unwrap();
    assert!(keys.iter().all(|key| key.starts_with("hf:{event}:")), "{keys:?}");
}

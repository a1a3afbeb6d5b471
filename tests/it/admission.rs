//! Hold, where a waiting room stands before it.

use std::time::SystemTime;

use holdfast::{
    config::{Doors, Queue},
    limits::ADMISSION_LEEWAY,
    proto::{Hold, HoldRequest, OrderState, WaitingRoom},
    queue::Key,
};
use tonic::{Code, Status};

use crate::support::{
    EVENT, Server, Stage, Stores, any_doors, code_and_reason, eventually, hold_request,
    line::{Line, change, forged, open, stage},
    small_event,
};

fn with_token(holder: &str, seat: &str, token: &str) -> HoldRequest {
    HoldRequest { admission_token: token.into(), ..hold_request(holder, &[seat]) }
}

fn is_shut_out(told: Result<Hold, Status>) {
    let told = code_and_reason(told);
    assert_eq!(told, (Code::FailedPrecondition, "ADMISSION_REQUIRED".into()));
}

/// A stage whose sale is on, behind a waiting room that lets in quickly.
async fn open_stage() -> Stage {
    let stage = stage(WaitingRoom::Rate, 60_000).await;
    open(&stage.server).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_was_let_in_holds() {
    let stage = open_stage().await;
    let other = stage.another_server().await;
    let mut house = small_event("other");
    house.event.as_mut().unwrap().set_waiting_room(WaitingRoom::Rate);
    stage.server.create_event(house).await.unwrap();
    let token = Line::of(&stage.server).await.let_in("ann").await.admission_token;

    for server in [&stage.server, &other] {
        is_shut_out(server.hold(with_token("ann", "A-1", "")).await);
        is_shut_out(server.hold(with_token("bob", "A-1", &token)).await);
        let elsewhere = with_token("ann", "A-1", &token);
        is_shut_out(server.hold(HoldRequest { event_id: "other".into(), ..elsewhere }).await);
        is_shut_out(server.hold(with_token("ann", "A-1", &forged(&token))).await);
        let (place, _) = Line::of(server).await.join("ann").await.unwrap();
        is_shut_out(server.hold(with_token("ann", "A-1", &place)).await);
    }
    // As often as he likes, at any server; and who asks again has his answer without.
    stage.server.hold(with_token("ann", "A-1", &token)).await.unwrap();
    let request = with_token("ann", "A-2", &token);
    let hold = other.hold(request.clone()).await.unwrap();
    let again = HoldRequest { admission_token: String::new(), ..request };
    assert_eq!(stage.server.hold(again.clone()).await.unwrap(), hold);
    let reused = HoldRequest { seat_ids: vec!["A-3".into()], ..again };
    let told = code_and_reason(other.hold(reused).await);
    assert_eq!(told, (Code::AlreadyExists, "HOLD_ID_REUSED".into()));
}

async fn server_with_key(stores: &Stores, key: &str) -> Server {
    let queue = Queue { queue_key: Some(key.into()), ..Queue::default() };
    let doors = Doors { queue, ..any_doors() };
    Server::start_on(&doors, &stores.settings()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_runs_out() {
    const KEY: &str = "thirty-two characters, or a few more";
    let stage = open_stage().await;
    let server = server_with_key(&stage.stores, KEY).await;
    let key = Key::new(KEY.as_bytes().to_vec()).unwrap();
    let until = |ms: u64| key.admission_token(&EVENT.parse().unwrap(), &"ann".parse().unwrap(), ms);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let past = u64::try_from(now.checked_sub(ADMISSION_LEEWAY).unwrap().as_millis()).unwrap();
    is_shut_out(server.hold(with_token("ann", "A-1", &until(past))).await);
    let later = u64::try_from((now + ADMISSION_LEEWAY).as_millis()).unwrap() + 60_000;
    server.hold(with_token("ann", "A-1", &until(later))).await.unwrap();
    // By its own key alone.
    is_shut_out(stage.server.hold(with_token("ann", "A-2", &until(later))).await);
    let secrets = "SELECT count(*) FROM secrets WHERE name = 'queue' AND length(secret) = 32";
    let row = stage.stores.postgres().await.query_one(secrets, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
}

/// A sale that goes on, and a payment that comes late, wait in no queue.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_entitled_needs_none() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let late = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.create_order(&late).await.unwrap().order.unwrap();
    let held = server.hold(hold_request("bob", &["B-1"])).await.unwrap();
    change(server, "waiting_room", |event| event.set_waiting_room(WaitingRoom::Inventory)).await;
    is_shut_out(server.hold(hold_request("cat", &["C-1"])).await);
    server.extend_hold(&held, 60_000).await.unwrap();
    server.confirm(&held, "pay-1").await.unwrap();
    server.expire(&late).await;
    eventually("its seat is free", async || {
        let free = holdfast::proto::SeatStatus::Available;
        (server.house().await.seats["A-1"] == free).then_some(())
    })
    .await;
    let paid = server.confirm(&late, "pay-2").await.unwrap();
    assert_eq!((paid.state(), paid.order_id), (OrderState::Paid, order.order_id));
}

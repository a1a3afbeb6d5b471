//! ExtendHold: the expiry moves, within the event's bounds.

use holdfast::proto::HoldState;
use tonic::Code;

use crate::support::{EVENT, Stage, code_and_reason, hold_request, ms, refusal, small_event};

#[tokio::test(flavor = "multi_thread")]
async fn moves_the_expiry_both_ways() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let seconds = |hold: &holdfast::proto::Hold| hold.expire_time.unwrap().seconds;

    let later = stage.server.extend_hold(&hold, 3_600_000).await.unwrap();
    assert!(seconds(&later) >= seconds(&hold) + 2_600);
    assert_eq!(later.create_time, hold.create_time);
    let earlier = stage.server.extend_hold(&hold, 5_000).await.unwrap();
    assert!(seconds(&earlier) < seconds(&hold) - 800);
    assert_eq!(stage.server.get_hold(EVENT, &hold.hold_id).await.unwrap(), earlier);
}

#[tokio::test(flavor = "multi_thread")]
async fn not_beyond_the_longest_total_time() {
    let stage = Stage::empty().await;
    let mut event = small_event(EVENT);
    let own = event.event.as_mut().unwrap();
    own.hold_ttl = ms(10_000);
    own.max_hold_time = ms(20_000);
    stage.server.create_event(event).await.unwrap();
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    stage.server.extend_hold(&hold, 15_000).await.unwrap();
    let told = refusal(stage.server.extend_hold(&hold, 20_001).await);
    assert_eq!((told.code, told.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert_eq!(told.subjects, ["ttl"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_active_hold_of_ones_own() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let not_found = (Code::NotFound, "HOLD_NOT_FOUND".to_owned());
    let mut others = hold.clone();
    others.holder_id = "bob".into();
    assert_eq!(code_and_reason(server.extend_hold(&others, 1_000).await), not_found);
    let mut unknown = hold.clone();
    unknown.hold_id = uuid::Uuid::now_v7().to_string();
    assert_eq!(code_and_reason(server.extend_hold(&unknown, 1_000).await), not_found);

    let failed = |reason: &str| (Code::FailedPrecondition, reason.to_owned());
    server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(code_and_reason(server.extend_hold(&hold, 1_000).await), failed("HOLD_CONFIRMED"));
    let hold = server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    server.release(&hold, &[], vec![]).await.unwrap();
    assert_eq!(code_and_reason(server.extend_hold(&hold, 1_000).await), failed("HOLD_RELEASED"));
    let hold = server.hold(hold_request("ann", &["A-3"])).await.unwrap();
    server.expire(&hold).await;
    assert_eq!(code_and_reason(server.extend_hold(&hold, 1_000).await), failed("HOLD_EXPIRED"));
    let hold = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!(hold.state(), HoldState::Expired);
}

//! Holders who let hold after hold run out.

use holdfast::proto::{Event, EventState, SeatStatus};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{EVENT, Server, Stage, code_and_reason, eventually, hold_request, ms};

async fn set(server: &Server, max_expired_holds: i32, cool_down_ms: u64) {
    let event = Event {
        event_id: EVENT.into(),
        max_expired_holds,
        cool_down: ms(cool_down_ms),
        state: EventState::OnSale.into(),
        ..Event::default()
    };
    let mask = ["max_expired_holds", "cool_down"];
    server.update_event(event, &mask).await.unwrap();
}

/// Makes a hold and lets it run out.
async fn lapse(server: &Server, holder_id: &str, seat_id: &str) {
    let mut request = hold_request(holder_id, &[seat_id]);
    request.ttl = ms(1);
    server.hold(request).await.unwrap();
    eventually("the hold has been ended", async || {
        let house = server.get_seat_map(EVENT).await.unwrap();
        let seat = house.seats.into_iter().find(|seat| seat.seat_id == seat_id)?;
        (seat.status() == SeatStatus::Available).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_too_many_run_out_waits() {
    let stage = Stage::new().await;
    let (here, there) = (&stage.server, stage.another_server().await);
    set(here, 2, 3_600_000).await;
    lapse(here, "ann", "A-1").await;
    lapse(&there, "ann", "A-2").await;
    for server in [here, &there] {
        let refused = server.hold(hold_request("ann", &["A-3"])).await;
        let details = refused.as_ref().unwrap_err().get_error_details();
        let told = code_and_reason(refused);
        assert_eq!(told, (Code::ResourceExhausted, "HOLDER_COOLING_DOWN".into()));
        let wait = details.retry_info().unwrap().retry_delay.unwrap().as_secs();
        assert!((3_590..=3_600).contains(&wait), "{wait}");
    }
    // Nobody else does, and no other rule is bent.
    here.hold(hold_request("ben", &["A-3"])).await.unwrap();
    let told = code_and_reason(here.hold(hold_request("ann", &["nowhere"])).await);
    assert_eq!(told.1, "SEAT_NOT_FOUND");
    // The operator may think again.
    set(&there, 0, 3_600_000).await;
    here.hold(hold_request("ann", &["A-4"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes() {
    let stage = Stage::new().await;
    let server = &stage.server;
    set(server, 1, 1_000).await;
    lapse(server, "ann", "A-1").await;
    let told = code_and_reason(server.hold(hold_request("ann", &["A-2"])).await);
    assert_eq!(told.1, "HOLDER_COOLING_DOWN");
    eventually("the cool-down has passed", async || {
        server.hold(hold_request("ann", &["A-2"])).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_back_or_buys_is_no_hoarder() {
    let stage = Stage::new().await;
    let server = &stage.server;
    set(server, 2, 3_600_000).await;
    lapse(server, "ann", "A-1").await;
    let hold = server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    server.release(&hold, &[], vec![]).await.unwrap();
    let hold = server.hold(hold_request("ann", &["A-3"])).await.unwrap();
    server.confirm(&hold, "paid-1").await.unwrap();
    // One counts again from here.
    lapse(server, "ann", "A-4").await;
    server.hold(hold_request("ann", &["A-5"])).await.unwrap();
}

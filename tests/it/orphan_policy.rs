//! An event's orphan policy: choices that leave a single seat alone.

use holdfast::proto::{Event, EventState, HoldRequest, HoldResponse, OrphanPolicy};
use tonic::{Code, Status};

use crate::support::{EVENT, Server, Stage, code_and_reason, hold_request, refusal};

async fn set(server: &Server, policy: OrphanPolicy) {
    let event = Event {
        event_id: EVENT.into(),
        orphan_policy: policy.into(),
        state: EventState::OnSale.into(),
        ..Event::default()
    };
    assert_eq!(server.update_event(event, &[]).await.unwrap().orphan_policy(), policy);
}

async fn hold(server: &Server, request: HoldRequest) -> Result<HoldResponse, Status> {
    Ok(server.reservations.clone().hold(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_left_alone_is_refused_told_or_nothing() {
    let stage = Stage::new().await;
    let (here, there) = (&stage.server, stage.another_server().await);
    // Off, where nothing is said.
    let made = hold(here, hold_request("ann", &["A-2"])).await.unwrap();
    assert_eq!(made.stranded_seat_ids, [""; 0]);

    // Refused as soon as that is answered, also by a server that did not hear of it.
    set(here, OrphanPolicy::Refuse).await;
    let told = refusal(hold(&there, hold_request("ben", &["B-2", "B-3"])).await);
    assert_eq!((told.code, &*told.reason), (Code::FailedPrecondition, "ORPHAN_SEAT"));
    assert_eq!(told.subjects, ["SEAT_ALONE B-1"]);
    let told = refusal(hold(&there, hold_request("ben", &["C-2", "C-4", "C-9"])).await);
    assert_eq!(told.subjects, ["SEAT_ALONE C-1", "SEAT_ALONE C-3", "SEAT_ALONE C-10"]);
    // Nothing of it was taken, and what leaves none alone is made.
    for seats in [&["B-1", "B-2"][..], &["C-3"], &["C-1", "C-2"], &["D-10"], &["D-5"]] {
        let made = hold(&there, hold_request("ben", seats)).await.unwrap();
        assert_eq!(made.stranded_seat_ids, [""; 0], "{seats:?}");
    }
    // Beside what others have: A-1 was alone before, and A-4 would be now.
    let told = refusal(hold(here, hold_request("cyd", &["A-4"])).await);
    assert_eq!(told.subjects, ["SEAT_ALONE A-3"]);
    hold(here, hold_request("cyd", &["A-1"])).await.unwrap();

    // Told.
    set(&there, OrphanPolicy::Warn).await;
    let request = hold_request("cyd", &["A-4"]);
    let made = hold(here, request.clone()).await.unwrap();
    assert_eq!(made.stranded_seat_ids, ["A-3"]);
    // The same again is the same hold; what it leaves alone is told once.
    let again = hold(&there, request).await.unwrap();
    assert_eq!(again.hold.unwrap().hold_id, made.hold.unwrap().hold_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gave_up_is_no_neighbour() {
    let stage = Stage::new().await;
    let server = &stage.server;
    set(server, OrphanPolicy::Refuse).await;
    // C-5 would be alone between its holds.
    let first = server.hold(hold_request("ann", &["C-1", "C-2", "C-3", "C-4"])).await.unwrap();
    let told = code_and_reason(server.hold(hold_request("ben", &["C-6"])).await);
    assert_eq!(told.1, "ORPHAN_SEAT");
    server.release(&first, &[], vec![]).await.unwrap();
    server.hold(hold_request("ben", &["C-6"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_house_that_is_almost_sold_out_nobody_minds() {
    let stage = Stage::new().await;
    let server = &stage.server;
    // All of the hundred seats but the last six, D-5 to D-10 of the rows left.
    for row in ['A', 'B', 'C', 'E', 'F', 'G', 'H', 'I', 'J'] {
        let seats: Vec<_> = (1..=10).map(|n| format!("{row}-{n}")).collect();
        let seats: Vec<_> = seats.iter().map(String::as_str).collect();
        server.hold(hold_request("ann", &seats)).await.unwrap();
    }
    server.hold(hold_request("ann", &["D-1", "D-2", "D-3", "D-4"])).await.unwrap();
    set(server, OrphanPolicy::Refuse).await;
    // Six of a hundred are free: judged.
    let told = refusal(hold(server, hold_request("ben", &["D-6"])).await);
    assert_eq!(told.subjects, ["SEAT_ALONE D-5"]);
    hold(server, hold_request("ben", &["D-5", "D-6"])).await.unwrap();
    // Four are: not judged.
    hold(server, hold_request("ben", &["D-8"])).await.unwrap();
}

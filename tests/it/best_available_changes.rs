//! Hold with `best_available` where the event changes meanwhile, or keeps seats from some.

use holdfast::proto::{
    AddSeatsRequest, ChannelOverride, Event, EventState, HoldRequest, Row, SeatStatus, WaitingRoom,
};
use redis::AsyncCommands;
use tonic::Code;

use crate::{
    audit::audit,
    best_available::{asking, best, event_of, none_such},
    channels::{actions, allocate, free},
    support::{EVENT, House, Server, Stage, code_and_reason, eventually, floor, refusal, seat},
};

async fn grow(server: &Server, section_id: &str, row_id: &str, seats: &[&str]) {
    let request = AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: section_id.into(),
        rows: vec![Row { row_id: row_id.into(), seats: seats.iter().map(|id| seat(id)).collect() }],
        section_name: String::new(),
    };
    server.catalog.clone().add_seats(request).await.unwrap();
}

async fn change(server: &Server, event: Event) {
    server.update_event(Event { event_id: EVENT.into(), ..event }, &[]).await.unwrap();
}

/// An event of one row, all of it held, as another server knows too.
async fn full() -> (Stage, Server) {
    let stage = Stage::empty().await;
    stage.server.create_event(event_of(1, 2)).await.unwrap();
    stage.server.hold(best("ann", 2)).await.unwrap();
    let other = stage.another_server().await;
    assert_eq!(code_and_reason(other.hold(best("bob", 2)).await), none_such());
    (stage, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_in_a_row_that_grew_can_be_sold() {
    let stage = Stage::new().await;
    let server = &stage.server;
    grow(server, "stalls", "A", &["A-11", "A-12"]).await;
    let parts = asking(best("ann", 15), |asked| asked.allow_split = true);
    let hold = server.hold(parts).await.unwrap();
    assert!(["A-12", "B-5"].iter().all(|seat| hold.seat_ids.contains(&(*seat).to_owned())));
    let order = server.create_order(&hold).await.unwrap().order.unwrap();
    let paid = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!((&paid.order_id, paid.tickets.len()), (&order.order_id, 15));
    assert_eq!(server.house().await.count(SeatStatus::Sold), 15);
    let (code, told) = audit(&stage.stores, &[]).await;
    assert_eq!(code, 0, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_freed_for_all_is_found_at_every_server() {
    let stage = Stage::empty().await;
    stage.server.create_event(event_of(4, 2)).await.unwrap();
    let other = stage.another_server().await;
    let seats: Vec<_> = (1..=4).flat_map(|row| [1, 2].map(|n| format!("{row}-{n}"))).collect();
    let seats: Vec<_> = seats.iter().map(String::as_str).collect();
    for row in 1..=4 {
        allocate(&stage.server, "club", &seats).await.unwrap();
        assert_eq!(code_and_reason(other.hold(best("ann", 2)).await), none_such());
        free(&stage.server, &seats, &[]).await.unwrap();
        let hold = other.hold(best("ann", 2)).await.unwrap();
        assert_eq!(hold.seat_ids, [format!("{row}-1"), format!("{row}-2")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_is_found_at_every_server() {
    let (stage, other) = full().await;
    grow(&stage.server, "stalls", "2", &["2-1", "2-2"]).await;
    assert_eq!(other.hold(best("bob", 2)).await.unwrap().seat_ids, ["2-1", "2-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_event_forbids_is_told_before_what_is_free() {
    let (stage, other) = full().await;
    change(&stage.server, Event { max_units_per_hold: 3, ..Event::default() }).await;
    for server in [&stage.server, &other] {
        let told = refusal(server.hold(best("bob", 4)).await);
        assert_eq!(told.subjects, ["max_units_per_hold"]);
        let with_floor = HoldRequest { areas: floor(2), ..best("bob", 2) };
        assert_eq!(refusal(server.hold(with_floor).await).subjects, ["max_units_per_hold"]);
        assert_eq!(code_and_reason(server.hold(best("bob", 3)).await), none_such());
    }
    change(&stage.server, Event { state: EventState::Paused.into(), ..Event::default() }).await;
    for server in [&other, &stage.server] {
        let told = code_and_reason(server.hold(best("bob", 4)).await);
        assert_eq!(told, (Code::FailedPrecondition, "EVENT_NOT_ON_SALE".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_read_anew_is_judged_anew() {
    let (stage, other) = full().await;
    grow(&stage.server, "balcony", "b", &["b-1", "b-2"]).await;
    let room = WaitingRoom::Rate.into();
    change(&stage.server, Event { waiting_room: room, ..Event::default() }).await;
    let in_balcony = asking(best("bob", 2), |asked| asked.section_id = "balcony".into());
    let told = refusal(other.hold(in_balcony).await);
    assert_eq!(told.reason, "ADMISSION_REQUIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_for_the_waiting_list_is_passed_over() {
    let stage = Stage::empty().await;
    let server = &stage.server;
    server.create_event(event_of(2, 4)).await.unwrap();
    let held = server.hold(best("ann", 4)).await.unwrap();
    // A list that has the first pick, and looks at nothing from now on.
    let mut redis = stage.stores.redis().await;
    let _: () = redis.hset("hf:{event}:meta", "listed_until", 1_u64 << 50).await.unwrap();
    server.release(&held, &[], vec![]).await.unwrap();
    eventually("the map has it as free", async || {
        let map = House::new(&server.get_seat_map(EVENT).await.unwrap());
        (map.count(SeatStatus::Available) == 8).then_some(())
    })
    .await;
    assert_eq!(held.seat_ids[0], "1-1");
    assert_eq!(server.hold(best("bob", 4)).await.unwrap().seat_ids[0], "2-1");
    assert_eq!(code_and_reason(server.hold(best("cat", 4)).await), none_such());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_is_asked_for_again_takes_nothing_more() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let seats: Vec<_> = (1..=10).map(|n| format!("A-{n}")).collect();
    let seats: Vec<_> = seats.iter().map(String::as_str).collect();
    allocate(server, "club", &seats).await.unwrap();
    let overridden = ChannelOverride { actor: "desk".into(), reason: "guests".into() };
    let request = HoldRequest { channel_override: Some(overridden), ..best("ann", 2) };
    let hold = server.hold(request.clone()).await.unwrap();
    let noted = actions(server, 0, "").await.actions;
    assert_eq!((noted.len(), &noted[0].seat_ids), (2, &hold.seat_ids));
    assert_eq!(server.hold(request).await.unwrap(), hold);
    assert_eq!(actions(server, 0, "").await.actions, noted);
}

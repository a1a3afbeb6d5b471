//! Hold: all of it or none, once for ever by its id.

use futures_util::future::join_all;
use holdfast::{
    config,
    domain::EventId,
    holds::Holds,
    proto::{EventState, HoldRequest, HoldState, SeatStatus},
};
use tonic::Code;

use crate::support::{
    EVENT, Server, Stage, any_doors, code_and_reason, floor, hold_request, ms, refusal, small_event,
};

#[tokio::test(flavor = "multi_thread")]
async fn takes_seats_and_units_together() {
    let stage = Stage::new().await;
    let mut request = hold_request("ann", &["B-2", "A-1"]);
    request.areas = floor(3);
    request.ttl = ms(60_000);
    let hold = stage.server.hold(request.clone()).await.unwrap();

    assert_eq!(hold.hold_id, request.hold_id);
    assert_eq!(hold.holder_id, "ann");
    assert_eq!(hold.seat_ids, ["A-1", "B-2"]);
    assert_eq!(hold.areas, floor(3));
    assert_eq!(hold.state(), HoldState::Active);
    let span = |time: &Option<prost_types::Timestamp>| {
        let time = time.unwrap();
        time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000
    };
    assert_eq!(span(&hold.expire_time) - span(&hold.create_time), 60_000);

    let house = stage.server.house().await;
    assert_eq!(house.seats["A-1"], SeatStatus::Held);
    assert_eq!(house.seats["B-2"], SeatStatus::Held);
    assert_eq!(house.count(SeatStatus::Held), 2);
    assert_eq!(house.areas["floor"], 97);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_has_the_same_answer() {
    let stage = Stage::new().await;
    let request = hold_request("ann", &["A-1", "A-2"]);
    let hold = stage.server.hold(request.clone()).await.unwrap();
    assert_eq!(stage.server.hold(request.clone()).await.unwrap(), hold);

    // The order in which seats are named is no content; at another server, too.
    let mut turned = request.clone();
    turned.seat_ids.reverse();
    assert_eq!(stage.another_server().await.hold(turned).await.unwrap(), hold);

    // Even where a new hold would now be refused.
    let event = small_event(EVENT).event.unwrap();
    let paused = holdfast::proto::Event { state: EventState::Paused.into(), ..event };
    stage.server.update_event(paused, &["state"]).await.unwrap();
    assert_eq!(stage.server.hold(request).await.unwrap(), hold);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_used_once() {
    let stage = Stage::new().await;
    let request = hold_request("ann", &["A-1"]);
    let hold = stage.server.hold(request.clone()).await.unwrap();
    let reused = (Code::AlreadyExists, "HOLD_ID_REUSED".to_owned());
    let changes: [fn(&mut HoldRequest); 5] = [
        |r| r.seat_ids = vec!["A-2".into()],
        |r| r.seat_ids.push("A-2".into()),
        |r| r.areas = floor(1),
        |r| r.ttl = ms(5_000),
        |r| r.holder_id = "bob".into(),
    ];
    for change in changes {
        let mut other = request.clone();
        change(&mut other);
        assert_eq!(code_and_reason(stage.server.hold(other).await), reused);
    }
    // Also once it has ended.
    stage.server.release(&hold, &[], vec![]).await.unwrap();
    let released = (Code::FailedPrecondition, "HOLD_RELEASED".to_owned());
    assert_eq!(code_and_reason(stage.server.hold(request).await), released);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_or_nothing_and_every_seat_is_named() {
    let stage = Stage::new().await;
    let held = stage.server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    let sold = stage.server.hold(hold_request("ann", &["A-3"])).await.unwrap();
    stage.server.confirm(&sold, "pay-1").await.unwrap();
    let block =
        holdfast::proto::BlockSeatsRequest { event_id: EVENT.into(), seat_ids: vec!["A-4".into()] };
    stage.server.catalog.clone().block_seats(block).await.unwrap();

    let mut request = hold_request("bob", &["A-1", "A-2", "A-3", "A-4", "A-5"]);
    request.areas = floor(1);
    let told = refusal(stage.server.hold(request).await);
    assert_eq!((told.code, told.reason.as_str()), (Code::FailedPrecondition, "SEAT_UNAVAILABLE"));
    assert_eq!(
        told.subjects,
        ["SEAT_HELD A-1", "SEAT_HELD A-2", "SEAT_SOLD A-3", "SEAT_BLOCKED A-4"]
    );
    let house = stage.server.house().await;
    assert_eq!(house.seats["A-5"], SeatStatus::Available);
    assert_eq!(house.areas["floor"], 100);
    assert_eq!(held.state(), HoldState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_gives_what_it_has() {
    let stage = Stage::new().await;
    let mut request = hold_request("ann", &[]);
    request.areas = floor(50);
    stage.server.hold(request).await.unwrap();
    let mut request = hold_request("ann", &[]);
    request.areas = floor(49);
    stage.server.hold(request).await.unwrap();

    let mut request = hold_request("bob", &["A-1"]);
    request.areas = floor(2);
    let told = refusal(stage.server.hold(request).await);
    assert_eq!(
        (told.code, told.reason.as_str()),
        (Code::FailedPrecondition, "INSUFFICIENT_CAPACITY")
    );
    assert_eq!(told.subjects, ["AREA_CAPACITY floor"]);
    let house = stage.server.house().await;
    assert_eq!(house.seats["A-1"], SeatStatus::Available);
    assert_eq!(house.areas["floor"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_told_whole() {
    let stage = Stage::new().await;
    let request = hold_request("ann", &["A-1", "X-1", "X-2"]);
    let status = stage.server.hold(request).await.unwrap_err();
    let details = tonic_types::StatusExt::get_error_details(&status);
    let info = details.error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (Code::NotFound, "SEAT_NOT_FOUND"));
    assert_eq!(info.metadata["seat_ids"], "X-1,X-2");

    let mut request = hold_request("ann", &["A-1"]);
    request.areas = vec![holdfast::proto::AreaQuantity { area_id: "pit".into(), quantity: 1 }];
    let told = code_and_reason(stage.server.hold(request).await);
    assert_eq!(told, (Code::NotFound, "AREA_NOT_FOUND".into()));

    let mut request = hold_request("ann", &["A-1"]);
    request.event_id = "elsewhere".into();
    let told = code_and_reason(stage.server.hold(request).await);
    assert_eq!(told, (Code::NotFound, "EVENT_NOT_FOUND".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_on_sale() {
    let stage = Stage::new().await;
    for state in [EventState::Draft, EventState::Paused, EventState::Closed] {
        let event = small_event(EVENT).event.unwrap();
        let changed = holdfast::proto::Event { state: state.into(), ..event };
        stage.server.update_event(changed, &["state"]).await.unwrap();
        let told = code_and_reason(stage.server.hold(hold_request("ann", &["A-1"])).await);
        assert_eq!(told, (Code::FailedPrecondition, "EVENT_NOT_ON_SALE".into()), "{state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_event() {
    let stage = Stage::empty().await;
    let mut event = small_event(EVENT);
    let own = event.event.as_mut().unwrap();
    own.max_units_per_hold = 4;
    own.max_units_per_holder = 6;
    own.hold_ttl = ms(60_000);
    own.max_hold_time = ms(120_000);
    stage.server.create_event(event).await.unwrap();

    let mut request = hold_request("ann", &["A-1", "A-2", "A-3"]);
    request.areas = floor(2);
    let told = refusal(stage.server.hold(request).await);
    assert_eq!(
        (told.code, told.reason.as_str()),
        (Code::ResourceExhausted, "HOLDER_LIMIT_EXCEEDED")
    );
    assert_eq!(told.subjects, ["max_units_per_hold"]);

    let mut request = hold_request("ann", &["A-1"]);
    request.ttl = ms(120_001);
    let told = refusal(stage.server.hold(request).await);
    assert_eq!((told.code, told.subjects), (Code::InvalidArgument, vec!["ttl".into()]));

    // Held and sold together, by this holder alone.
    let first = stage.server.hold(hold_request("ann", &["A-1", "A-2", "A-3"])).await.unwrap();
    stage.server.confirm(&first, "pay-1").await.unwrap();
    let second = stage.server.hold(hold_request("ann", &["B-1", "B-2"])).await.unwrap();
    let told = refusal(stage.server.hold(hold_request("ann", &["C-1", "C-2"])).await);
    assert_eq!(told.reason, "HOLDER_LIMIT_EXCEEDED");
    assert_eq!(told.subjects, ["max_units_per_holder"]);
    stage.server.hold(hold_request("bob", &["C-1", "C-2"])).await.unwrap();

    // What has run out counts no more.
    stage.server.expire(&second).await;
    stage.server.hold(hold_request("ann", &["D-1", "D-2", "D-3"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_makes_an_id_where_none_is_given() {
    let stage = Stage::new().await;
    let mut request = hold_request("ann", &["A-1"]);
    request.hold_id.clear();
    let hold = stage.server.hold(request).await.unwrap();
    assert_eq!(uuid::Uuid::parse_str(&hold.hold_id).unwrap().get_version_num(), 7);
    assert_eq!(stage.server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold);
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_of_a_chart_that_grew_at_another_server() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    other.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let add = holdfast::proto::AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: "stalls".into(),
        rows: vec![holdfast::proto::Row {
            row_id: "K".into(),
            seats: vec![crate::support::seat("K-1")],
        }],
        section_name: String::new(),
    };
    stage.server.catalog.clone().add_seats(add).await.unwrap();
    let hold = other.hold(hold_request("ann", &["K-1", "A-2"])).await.unwrap();
    assert_eq!(hold.seat_ids, ["A-2", "K-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_its_events_own() {
    let stage = Stage::new().await;
    let server = &stage.server;
    server.create_event(small_event("other")).await.unwrap();
    let here = hold_request("ann", &["A-1"]);
    let mut there = hold_request("bob", &["A-1", "A-2"]);
    (there.event_id, there.hold_id) = ("other".into(), here.hold_id.clone());
    let anns = server.hold(here).await.unwrap();
    let bobs = server.hold(there).await.unwrap();

    let order = server.confirm(&anns, "pay-1").await.unwrap();
    assert_eq!(server.get_hold("other", &bobs.hold_id).await.unwrap(), bobs);
    let released = server.release(&bobs, &[], vec![]).await.unwrap();
    assert_eq!(released.state(), HoldState::Released);
    assert_eq!(server.confirm(&anns, "pay-1").await.unwrap(), order);
    let other = server.get_seat_map("other").await.unwrap();
    assert!(other.seats.iter().all(|seat| seat.status() == SeatStatus::Available));
}

/// What a call of Redis carries has one entry in the event's log.
#[tokio::test(flavor = "multi_thread")]
async fn shares_no_call_where_each_shall_go_by_itself() {
    let stage = Stage::new().await;
    let settings = config::Stores { holds_per_call: 1, ..stage.stores.settings() };
    let holds = Holds::new(&settings.redis_url).unwrap();
    let doors = any_doors();
    let server = Server::start_on(&doors, &settings).await;
    let event_id: EventId = EVENT.parse().unwrap();
    let seq = async || holds.position(&event_id).await.unwrap().unwrap().seq;
    let before = seq().await;
    let asked = (0..40).map(|i| {
        let mut request = hold_request(&format!("holder-{i}"), &[]);
        request.areas = floor(1);
        server.hold(request)
    });
    for held in join_all(asked).await {
        held.unwrap();
    }
    assert_eq!(seq().await - before, 40);
}

//! Bad input, method by method: every bad field is named, and nothing changes.

use holdfast::proto::{self, BestAvailable, ChannelOverride, Event};
use tonic::Code;

use crate::support::{EVENT, Server, Stage, floor, hold_request, ms, refusal, seat, small_event};

/// The bad fields that a call is refused for.
async fn bad_fields<T: std::fmt::Debug>(
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Vec<String> {
    let told = refusal(call.await);
    assert_eq!((told.code, &*told.reason), (Code::InvalidArgument, "INVALID_FIELD"), "{told:?}");
    told.subjects
}

/// Changes one thing of a good Hold, and names the fields that are bad then.
type BadHold = (fn(&mut proto::HoldRequest), &'static [&'static str]);

const BAD_HOLDS: [BadHold; 33] = [
    (|r| r.event_id.clear(), &["event_id"]),
    (|r| r.event_id = "a{b}".into(), &["event_id"]),
    (|r| r.event_id = "x".repeat(65), &["event_id"]),
    (|r| r.event_id = "a\0b".into(), &["event_id"]),
    (|r| r.holder_id.clear(), &["holder_id"]),
    (|r| r.holder_id = "ann smith".into(), &["holder_id"]),
    (|r| r.hold_id = "1".into(), &["hold_id"]),
    (|r| r.hold_id = r.hold_id.replace('-', ""), &["hold_id"]),
    (|r| r.hold_id = format!("{{{}}}", r.hold_id), &["hold_id"]),
    (|r| r.seat_ids.clear(), &["seat_ids"]),
    (|r| r.seat_ids = vec!["A-1".into(), "A-1".into()], &["seat_ids[1]"]),
    (|r| r.seat_ids = vec!["A-1".into(), "'; DROP TABLE seats".into()], &["seat_ids[1]"]),
    (|r| r.seat_ids = (0..201).map(|i| format!("S-{i}")).collect(), &["seat_ids"]),
    (|r| r.areas = floor(0), &["areas[0].quantity"]),
    (|r| r.areas = floor(-1), &["areas[0].quantity"]),
    (|r| r.areas = floor(200), &["areas"]),
    (|r| r.areas = floor(i32::MAX), &["areas[0].quantity", "areas"]),
    (|r| r.areas = [floor(1), floor(1)].concat(), &["areas[1].area_id"]),
    (|r| r.ttl = ms(0), &["ttl"]),
    (|r| r.ttl = Some(prost_types::Duration { seconds: -1, nanos: 0 }), &["ttl"]),
    (|r| r.ttl = Some(prost_types::Duration { seconds: 0, nanos: 1_500_000 }), &["ttl"]),
    (|r| r.ttl = ms(86_400_001), &["ttl"]),
    (|r| r.best_available = best(2), &["best_available"]),
    (|r| (r.seat_ids, r.best_available) = (Vec::new(), best(0)), &["best_available.quantity"]),
    (|r| (r.seat_ids, r.areas, r.best_available) = (Vec::new(), floor(1), best(200)), &["areas"]),
    (|r| (r.seat_ids, r.best_available) = (Vec::new(), best(201)), &["best_available.quantity"]),
    (|r| r.channels = vec!["fan club".into()], &["channels[0]"]),
    (|r| r.channels = vec!["fans".into(); 2], &["channels[1]"]),
    (|r| r.channels = (0..11).map(|n| format!("fans-{n}")).collect(), &["channels"]),
    (|r| r.channel_override = Some(ChannelOverride::default()), BAD_OVERRIDE),
    (|r| r.channel_override = because(&"x".repeat(201)), &["channel_override.reason"]),
    (|r| r.admission_token = "x".repeat(257), &["admission_token"]),
    (|r| r.admission_token = "x\ny".into(), &["admission_token"]),
];
const BAD_OVERRIDE: &[&str] = &["channel_override.actor", "channel_override.reason"];

#[expect(clippy::unnecessary_wraps, reason = "as the field is")]
fn best(quantity: i32) -> Option<BestAvailable> {
    Some(BestAvailable { quantity, ..BestAvailable::default() })
}

#[expect(clippy::unnecessary_wraps, reason = "as the field is")]
fn because(reason: &str) -> Option<ChannelOverride> {
    Some(ChannelOverride { actor: "ann".into(), reason: reason.into() })
}

#[tokio::test(flavor = "multi_thread")]
async fn holds() {
    let stage = Stage::new().await;
    for (i, (spoil, fields)) in BAD_HOLDS.into_iter().enumerate() {
        let mut request = hold_request("ann", &["A-1"]);
        spoil(&mut request);
        assert_eq!(bad_fields(stage.server.hold(request)).await, fields, "bad hold {i}");
    }
    // All at once.
    let mut request = hold_request("", &["A-1", "A-1", ""]);
    request.event_id = "?".into();
    request.hold_id = "?".into();
    request.areas = floor(0);
    request.ttl = ms(0);
    let fields = [
        "event_id",
        "holder_id",
        "hold_id",
        "seat_ids[1]",
        "seat_ids[2]",
        "areas[0].quantity",
        "ttl",
    ];
    assert_eq!(bad_fields(stage.server.hold(request)).await, fields);
    nothing_changed(&stage.server).await;
}

async fn nothing_changed(server: &Server) {
    let house = server.house().await;
    assert_eq!(house.count(proto::SeatStatus::Available), 100);
    assert_eq!(house.areas["floor"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_calls_on_holds() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let nobody = proto::Hold::default();
    let ids = ["event_id", "hold_id", "holder_id"];
    assert_eq!(
        bad_fields(server.extend_hold(&nobody, 0)).await,
        [ids.as_slice(), &["ttl"]].concat()
    );
    assert_eq!(
        bad_fields(server.release(&nobody, &["A-1", "A-1"], floor(0))).await,
        [ids.as_slice(), &["seat_ids[1]", "areas[0].quantity"]].concat()
    );
    for reference in ["", "two words", "tab\t", "é", &"p".repeat(129)] {
        assert_eq!(
            bad_fields(server.confirm(&nobody, reference)).await,
            [ids.as_slice(), &["payment_reference"]].concat(),
            "{reference:?}"
        );
    }
    assert_eq!(bad_fields(server.get_hold("", "x")).await, ["event_id", "hold_id"]);
    assert_eq!(bad_fields(server.get_seat_map("no event")).await, ["event_id"]);
    nothing_changed(server).await;
}

/// Changes one thing of a good event.
type BadEvent = (fn(&mut Event), &'static [&'static str]);

const BAD_EVENTS: [BadEvent; 25] = [
    (|e| e.event_id = "no id".into(), &["event.event_id"]),
    (|e| e.name.clear(), &["event.name"]),
    (|e| e.name = "n".repeat(201), &["event.name"]),
    (|e| e.name = "new\nline".into(), &["event.name"]),
    (|e| e.venue = "v".repeat(201), &["event.venue"]),
    (|e| e.city = "c".repeat(101), &["event.city"]),
    (|e| e.start_time = None, &["event.start_time"]),
    (|e| e.start_time.as_mut().unwrap().nanos = -1, &["event.start_time"]),
    (|e| e.start_time.as_mut().unwrap().seconds = i64::MAX, &["event.start_time"]),
    (|e| e.state = 9, &["event.state"]),
    (|e| e.hold_ttl = ms(999), &["event.hold_ttl"]),
    (|e| e.hold_ttl = ms(86_400_001), &["event.hold_ttl"]),
    (|e| (e.hold_ttl, e.max_hold_time) = (ms(9_000), ms(8_000)), &["event.hold_ttl"]),
    (|e| e.max_units_per_hold = 201, &["event.max_units_per_hold"]),
    (|e| e.max_units_per_hold = -1, &["event.max_units_per_hold"]),
    (|e| e.max_units_per_holder = -1, &["event.max_units_per_holder"]),
    (|e| e.orphan_policy = 9, &["event.orphan_policy"]),
    (|e| e.waiting_room = -1, &["event.waiting_room"]),
    (|e| e.admissions_per_minute = -1, &["event.admissions_per_minute"]),
    (|e| e.admissions_per_minute = 600_001, &["event.admissions_per_minute"]),
    (|e| e.admission_ttl = ms(59_999), &["event.admission_ttl"]),
    (|e| e.max_expired_holds = 1_001, &["event.max_expired_holds"]),
    (|e| e.cool_down = ms(86_400_001), &["event.cool_down"]),
    (|e| e.offer_ttl = ms(999), &["event.offer_ttl"]),
    (|e| e.late_payment = 3, &["event.late_payment"]),
];

/// Changes one thing of a good chart.
type BadChart = (fn(&mut proto::Chart), &'static [&'static str]);

const ROW: &str = "chart.sections[0].rows[0]";

const BAD_CHARTS: [BadChart; 15] = [
    (|c| c.sections[0].section_id.clear(), &["chart.sections[0].section_id"]),
    (|c| c.sections[0].rows[0].row_id = "A B".into(), &["chart.sections[0].rows[0].row_id"]),
    (|c| c.sections[0].rows[1].row_id = "A".into(), &["chart.sections[0].rows[1].row_id"]),
    (|c| c.sections[0].rows[0].seats.clear(), &["chart.sections[0].rows[0].seats"]),
    (
        |c| c.sections[0].rows[0].seats[2] = seat(""),
        &["chart.sections[0].rows[0].seats[2].seat_id"],
    ),
    (
        |c| c.sections[0].rows[1].seats[2] = seat("A-1"),
        &["chart.sections[0].rows[1].seats[2].seat_id"],
    ),
    (
        |c| c.sections[0].rows[0].seats[2].price_category_id = "gold".into(),
        &["chart.sections[0].rows[0].seats[2].price_category_id"],
    ),
    (|c| c.sections[0].rows[0].seats[2].x = f32::NAN, &["chart.sections[0].rows[0].seats[2].x"]),
    (|c| c.sections.push(c.sections[0].clone()), &["chart.sections[1].section_id"]),
    (|c| c.areas[0].capacity = 0, &["chart.areas[0].capacity"]),
    (|c| c.areas[0].price_category_id = "gold".into(), &["chart.areas[0].price_category_id"]),
    (|c| c.price_categories[0].price = None, &["chart.price_categories[0].price"]),
    (
        |c| c.price_categories[0].price.as_mut().unwrap().units = -1,
        &["chart.price_categories[0].price"],
    ),
    (
        |c| c.price_categories[0].price.as_mut().unwrap().currency_code = "eur".into(),
        &["chart.price_categories[0].price.currency_code"],
    ),
    (
        |c| c.price_categories[1].price.as_mut().unwrap().currency_code = "USD".into(),
        &["chart.price_categories[1].price.currency_code"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn events_and_charts() {
    let stage = Stage::empty().await;
    for (i, (spoil, fields)) in BAD_EVENTS.into_iter().enumerate() {
        let mut request = small_event("spoiled");
        spoil(request.event.as_mut().unwrap());
        let told = bad_fields(stage.server.create_event(request)).await;
        assert_eq!(told, fields, "bad event {i}");
    }
    for (i, (spoil, fields)) in BAD_CHARTS.into_iter().enumerate() {
        let mut request = small_event("spoiled");
        spoil(request.chart.as_mut().unwrap());
        let told = bad_fields(stage.server.create_event(request)).await;
        // A section twice has its seats twice.
        assert_eq!(told[..fields.len()], *fields, "bad chart {i}");
    }
    let nothing = proto::CreateEventRequest::default();
    assert_eq!(bad_fields(stage.server.create_event(nothing)).await, ["event"]);

    // So many that an answer could not carry them: the first ones, and how many.
    let mut request = small_event("spoiled");
    for row in &mut request.chart.as_mut().unwrap().sections[0].rows {
        row.seats.iter_mut().for_each(|seat| seat.price_category_id = "gold".into());
    }
    let status = stage.server.create_event(request).await.unwrap_err();
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert_eq!(details.error_info().unwrap().metadata["violations"], "100");
    let named = &details.bad_request().unwrap().field_violations;
    assert!(named.len() >= 40, "{}", named.len());
    assert_eq!(named[0].field, format!("{ROW}.seats[0].price_category_id"));
    assert!(status.details().len() < 6_000, "it fits into a client's headers");

    let postgres = stage.stores.postgres().await;
    let row = postgres.query_one("SELECT count(*) FROM events", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_calls_on_the_catalogue() {
    let stage = Stage::new().await;
    let mut catalog = stage.server.catalog.clone();
    let told = bad_fields(catalog.add_seats(proto::AddSeatsRequest::default())).await;
    assert_eq!(told, ["event_id", "section_id", "rows"]);
    let told = bad_fields(catalog.add_areas(proto::AddAreasRequest::default())).await;
    assert_eq!(told, ["event_id", "areas"]);
    let told = bad_fields(catalog.block_seats(proto::BlockSeatsRequest::default())).await;
    assert_eq!(told, ["event_id", "seat_ids"]);
    let told = bad_fields(catalog.unblock_seats(proto::UnblockSeatsRequest {
        event_id: EVENT.into(),
        seat_ids: vec!["A-1".into(), "A-1".into()],
    }))
    .await;
    assert_eq!(told, ["seat_ids[1]"]);
    let told = bad_fields(catalog.get_event(proto::GetEventRequest::default())).await;
    assert_eq!(told, ["event_id"]);
    let told = bad_fields(catalog.update_event(proto::UpdateEventRequest::default())).await;
    assert_eq!(told, ["event"]);
    nothing_changed(&stage.server).await;
}

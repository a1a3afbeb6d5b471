//! Pictures that agree, and each difference made by hand in them.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    AreaBook, Counted, Difference, House, JournalRow, PostgresPicture, RecentSale, RedisPicture,
    Seen, compare, compare_stream,
};
use crate::domain::{
    Area, AreaHolding, AreaIndex, AreaState, Chart, Currency, Epoch, HoldId, HoldRecord, HoldState,
    Money, OrderId, Outcome, Position, PriceCategory, Row, Seat, SeatIndex, SeatStatus, Section,
};

const NOW: i64 = 1_000_000;
const AT: Position = Position { epoch: Epoch(3), seq: 7 };

fn id(n: u128) -> HoldId {
    HoldId(Uuid::from_u128(n))
}

/// Seats 0 to 3 and area 0: seat 0 is held by hold 1 with two units, seat 1 sold
/// to hold 2 with three units, seat 2 blocked.
struct Pictures {
    redis: RedisPicture,
    postgres: PostgresPicture,
}

fn record(seats: &[u32], units: u32) -> HoldRecord {
    HoldRecord {
        holder_id: "ann".parse().unwrap(),
        fingerprint: "f".into(),
        state: HoldState::Active,
        created_ms: NOW - 1_000,
        expires_ms: NOW + 1_000,
        ended_ms: 0,
        seats: seats.iter().map(|&seat| SeatIndex(seat)).collect(),
        areas: vec![AreaHolding { area: AreaIndex(0), quantity: units, at_first: units }],
        order_id: None,
        seq: 0,
        asked: 0,
    }
}

fn agreeing() -> Pictures {
    let ann = || "ann".parse().unwrap();
    let held = record(&[0], 2);
    let redis = RedisPicture {
        now_ms: NOW,
        position: AT,
        log_end: Some(AT),
        revision: 1,
        seat_count: 4,
        rules: [("state", "ON_SALE"), ("max_holds_per_holder", "3")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        seats: [
            (SeatIndex(0), Seen::Held(id(1))),
            (SeatIndex(1), Seen::Sold(id(2))),
            (SeatIndex(2), Seen::Blocked),
        ]
        .into(),
        holds: [(id(1), held.clone())].into(),
        due: [(id(1), held.expires_ms)].into(),
        areas: vec![(5, 10)],
        holders: [(ann(), counted(7, 1))].into(),
        ..RedisPicture::default()
    };
    let postgres = PostgresPicture {
        epoch: AT.epoch,
        revision: 1,
        seat_count: 4,
        rules: redis.rules.clone(),
        is_active: true,
        cursor: Some(AT),
        blocked: HashSet::from([SeatIndex(2)]),
        sold: [(SeatIndex(1), id(2))].into(),
        areas: vec![AreaBook { capacity: 10, sold: 3, tickets: 3 }],
        owned: [(ann(), 4)].into(),
        journal: [(id(1), JournalRow { record: held, is_live: true })].into(),
        ..PostgresPicture::default()
    };
    Pictures { redis, postgres }
}

fn chart() -> Chart {
    let price_category_id = || "p".parse().unwrap();
    let currency: Currency = "EUR".parse().unwrap();
    let seat = |n: usize| Seat {
        seat_id: format!("A-{n}").parse().unwrap(),
        price_category_id: price_category_id(),
        accessible: false,
        x: 0.,
        y: 0.,
        channel: None,
    };
    let row = Row { row_id: "A".parse().unwrap(), seats: (0..4).map(seat).collect() };
    let section =
        Section { section_id: "s".parse().unwrap(), name: String::new(), rows: vec![row] };
    let price = PriceCategory {
        price_category_id: price_category_id(),
        name: String::new(),
        price: Money { currency, micros: 1 },
    };
    let area = Area {
        area_id: "floor".parse().unwrap(),
        name: String::new(),
        capacity: 10,
        price_category_id: price_category_id(),
        channel: None,
        share_of: None,
    };
    Chart::new(vec![price], vec![section], vec![area], (0..4).map(SeatIndex).collect())
}

fn kinds(pictures: &Pictures) -> Vec<&'static str> {
    let found = compare(Some(&pictures.redis), &pictures.postgres, &chart());
    let mut kinds: Vec<_> = found.iter().map(Difference::kind).collect();
    kinds.sort_unstable();
    kinds
}

#[test]
fn pictures_that_agree_have_no_difference() {
    assert_eq!(kinds(&agreeing()), Vec::<&str>::new());
}

#[test]
fn each_difference_is_found() {
    type Case = (fn(&mut Pictures), &'static [&'static str]);
    let table: &[Case] = &[
        (|p| p.redis.position.epoch = Epoch(2), &["other_epoch"]),
        (|p| p.redis.log_end = None, &["log_end"]),
        (|p| p.redis.revision = 0, &["rule"]),
        (|p| p.redis.seat_count = 3, &["rule"]),
        (|p| p.redis.rules[0].1 = "PAUSED".into(), &["rule"]),
        (|p| p.redis.areas[0] = (4, 9), &["area_capacity"]),
        (|p| p.redis.areas[0].0 += 1, &["area_count"]),
        (|p| p.redis.areas.clear(), &["area_capacity", "area_count"]),
        (|p| _ = p.redis.holders.drain(), &["holder_count", "holder_holds"]),
        (|p| counts(p, "bob", 1, 0), &["holder_count"]),
        (|p| counts(p, "bob", 0, 1), &["holder_holds"]),
        (|p| counts(p, "ann", 7, 0), &["holder_holds"]),
        (|p| counts(p, "ann", 8, 0), &["holder_count", "holder_holds"]),
        // Where there is no such limit, holds are not counted.
        (|p| no_limit_of_holds(p), &["holder_holds"]),
        (|p| p.postgres.cursor = Some(Position { seq: 6, ..AT }), &["journal_stands"]),
        (|p| p.postgres.cursor = None, &["no_journal_cursor"]),
        (|p| _ = p.redis.seats.remove(&SeatIndex(1)), &["sold_seat"]),
        (|p| seat(p, 1, Seen::Blocked), &["sold_seat"]),
        (|p| seat(p, 1, Seen::Sold(id(9))), &["sold_seat"]),
        (|p| seat(p, 1, Seen::Held(id(9))), &["seat_without_hold", "sold_seat"]),
        (|p| seat(p, 3, Seen::Sold(id(2))), &["sold_without_ticket"]),
        (|p| seat(p, 3, Seen::Blocked), &["blocked_in_redis"]),
        (|p| _ = p.redis.seats.remove(&SeatIndex(2)), &["blocked_seat"]),
        (|p| seat(p, 3, Seen::Held(id(1))), &["seat_without_hold"]),
        (|p| _ = p.redis.seats.remove(&SeatIndex(0)), &["hold_without_seat"]),
        (|p| _ = p.redis.due.drain(), &["hold_not_due"]),
        (|p| _ = p.redis.due.insert(id(1), NOW), &["hold_due_at"]),
        (|p| _ = p.redis.due.insert(id(8), NOW), &["due_without_hold"]),
        (|p| hold(p).state = HoldState::Confirming, &["hold_due_at"]),
        (|p| _ = p.postgres.journal.drain(), &["not_journaled"]),
        (|p| hold(p).fingerprint.clear(), &["journaled_otherwise"]),
        (|p| _ = p.postgres.outcomes.insert(id(1), Outcome::Released), &["ended_hold_lives"]),
    ];
    for (i, (make, expected)) in table.iter().enumerate() {
        let mut pictures = agreeing();
        make(&mut pictures);
        assert_eq!(&kinds(&pictures), expected, "case {i}");
    }
}

fn counted(units: i64, holds: i64) -> Counted {
    Counted { units, holds }
}

fn counts(pictures: &mut Pictures, holder: &str, units: i64, holds: i64) {
    pictures.redis.holders.insert(holder.parse().unwrap(), counted(units, holds));
}

fn no_limit_of_holds(pictures: &mut Pictures) {
    for rules in [&mut pictures.redis.rules, &mut pictures.postgres.rules] {
        rules[1].1 = "0".into();
    }
}

fn seat(pictures: &mut Pictures, index: u32, seen: Seen) {
    pictures.redis.seats.insert(SeatIndex(index), seen);
}

fn hold(pictures: &mut Pictures) -> &mut HoldRecord {
    pictures.redis.holds.get_mut(&id(1)).unwrap()
}

#[test]
fn an_event_that_redis_does_not_have_counts_while_jobs_look_after_it() {
    let mut postgres = agreeing().postgres;
    assert_eq!(compare(None, &postgres, &chart()), [Difference::NotLoaded]);
    postgres.is_active = false;
    assert_eq!(compare(None, &postgres, &chart()), []);
}

#[test]
fn a_hold_that_nothing_ends_is_overdue() {
    let mut pictures = agreeing();
    pictures.redis.now_ms = NOW + 60_000;
    assert_eq!(kinds(&pictures), ["overdue"]);
}

/// The sale of hold 1 is committed; Redis' picture is from before it was told.
#[test]
fn a_sale_under_way_is_no_difference() {
    let mut pictures = agreeing();
    let sale = RecentSale {
        hold_id: id(1),
        holder_id: "ann".parse().unwrap(),
        units: 3,
        areas: vec![(AreaIndex(0), 2)],
    };
    pictures.postgres.sold.insert(SeatIndex(0), id(1));
    pictures.postgres.areas[0] = AreaBook { capacity: 10, sold: 5, tickets: 5 };
    pictures.postgres.owned.insert("ann".parse().unwrap(), 7);
    let confirmed = Outcome::Confirmed(OrderId(Uuid::nil()));
    pictures.postgres.outcomes.insert(id(1), confirmed);
    pictures.postgres.recent = vec![sale.clone()];
    assert_eq!(kinds(&pictures), Vec::<&str>::new());
    // Long after it, the very same is wrong.
    pictures.postgres.recent.clear();
    assert_eq!(kinds(&pictures), ["ended_hold_lives", "sold_seat"]);

    // Made and sold since Redis' picture.
    let mut pictures = agreeing();
    pictures.postgres.sold.insert(SeatIndex(3), id(5));
    pictures.postgres.areas[0] = AreaBook { capacity: 10, sold: 5, tickets: 5 };
    pictures.postgres.owned.insert("ann".parse().unwrap(), 7);
    pictures.postgres.recent = vec![RecentSale { hold_id: id(5), ..sale }];
    let made = HoldRecord { created_ms: NOW, state: HoldState::Confirmed, ..record(&[3], 2) };
    pictures.redis.later.insert(id(5), made);
    assert_eq!(kinds(&pictures), Vec::<&str>::new());
    pictures.redis.now_ms = NOW + 1;
    assert_eq!(kinds(&pictures), ["area_count", "holder_count", "sold_seat"]);
}

/// A hold of area units alone, of which no due time tells any more.
#[test]
fn a_hold_that_only_the_journal_leads_to_is_found() {
    let mut pictures = agreeing();
    let units_only = record(&[], 1);
    pictures.redis.areas[0].0 = 4;
    counts(&mut pictures, "ann", 8, 2);
    let row = JournalRow { record: units_only.clone(), is_live: true };
    pictures.postgres.journal.insert(id(6), row);
    pictures.redis.later.insert(id(6), units_only);
    assert_eq!(kinds(&pictures), ["hold_not_due"]);
    pictures.redis.later.clear();
    assert_eq!(kinds(&pictures), ["area_count", "holder_count", "holder_holds", "missing_hold"]);
}

/// It was lost with Redis, and its seat has been sold since.
#[test]
fn a_hold_whose_seat_is_anothers_is_only_noted() {
    let mut pictures = agreeing();
    let &taken = pictures.postgres.sold.keys().next().unwrap();
    let row = JournalRow { record: record(&[taken.0], 0), is_live: true };
    pictures.postgres.journal.insert(id(6), row);
    assert_eq!(kinds(&pictures), ["lost_hold"]);
}

#[test]
fn kinds_are_named_once() {
    let kinds = HashSet::from(Difference::KINDS);
    assert_eq!(kinds.len(), Difference::KINDS.len());
    assert!(!Difference::LostHold { hold: id(1) }.counts());
    assert!(!kinds.contains(Difference::LostHold { hold: id(1) }.kind()));
}

#[test]
fn a_stream_must_tell_what_redis_has() {
    let house = House {
        seats: [("A-1".to_owned(), SeatStatus::Held), ("A-2".to_owned(), SeatStatus::Sold)].into(),
        areas: [("floor".to_owned(), AreaState { available: 1, capacity: 2 })].into(),
    };
    assert_eq!(compare_stream("here", &house, &house), []);
    let mut told = house.clone();
    told.seats.insert("A-1".into(), SeatStatus::Available);
    told.seats.remove("A-2");
    told.areas.insert("floor".into(), AreaState { available: 2, capacity: 2 });
    let found = compare_stream("here", &told, &house);
    let mut kinds: Vec<_> = found.iter().map(Difference::kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["stream_area", "stream_seat", "stream_seat"]);
    let text = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("here tells seat A-1 as Available, Held in Redis"), "{text}");
    assert!(text.contains("here does not tell seat A-2, Sold in Redis"), "{text}");
}

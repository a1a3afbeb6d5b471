//! What hides a seat, and for how long.

use super::*;
use crate::domain::{Currency, Epoch, Micros, Money, PriceCategory, Row, Seat, Section};

fn at(seq: u64) -> Position {
    Position { epoch: Epoch(1), seq }
}

/// One row of so many seats, all free.
fn seats(count: u32) -> Seats {
    let currency: Currency = "EUR".parse().unwrap();
    let price_category_id: crate::domain::PriceCategoryId = "seat".parse().unwrap();
    let seat = |n| Seat {
        seat_id: format!("seat-{n}").parse().unwrap(),
        price_category_id: price_category_id.clone(),
        accessible: false,
        x: 0.0,
        y: 0.0,
        channel: None,
    };
    let row = Row { row_id: "A".parse().unwrap(), seats: (0..count).map(seat).collect() };
    let section =
        Section { section_id: "stalls".parse().unwrap(), name: String::new(), rows: vec![row] };
    let price = Money { currency, micros: Micros::default() };
    let price = PriceCategory { price_category_id, name: String::new(), price };
    let order = (0..count).map(SeatIndex).collect();
    let chart = Arc::new(Chart::new(vec![price], vec![section], Vec::new(), order));
    let map = SeatMap {
        position: at(1),
        seats: vec![SeatStatus::Available; count as usize],
        areas: Vec::new(),
    };
    Seats::new(&map, &chart, 1, None)
}

fn changed(seats: &mut Seats, seq: u64, status: SeatStatus, indexes: &[SeatIndex]) {
    let changes = vec![(status, indexes.to_vec())];
    seats.apply(&Change { position: at(seq), seats: changes, ..Change::default() });
    seats.reveal_held();
}

fn two() -> BestAvailable {
    BestAvailable { quantity: 2, section_id: None, price_category_id: None, allow_split: false }
}

fn has(free: &FreeSeats) -> bool {
    free.best(&two(), |_| false, 0).is_some()
}

const BOTH: [SeatIndex; 2] = [SeatIndex(0), SeatIndex(1)];

#[test]
fn what_was_held_is_hidden_until_the_map_has_it() {
    let mut seats = seats(2);
    seats.hide(&BOTH, Hidden::Held(at(3)));
    changed(&mut seats, 2, SeatStatus::Available, &BOTH);
    assert!(!has(&seats.free), "the map is older than the hold");
    changed(&mut seats, 3, SeatStatus::Held, &BOTH);
    assert!(!has(&seats.free) && seats.hidden.is_empty(), "the map says so now");
    changed(&mut seats, 4, SeatStatus::Available, &BOTH);
    assert!(has(&seats.free), "given back");
}

#[test]
fn what_is_gone_is_hidden_until_something_newer_is_known() {
    let mut seats = seats(2);
    seats.hide(&BOTH, Hidden::Gone(Instant::now()));
    assert!(!has(&seats.free) && !has(&seats.perhaps));
    changed(&mut seats, 2, SeatStatus::Held, &BOTH);
    changed(&mut seats, 3, SeatStatus::Available, &BOTH);
    assert!(has(&seats.free), "held, and given back");
}

#[test]
fn a_pick_that_is_under_way_may_come_to_nothing() {
    let mut seats = seats(2);
    seats.hide(&BOTH, Hidden::Picked);
    assert!(!has(&seats.free) && has(&seats.perhaps));
    seats.give_back(&BOTH);
    assert!(has(&seats.free));
    // A chart that is read anew, or a new picture, hides what was hidden.
    seats.hide(&BOTH, Hidden::Picked);
    let chart = seats.free.chart().clone();
    let map = SeatMap { position: at(9), seats: vec![SeatStatus::Available; 2], areas: Vec::new() };
    let seats = Seats::new(&map, &chart, 2, Some(seats));
    assert!(!has(&seats.free) && has(&seats.perhaps));
}

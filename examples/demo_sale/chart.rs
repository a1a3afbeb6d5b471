//! Houses.

use holdfast::proto::{self, google::r#type::Money};

use crate::sale::{SEAT, UNIT, UNITS};

/// A row of two seats and an area of four units for each case.
pub fn of_cases(event_id: &str, names: &[&str]) -> proto::CreateEventRequest {
    let rows = names.iter().map(|name| row(name, 2));
    let areas = names.iter().map(|name| area(name, UNITS));
    house(event_id, &rows.collect::<Vec<_>>(), areas.collect())
}

/// Rows of ten seats `<row>-<number>`, and one area.
pub fn of_rows(event_id: &str, rows: usize, units: i32) -> proto::CreateEventRequest {
    let rows = (1..=rows).map(|n| row(&n.to_string(), 10));
    house(event_id, &rows.collect::<Vec<_>>(), vec![area("floor", units)])
}

fn house(
    event_id: &str,
    rows: &[proto::Row],
    areas: Vec<proto::Area>,
) -> proto::CreateEventRequest {
    const ROWS: usize = 1_000;
    let sections = rows.chunks(ROWS).enumerate().map(|(n, rows)| proto::Section {
        section_id: format!("section-{}", n + 1),
        name: String::new(),
        rows: rows.to_vec(),
    });
    let chart = proto::Chart {
        price_categories: vec![price("seat", SEAT), price("unit", UNIT)],
        sections: sections.collect(),
        areas,
    };
    let event = proto::Event {
        event_id: event_id.to_owned(),
        name: "An Evening".to_owned(),
        venue: "The House".to_owned(),
        city: "Hanoi".to_owned(),
        start_time: Some(prost_types::Timestamp { seconds: 1_900_000_000, nanos: 0 }),
        ..proto::Event::default()
    };
    proto::CreateEventRequest { event: Some(event), chart: Some(chart) }
}

fn row(row_id: &str, seats: usize) -> proto::Row {
    let seat = |n| proto::Seat {
        seat_id: format!("{row_id}-{n}"),
        price_category_id: "seat".to_owned(),
        ..proto::Seat::default()
    };
    proto::Row { row_id: row_id.to_owned(), seats: (1..=seats).map(seat).collect() }
}

fn area(area_id: &str, capacity: i32) -> proto::Area {
    proto::Area {
        area_id: area_id.to_owned(),
        name: String::new(),
        capacity,
        price_category_id: "unit".to_owned(),
        ..Default::default()
    }
}

fn price(id: &str, units: i64) -> proto::PriceCategory {
    proto::PriceCategory {
        price_category_id: id.to_owned(),
        name: String::new(),
        price: Some(Money { currency_code: "VND".to_owned(), units, nanos: 0 }),
    }
}

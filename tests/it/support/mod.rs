//! The stage that tests play on.

pub mod certificates;
pub mod collector;
pub mod corpus;
mod errors;
pub mod hook;
pub mod http;
pub mod line;
pub mod mailbox;
pub mod model;
pub mod post;
pub mod process;
pub mod raw;
pub mod redis_fleet;
mod stage;
mod stores;
pub mod tokens;
pub mod told;
pub mod vnpay;
pub mod waiting;
mod watcher;

pub use errors::{code_and_reason, refusal};
pub use stage::{Server, Stage, any_doors, eventually};
pub use stores::{OwnStores, Stores};
pub use watcher::{House, Watcher};

use holdfast::proto;
use uuid::Uuid;

/// The event of most tests: rows A to J of ten seats, and a floor of 100.
pub const EVENT: &str = "event";

/// A request that makes [`EVENT`], or one like it.
pub fn small_event(event_id: &str) -> proto::CreateEventRequest {
    let rows = ('A'..='J').map(|row| proto::Row {
        row_id: row.to_string(),
        seats: (1..=10).map(|number| seat(&format!("{row}-{number}"))).collect(),
    });
    let chart = proto::Chart {
        price_categories: vec![price("seat", 30), price("floor", 12)],
        sections: vec![proto::Section {
            section_id: "stalls".into(),
            name: "Stalls".into(),
            rows: rows.collect(),
        }],
        areas: vec![proto::Area {
            area_id: "floor".into(),
            name: "Floor".into(),
            capacity: 100,
            price_category_id: "floor".into(),
            ..Default::default()
        }],
    };
    let event = proto::Event {
        event_id: event_id.into(),
        name: "An Evening".into(),
        venue: "The House".into(),
        city: "Hanoi".into(),
        start_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        ..proto::Event::default()
    };
    proto::CreateEventRequest { event: Some(event), chart: Some(chart) }
}

/// A seat of the category "seat".
pub fn seat(seat_id: &str) -> proto::Seat {
    proto::Seat {
        seat_id: seat_id.into(),
        price_category_id: "seat".into(),
        ..proto::Seat::default()
    }
}

fn price(id: &str, units: i64) -> proto::PriceCategory {
    proto::PriceCategory {
        price_category_id: id.into(),
        name: id.into(),
        price: Some(proto::google::r#type::Money { currency_code: "EUR".into(), units, nanos: 0 }),
    }
}

/// A request for seats of [`EVENT`], with a hold id of its own.
pub fn hold_request(holder_id: &str, seat_ids: &[&str]) -> proto::HoldRequest {
    proto::HoldRequest {
        event_id: EVENT.into(),
        holder_id: holder_id.into(),
        hold_id: Uuid::now_v7().to_string(),
        seat_ids: seat_ids.iter().map(ToString::to_string).collect(),
        ..proto::HoldRequest::default()
    }
}

/// Units of the floor.
pub fn floor(quantity: i32) -> Vec<proto::AreaQuantity> {
    vec![proto::AreaQuantity { area_id: "floor".into(), quantity }]
}

/// A span of milliseconds.
pub fn ms(ms: u64) -> Option<prost_types::Duration> {
    std::time::Duration::from_millis(ms).try_into().ok()
}

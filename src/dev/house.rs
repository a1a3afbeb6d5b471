//! House plans: a chart in a page of text instead of a thousand lines.
//!
//! A plan (TOML) has the event's fields, price categories, areas, and sections
//! made of blocks: so many rows of so many seats each, evenly spaced, turned
//! about the stage's middle. See `examples/houses/`.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::proto::{self, CreateEventRequest, google::r#type::Money};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    event_id: String,
    name: String,
    venue: String,
    city: String,
    start_time: String,
    currency: String,
    prices: Vec<Price>,
    #[serde(default)]
    areas: Vec<Area>,
    sections: Vec<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    id: String,
    name: String,
    units: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    id: String,
    name: String,
    capacity: i32,
    price: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    id: String,
    name: String,
    blocks: Vec<Block>,
}

/// Rows behind each other, all of one length.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    /// The first and the last row's number.
    rows: [u32; 2],
    /// Seats of each row, numbered from 1.
    seats: u32,
    price: String,
    /// Of the first row: metres from the stage's middle to its middle.
    at: [f32; 2],
    /// Metres from seat to seat, and from row to row.
    #[serde(default = "usual_pitch")]
    pitch: [f32; 2],
    /// Degrees clockwise that the block is turned about the stage's middle.
    #[serde(default)]
    turn: f32,
    /// Seats `row:number` for wheelchairs.
    #[serde(default)]
    accessible: Vec<String>,
}

fn usual_pitch() -> [f32; 2] {
    [0.55, 0.9]
}

/// The request that makes the event of a plan.
///
/// # Errors
/// Where the text is no plan.
pub fn draw(text: &str) -> anyhow::Result<CreateEventRequest> {
    let plan: Plan = toml::from_str(text).context("not a house plan")?;
    let start_time = OffsetDateTime::parse(&plan.start_time, &Rfc3339)
        .with_context(|| format!("{} is no time", plan.start_time))?;
    let event = proto::Event {
        event_id: plan.event_id,
        name: plan.name,
        venue: plan.venue,
        city: plan.city,
        start_time: Some(prost_types::Timestamp { seconds: start_time.unix_timestamp(), nanos: 0 }),
        ..proto::Event::default()
    };
    let price_categories = plan.prices.into_iter().map(|price| proto::PriceCategory {
        price_category_id: price.id,
        name: price.name,
        price: Some(Money { currency_code: plan.currency.clone(), units: price.units, nanos: 0 }),
    });
    let areas = plan.areas.into_iter().map(|area| proto::Area {
        area_id: area.id,
        name: area.name,
        capacity: area.capacity,
        price_category_id: area.price,
        ..Default::default()
    });
    let chart = proto::Chart {
        price_categories: price_categories.collect(),
        sections: plan.sections.iter().map(section).collect::<anyhow::Result<_>>()?,
        areas: areas.collect(),
    };
    Ok(CreateEventRequest { event: Some(event), chart: Some(chart) })
}

/// Seats, and units of areas.
pub fn count(request: &CreateEventRequest) -> (usize, i32) {
    let chart = request.chart.as_ref();
    let rows = chart.iter().flat_map(|chart| &chart.sections).flat_map(|section| &section.rows);
    let areas = chart.iter().flat_map(|chart| &chart.areas);
    (rows.map(|row| row.seats.len()).sum(), areas.map(|area| area.capacity).sum())
}

fn section(section: &Section) -> anyhow::Result<proto::Section> {
    let mut rows = Vec::new();
    for block in &section.blocks {
        let [first, last] = block.rows;
        if last < first {
            bail!("section {} has a block whose rows end before they begin", section.id);
        }
        rows.extend((first..=last).map(|row| proto::Row {
            row_id: row.to_string(),
            seats: (1..=block.seats).map(|seat| draw_seat(section, block, row, seat)).collect(),
        }));
    }
    Ok(proto::Section { section_id: section.id.clone(), name: section.name.clone(), rows })
}

#[expect(clippy::cast_precision_loss, reason = "a house has few rows and seats")]
fn draw_seat(section: &Section, block: &Block, row: u32, seat: u32) -> proto::Seat {
    let place = format!("{row}:{seat}");
    let from_middle = seat as f32 - (block.seats + 1) as f32 / 2.0;
    let x = block.at[0] + from_middle * block.pitch[0];
    let y = block.at[1] + (row - block.rows[0]) as f32 * block.pitch[1];
    let (sin, cos) = block.turn.to_radians().sin_cos();
    // Centimetres are fine enough.
    let metres = |value: f32| (value * 100.0).round() / 100.0;
    proto::Seat {
        seat_id: format!("{}:{place}", section.id),
        price_category_id: block.price.clone(),
        accessible: block.accessible.contains(&place),
        x: metres(x * cos - y * sin),
        y: metres(x * sin + y * cos),
        ..Default::default()
    }
}

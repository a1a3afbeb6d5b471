//! Charts and their parts.

use std::collections::HashSet;

use super::fields::Fields;
use crate::{
    domain::{
        Area, ChartDraft, Currency, Money, PriceCategory, PriceCategoryId, Row, Seat, Section,
    },
    limits::{
        MAX_AREA_CAPACITY, MAX_AREAS, MAX_NAME_CHARS, MAX_PRICE_CATEGORIES, MAX_ROWS, MAX_SEATS,
        MAX_SEATS_PER_ROW, MAX_SECTIONS,
    },
    proto::{self, google::r#type},
};

/// A whole chart, and whether its parts fit together.
pub fn chart(fields: &mut Fields, chart: proto::Chart) -> Option<ChartDraft> {
    fields.count("chart.price_categories", &chart.price_categories, 0..=MAX_PRICE_CATEGORIES);
    fields.count("chart.sections", &chart.sections, 0..=MAX_SECTIONS);
    fields.count("chart.areas", &chart.areas, 0..=MAX_AREAS);
    let rows_of = chart.sections.iter().flat_map(|section| &section.rows);
    let seats = rows_of.map(|row| row.seats.len()).sum::<usize>();
    if seats > MAX_SEATS {
        fields.bad("chart.sections", format!("an event has at most {MAX_SEATS} seats"));
    }
    check_references(fields, &chart);
    let price_categories = price_categories(fields, chart.price_categories);
    let sections = sections(fields, chart.sections);
    let areas = areas(fields, "chart.areas", chart.areas);
    Some(ChartDraft { price_categories: price_categories?, sections: sections?, areas: areas? })
}

/// Ids that must be unique within the chart, and price categories that must be
/// there.
fn check_references(fields: &mut Fields, chart: &proto::Chart) {
    let categories: HashSet<&str> =
        chart.price_categories.iter().map(|c| c.price_category_id.as_str()).collect();
    // A malformed one is told as such.
    let is_missing = |id: &str| id.parse::<PriceCategoryId>().is_ok() && !categories.contains(id);
    let mut sections = HashSet::new();
    for (i, section) in chart.sections.iter().enumerate() {
        if !sections.insert(&section.section_id) {
            fields.bad(format!("chart.sections[{i}].section_id"), "is named twice");
        }
    }
    let rows =
        chart.sections.iter().enumerate().flat_map(|(i, section)| {
            section.rows.iter().enumerate().map(move |(r, row)| (i, r, row))
        });
    let mut seats = HashSet::new();
    for (i, r, row) in rows {
        let at = |s| format!("chart.sections[{i}].rows[{r}].seats[{s}]");
        for (s, seat) in row.seats.iter().enumerate() {
            if !seats.insert(&seat.seat_id) {
                fields.bad(format!("{}.seat_id", at(s)), "is named twice");
            }
            if is_missing(&seat.price_category_id) {
                fields.bad(format!("{}.price_category_id", at(s)), "must be one of the chart's");
            }
        }
    }
    for (i, area) in chart.areas.iter().enumerate() {
        if is_missing(&area.price_category_id) {
            let field = format!("chart.areas[{i}].price_category_id");
            fields.bad(field, "must be one of the chart's");
        }
    }
}

/// The rows that AddSeats adds, every seat once.
pub fn new_rows(fields: &mut Fields, new: Vec<proto::Row>) -> Option<Vec<Row>> {
    let mut seats = HashSet::new();
    for (r, row) in new.iter().enumerate() {
        for (s, seat) in row.seats.iter().enumerate() {
            if !seats.insert(&seat.seat_id) {
                fields.bad(format!("rows[{r}].seats[{s}].seat_id"), "is named twice");
            }
        }
    }
    rows(fields, "rows", new)
}

fn price_categories(
    fields: &mut Fields,
    categories: Vec<proto::PriceCategory>,
) -> Option<Vec<PriceCategory>> {
    let mut seen = HashSet::new();
    let mut currency = None;
    let mut all = Vec::with_capacity(categories.len());
    for (i, category) in categories.into_iter().enumerate() {
        let at = format!("chart.price_categories[{i}]");
        let price = money(fields, &format!("{at}.price"), category.price);
        if let Some(price) = price
            && *currency.get_or_insert(price.currency) != price.currency
        {
            fields.bad(format!("{at}.price.currency_code"), "must be the same for all prices");
        }
        if !seen.insert(category.price_category_id.clone()) {
            fields.bad(format!("{at}.price_category_id"), "is named twice");
        }
        let price_category_id =
            fields.parsed(&format!("{at}.price_category_id"), &category.price_category_id);
        let name = fields.text(&format!("{at}.name"), category.name, 0..=MAX_NAME_CHARS);
        all.push(price_category_id.zip(name).zip(price).map(
            |((price_category_id, name), price)| PriceCategory { price_category_id, name, price },
        ));
    }
    all.into_iter().collect()
}

fn money(fields: &mut Fields, at: &str, money: Option<r#type::Money>) -> Option<Money> {
    let Some(money) = money else {
        fields.bad(at, "must be given");
        return None;
    };
    let currency: Currency = fields.parsed(&format!("{at}.currency_code"), &money.currency_code)?;
    Money::new(currency, money.units, money.nanos).map_err(|error| fields.bad(at, error)).ok()
}

fn sections(fields: &mut Fields, sections: Vec<proto::Section>) -> Option<Vec<Section>> {
    let mut all = Vec::with_capacity(sections.len());
    for (i, section) in sections.into_iter().enumerate() {
        let at = format!("chart.sections[{i}]");
        fields.count(&format!("{at}.rows"), &section.rows, 0..=MAX_ROWS);
        let section_id = fields.parsed(&format!("{at}.section_id"), &section.section_id);
        let name = or_id(section.name, &section.section_id);
        let name = fields.text(&format!("{at}.name"), name, 0..=MAX_NAME_CHARS);
        let rows = rows(fields, &format!("{at}.rows"), section.rows);
        all.push(section_id.zip(name).zip(rows).map(|((section_id, name), rows)| Section {
            section_id,
            name,
            rows,
        }));
    }
    all.into_iter().collect()
}

/// Rows of one section, their ids unique.
fn rows(fields: &mut Fields, at: &str, rows: Vec<proto::Row>) -> Option<Vec<Row>> {
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(rows.len());
    for (r, row) in rows.into_iter().enumerate() {
        let at = format!("{at}[{r}]");
        fields.count(&format!("{at}.seats"), &row.seats, 1..=MAX_SEATS_PER_ROW);
        if !seen.insert(row.row_id.clone()) {
            fields.bad(format!("{at}.row_id"), "is named twice");
        }
        let row_id = fields.parsed(&format!("{at}.row_id"), &row.row_id);
        let mut seats = Vec::with_capacity(row.seats.len());
        for (s, seat) in row.seats.into_iter().enumerate() {
            let at = format!("{at}.seats[{s}]");
            seats.push(one_seat(fields, &at, &seat));
        }
        let seats: Option<Vec<Seat>> = seats.into_iter().collect();
        all.push(row_id.zip(seats).map(|(row_id, seats)| Row { row_id, seats }));
    }
    all.into_iter().collect()
}

fn one_seat(fields: &mut Fields, at: &str, seat: &proto::Seat) -> Option<Seat> {
    let seat_id = fields.parsed(&format!("{at}.seat_id"), &seat.seat_id);
    let category = &seat.price_category_id;
    let price_category_id = fields.parsed(&format!("{at}.price_category_id"), category);
    for (name, metres) in [("x", seat.x), ("y", seat.y)] {
        if !metres.is_finite() {
            fields.bad(format!("{at}.{name}"), "must be a number");
        }
    }
    Some(Seat {
        seat_id: seat_id?,
        price_category_id: price_category_id?,
        accessible: seat.accessible,
        x: seat.x,
        y: seat.y,
        channel: None,
    })
}

/// Areas, their ids unique.
pub fn areas(fields: &mut Fields, at: &str, areas: Vec<proto::Area>) -> Option<Vec<Area>> {
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(areas.len());
    for (i, area) in areas.into_iter().enumerate() {
        let at = format!("{at}[{i}]");
        if !seen.insert(area.area_id.clone()) {
            fields.bad(format!("{at}.area_id"), "is named twice");
        }
        let area_id = fields.parsed(&format!("{at}.area_id"), &area.area_id);
        let name = or_id(area.name, &area.area_id);
        let name = fields.text(&format!("{at}.name"), name, 0..=MAX_NAME_CHARS);
        let capacity =
            fields.number(&format!("{at}.capacity"), area.capacity, 1..=MAX_AREA_CAPACITY);
        let category = &area.price_category_id;
        let category = fields.parsed(&format!("{at}.price_category_id"), category);
        all.push(area_id.zip(name).zip(capacity.zip(category)).map(
            |((area_id, name), (capacity, price_category_id))| Area {
                area_id,
                name,
                capacity,
                price_category_id,
                channel: None,
                share_of: None,
            },
        ));
    }
    all.into_iter().collect()
}

/// A name, or the id where none is given.
fn or_id(name: String, id: &str) -> String {
    if name.is_empty() { id.to_owned() } else { name }
}

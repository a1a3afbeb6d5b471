//! The requests of CatalogService.

use std::{ops::RangeInclusive, time::Duration};

use prost::Message;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    chart::{areas, chart, new_rows},
    fields::Fields,
};
use crate::{
    domain::{
        Area, ChartDraft, Event, EventChange, EventId, EventState, HoldDurability, LatePayment,
        Paging, Refusal, SeatId,
    },
    flow::AddSeatsRequest,
    grpc::page_token,
    limits::{
        DEFAULT_HOLD_TTL, DEFAULT_MAX_HOLD_TIME, DEFAULT_MAX_UNITS_PER_HOLD, DEFAULT_PAGE_SIZE,
        DEFAULT_PAYMENT_WINDOW, MAX_AREAS, MAX_CITY_CHARS, MAX_HOLD_TIME, MAX_NAME_CHARS,
        MAX_PAGE_SIZE, MAX_ROWS, MAX_SEATS_BLOCKED_AT_ONCE, MAX_UNITS_PER_HOLD,
        MAX_UNITS_PER_HOLDER, PAYMENT_WINDOW,
    },
    proto,
};

const HOLD_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_HOLD_TIME;

/// An event, its chart, and the fingerprint of both as they were given.
pub fn create_event(
    request: proto::CreateEventRequest,
) -> Result<(Event, ChartDraft, String), Refusal> {
    let mut fields = Fields::default();
    let fingerprint = fingerprint(&request);
    let draft = chart(&mut fields, request.chart.unwrap_or_default());
    let Some(event) = request.event else {
        fields.bad("event", "must be given");
        return fields.finish(|| None);
    };
    let event_id = fields.parsed_or("event.event_id", &event.event_id, EventId::new_v7);
    let start_time = fields.time("event.start_time", event.start_time);
    let state = match event.state() {
        proto::EventState::Unspecified if event.state == 0 => Some(EventState::OnSale),
        _ => event_state(&mut fields, event.state),
    };
    let hold_ttl = fields.span("event.hold_ttl", event.hold_ttl, HOLD_TIME);
    let max_hold_time = fields.span("event.max_hold_time", event.max_hold_time, HOLD_TIME);
    let longest = max_hold_time.unwrap_or(MAX_HOLD_TIME);
    let hold_ttl = hold_ttl.unwrap_or(DEFAULT_HOLD_TTL.min(longest));
    let max_hold_time = max_hold_time.unwrap_or(DEFAULT_MAX_HOLD_TIME.max(hold_ttl));
    if hold_ttl > max_hold_time {
        fields.bad("event.hold_ttl", "must not be longer than max_hold_time");
    }
    let max_units_per_hold = match event.max_units_per_hold {
        0 => Some(DEFAULT_MAX_UNITS_PER_HOLD),
        units => fields.number("event.max_units_per_hold", units, 1..=MAX_UNITS_PER_HOLD),
    };
    let max_units_per_holder = fields.number(
        "event.max_units_per_holder",
        event.max_units_per_holder,
        0..=MAX_UNITS_PER_HOLDER,
    );
    let hold_durability = match event.hold_durability {
        0 => Some(HoldDurability::Fast),
        durability => hold_durability(&mut fields, durability),
    };
    let payment_window = fields.span("event.payment_window", event.payment_window, PAYMENT_WINDOW);
    let late_payment = match event.late_payment {
        0 => Some(LatePayment::Accept),
        late_payment => self::late_payment(&mut fields, late_payment),
    };
    let name = fields.text("event.name", event.name, 1..=MAX_NAME_CHARS);
    let venue = fields.text("event.venue", event.venue, 0..=MAX_NAME_CHARS);
    let city = fields.text("event.city", event.city, 0..=MAX_CITY_CHARS);
    fields.finish(|| {
        let event = Event {
            event_id: event_id?,
            name: name?,
            venue: venue?,
            city: city?,
            start_time: start_time?,
            state: state?,
            hold_ttl,
            max_hold_time,
            max_units_per_hold: max_units_per_hold?,
            max_units_per_holder: max_units_per_holder?,
            hold_durability: hold_durability?,
            payment_window: payment_window.unwrap_or(DEFAULT_PAYMENT_WINDOW),
            late_payment: late_payment?,
            // Postgres' clock tells.
            create_time: OffsetDateTime::UNIX_EPOCH,
            update_time: OffsetDateTime::UNIX_EPOCH,
        };
        Some((event, draft?, fingerprint))
    })
}

/// Of what the caller gave, but for the fields that only the server fills; a
/// default that is spelled out is the default.
fn fingerprint(request: &proto::CreateEventRequest) -> String {
    let mut request = request.clone();
    if let Some(event) = &mut request.event {
        event.create_time = None;
        event.update_time = None;
        if event.state() == proto::EventState::OnSale {
            event.state = 0;
        }
        let is = |span: Option<prost_types::Duration>, default| {
            span.is_some_and(|span| Duration::try_from(span) == Ok(default))
        };
        if is(event.hold_ttl, DEFAULT_HOLD_TTL) {
            event.hold_ttl = None;
        }
        if is(event.max_hold_time, DEFAULT_MAX_HOLD_TIME) {
            event.max_hold_time = None;
        }
        if event.hold_durability() == proto::HoldDurability::Fast {
            event.hold_durability = 0;
        }
        if is(event.payment_window, DEFAULT_PAYMENT_WINDOW) {
            event.payment_window = None;
        }
        if event.late_payment() == proto::LatePayment::Accept {
            event.late_payment = 0;
        }
        if u32::try_from(event.max_units_per_hold) == Ok(DEFAULT_MAX_UNITS_PER_HOLD) {
            event.max_units_per_hold = 0;
        }
    }
    hex::encode(Sha256::digest(request.encode_to_vec()))
}

/// The fields of an event that can change, as a mask names them.
const CHANGEABLE: [&str; 12] = [
    "name",
    "venue",
    "city",
    "start_time",
    "state",
    "hold_ttl",
    "max_hold_time",
    "max_units_per_hold",
    "max_units_per_holder",
    "hold_durability",
    "payment_window",
    "late_payment",
];

pub fn update_event(request: proto::UpdateEventRequest) -> Result<(EventId, EventChange), Refusal> {
    let mut fields = Fields::default();
    let Some(event) = request.event else {
        fields.bad("event", "must be given");
        return fields.finish(|| None);
    };
    let event_id = fields.parsed("event.event_id", &event.event_id);
    let mask = request.update_mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty());
    for (i, path) in mask.iter().flatten().enumerate() {
        if !CHANGEABLE.contains(&path.as_str()) {
            let field = format!("update_mask.paths[{i}]");
            fields.bad(field, "must be a field of Event that can change");
        }
    }
    // Whether a field changes: as the mask says, or because it is set.
    let changes = |path: &str, is_set: bool| match &mask {
        Some(paths) => paths.iter().any(|named| named == path),
        None => is_set,
    };
    let mut change = EventChange::default();
    if changes("name", !event.name.is_empty()) {
        change.name = fields.text("event.name", event.name, 1..=MAX_NAME_CHARS);
    }
    if changes("venue", !event.venue.is_empty()) {
        change.venue = fields.text("event.venue", event.venue, 0..=MAX_NAME_CHARS);
    }
    if changes("city", !event.city.is_empty()) {
        change.city = fields.text("event.city", event.city, 0..=MAX_CITY_CHARS);
    }
    if changes("start_time", event.start_time.is_some()) {
        change.start_time = fields.time("event.start_time", event.start_time);
    }
    if changes("state", event.state != 0) {
        change.state = event_state(&mut fields, event.state);
    }
    if changes("hold_ttl", event.hold_ttl.is_some()) {
        let ttl = Some(event.hold_ttl.unwrap_or_default());
        change.hold_ttl = fields.span("event.hold_ttl", ttl, HOLD_TIME);
    }
    if changes("max_hold_time", event.max_hold_time.is_some()) {
        let time = Some(event.max_hold_time.unwrap_or_default());
        change.max_hold_time = fields.span("event.max_hold_time", time, HOLD_TIME);
    }
    if changes("max_units_per_hold", event.max_units_per_hold != 0) {
        let field = "event.max_units_per_hold";
        let units = event.max_units_per_hold;
        change.max_units_per_hold = fields.number(field, units, 1..=MAX_UNITS_PER_HOLD);
    }
    if changes("max_units_per_holder", event.max_units_per_holder != 0) {
        let field = "event.max_units_per_holder";
        let units = event.max_units_per_holder;
        change.max_units_per_holder = fields.number(field, units, 0..=MAX_UNITS_PER_HOLDER);
    }
    if changes("hold_durability", event.hold_durability != 0) {
        change.hold_durability = hold_durability(&mut fields, event.hold_durability);
    }
    if changes("payment_window", event.payment_window.is_some()) {
        let window = Some(event.payment_window.unwrap_or_default());
        change.payment_window = fields.span("event.payment_window", window, PAYMENT_WINDOW);
    }
    if changes("late_payment", event.late_payment != 0) {
        change.late_payment = late_payment(&mut fields, event.late_payment);
    }
    fields.finish(|| Some((event_id?, change)))
}

fn event_state(fields: &mut Fields, state: i32) -> Option<EventState> {
    let known = match proto::EventState::try_from(state) {
        Ok(proto::EventState::Draft) => Some(EventState::Draft),
        Ok(proto::EventState::OnSale) => Some(EventState::OnSale),
        Ok(proto::EventState::Paused) => Some(EventState::Paused),
        Ok(proto::EventState::Closed) => Some(EventState::Closed),
        Ok(proto::EventState::Unspecified) | Err(_) => None,
    };
    if known.is_none() {
        fields.bad("event.state", "must be DRAFT, ON_SALE, PAUSED or CLOSED");
    }
    known
}

fn hold_durability(fields: &mut Fields, durability: i32) -> Option<HoldDurability> {
    let known = match proto::HoldDurability::try_from(durability) {
        Ok(proto::HoldDurability::Fast) => Some(HoldDurability::Fast),
        Ok(proto::HoldDurability::Journaled) => Some(HoldDurability::Journaled),
        Ok(proto::HoldDurability::Unspecified) | Err(_) => None,
    };
    if known.is_none() {
        fields.bad("event.hold_durability", "must be FAST or JOURNALED");
    }
    known
}

fn late_payment(fields: &mut Fields, late_payment: i32) -> Option<LatePayment> {
    let known = match proto::LatePayment::try_from(late_payment) {
        Ok(proto::LatePayment::Accept) => Some(LatePayment::Accept),
        Ok(proto::LatePayment::Refund) => Some(LatePayment::Refund),
        Ok(proto::LatePayment::Unspecified) | Err(_) => None,
    };
    if known.is_none() {
        fields.bad("event.late_payment", "must be ACCEPT or REFUND");
    }
    known
}

pub fn get_event(request: &proto::GetEventRequest) -> Result<EventId, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    fields.finish(|| event_id)
}

pub fn list_events(request: &proto::ListEventsRequest) -> Result<Paging, Refusal> {
    let mut fields = Fields::default();
    let page_size = match request.page_size {
        0 => Some(DEFAULT_PAGE_SIZE),
        size => fields.number("page_size", size, 1..=MAX_PAGE_SIZE),
    };
    let after = page_token::decode(&request.page_token);
    if after.is_none() && !request.page_token.is_empty() {
        fields.bad("page_token", "is not the token of a page before");
    }
    fields.finish(|| Some(Paging { page_size: page_size?, after }))
}

pub fn add_seats(request: proto::AddSeatsRequest) -> Result<AddSeatsRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let section_id = fields.parsed("section_id", &request.section_id);
    fields.count("rows", &request.rows, 1..=MAX_ROWS);
    let rows = new_rows(&mut fields, request.rows);
    let name = match request.section_name.is_empty() {
        true => request.section_id,
        false => request.section_name,
    };
    let section_name = fields.text("section_name", name, 0..=MAX_NAME_CHARS);
    fields.finish(|| {
        Some(AddSeatsRequest {
            event_id: event_id?,
            section_id: section_id?,
            section_name: section_name?,
            rows: rows?,
        })
    })
}

pub fn add_areas(request: proto::AddAreasRequest) -> Result<(EventId, Vec<Area>), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    fields.count("areas", &request.areas, 1..=MAX_AREAS);
    let areas = areas(&mut fields, "areas", request.areas);
    fields.finish(|| Some((event_id?, areas?)))
}

pub fn block_seats(request: &proto::BlockSeatsRequest) -> Result<(EventId, Vec<SeatId>), Refusal> {
    seats_of_event(&request.event_id, &request.seat_ids)
}

pub fn unblock_seats(
    request: &proto::UnblockSeatsRequest,
) -> Result<(EventId, Vec<SeatId>), Refusal> {
    seats_of_event(&request.event_id, &request.seat_ids)
}

fn seats_of_event(event_id: &str, seat_ids: &[String]) -> Result<(EventId, Vec<SeatId>), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", event_id);
    fields.count("seat_ids", seat_ids, 1..=MAX_SEATS_BLOCKED_AT_ONCE);
    let seat_ids = fields.ids("seat_ids", seat_ids);
    fields.finish(|| Some((event_id?, seat_ids?)))
}

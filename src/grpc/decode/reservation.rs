//! The requests of ReservationService.

use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use super::fields::Fields;
use crate::{
    domain::{AreaId, EventId, HoldId, Position, Refusal},
    flow::{ConfirmRequest, ExtendHoldRequest, HoldRequest, ReleaseRequest, SeatFormat},
    limits::{MAX_AREA_CAPACITY, MAX_HOLD_TIME, MAX_UNITS_PER_HOLD},
    proto,
};

const TTL: RangeInclusive<Duration> = Duration::from_millis(1)..=MAX_HOLD_TIME;
const MAX_ITEMS: usize = MAX_UNITS_PER_HOLD as usize;

pub fn hold(request: &proto::HoldRequest) -> Result<HoldRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    let hold_id = fields.parsed_or("hold_id", &request.hold_id, HoldId::new_v7);
    let seat_ids = fields.ids("seat_ids", &request.seat_ids);
    let areas = area_quantities(&mut fields, &request.areas);
    check_units(&mut fields, request);
    let ttl = fields.span("ttl", request.ttl, TTL);
    let ttl_ms = ttl.map(to_ms);
    fields.finish(|| {
        Some(HoldRequest {
            event_id: event_id?,
            holder_id: holder_id?,
            hold_id: hold_id?,
            seat_ids: seat_ids?,
            areas: areas?,
            ttl_ms,
        })
    })
}

/// At least one unit, and not too many.
fn check_units(fields: &mut Fields, request: &proto::HoldRequest) {
    if request.seat_ids.is_empty() && request.areas.is_empty() {
        fields.bad("seat_ids", "at least one seat or area must be named");
    }
    let units = |area: &proto::AreaQuantity| usize::try_from(area.quantity).unwrap_or_default();
    let in_areas: usize = request.areas.iter().map(units).sum();
    if request.seat_ids.len() + in_areas > MAX_ITEMS {
        let field = if request.seat_ids.len() > MAX_ITEMS { "seat_ids" } else { "areas" };
        fields.bad(field, format!("at most {MAX_UNITS_PER_HOLD} units in all"));
    }
}

pub fn extend_hold(request: &proto::ExtendHoldRequest) -> Result<ExtendHoldRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    let ttl = fields.span("ttl", Some(request.ttl.unwrap_or_default()), TTL);
    fields.finish(|| {
        Some(ExtendHoldRequest {
            event_id: event_id?,
            hold_id: hold_id?,
            holder_id: holder_id?,
            ttl_ms: to_ms(ttl?),
        })
    })
}

pub fn release(request: &proto::ReleaseRequest) -> Result<ReleaseRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    fields.count("seat_ids", &request.seat_ids, 0..=MAX_ITEMS);
    fields.count("areas", &request.areas, 0..=MAX_ITEMS);
    let seat_ids = fields.ids("seat_ids", &request.seat_ids);
    let areas = area_quantities(&mut fields, &request.areas);
    fields.finish(|| {
        Some(ReleaseRequest {
            event_id: event_id?,
            hold_id: hold_id?,
            holder_id: holder_id?,
            seat_ids: seat_ids?,
            areas: areas?,
        })
    })
}

pub fn confirm(request: &proto::ConfirmRequest) -> Result<ConfirmRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    let payment_reference = fields.parsed("payment_reference", &request.payment_reference);
    fields.finish(|| {
        Some(ConfirmRequest {
            event_id: event_id?,
            hold_id: hold_id?,
            holder_id: holder_id?,
            payment_reference: payment_reference?,
            order: None,
        })
    })
}

pub fn get_hold(request: &proto::GetHoldRequest) -> Result<(EventId, HoldId), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    fields.finish(|| Some((event_id?, hold_id?)))
}

pub fn get_seat_map(request: &proto::GetSeatMapRequest) -> Result<(EventId, SeatFormat), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let format = seat_format(&mut fields, request.snapshot_format);
    fields.finish(|| Some((event_id?, format?)))
}

pub fn stream_seat_updates(
    request: &proto::StreamSeatUpdatesRequest,
) -> Result<(EventId, Option<Position>, SeatFormat), Refusal> {
    let mut fields = Fields::default();
    let event_id: Option<EventId> = fields.parsed("event_id", &request.event_id);
    let position = match &event_id {
        Some(event_id) if !request.resume_token.is_empty() => {
            Position::from_token(&request.resume_token, event_id)
                .map_err(|error| fields.bad("resume_token", error))
                .ok()
        }
        _ => None,
    };
    let format = seat_format(&mut fields, request.snapshot_format);
    fields.finish(|| Some((event_id?, position, format?)))
}

fn seat_format(fields: &mut Fields, format: i32) -> Option<SeatFormat> {
    match proto::SnapshotFormat::try_from(format) {
        Ok(proto::SnapshotFormat::Unspecified | proto::SnapshotFormat::Named) => {
            Some(SeatFormat::Named)
        }
        Ok(proto::SnapshotFormat::Packed) => Some(SeatFormat::Packed),
        Err(_) => {
            fields.bad("snapshot_format", "must be NAMED or PACKED");
            None
        }
    }
}

/// Units of areas, each area once.
fn area_quantities(
    fields: &mut Fields,
    areas: &[proto::AreaQuantity],
) -> Option<Vec<(AreaId, u32)>> {
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(areas.len());
    for (i, area) in areas.iter().enumerate() {
        let area_id = fields.parsed(&format!("areas[{i}].area_id"), &area.area_id);
        let quantity =
            fields.number(&format!("areas[{i}].quantity"), area.quantity, 1..=MAX_AREA_CAPACITY);
        if !seen.insert(&area.area_id) {
            fields.bad(format!("areas[{i}].area_id"), "is named twice");
        }
        all.push(area_id.zip(quantity));
    }
    all.into_iter().collect()
}

fn to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

//! The requests of ReservationService.

use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use super::fields::Fields;
use crate::{
    domain::{AreaId, BestAvailable, EventId, HoldId, Position, Refusal},
    flow::{
        ChangeHoldRequest, ChannelKeys, ConfirmRequest, ExtendHoldRequest, HoldRequest, Override,
        ReleaseRequest, Right, SeatFormat, SeatStreamRequest,
    },
    limits::{
        MAX_AREA_CAPACITY, MAX_CHANNELS_NAMED, MAX_HOLD_TIME, MAX_NAME_CHARS,
        MAX_QUEUE_TOKEN_CHARS, MAX_REASON_CHARS, MAX_UNITS_PER_HOLD,
    },
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
    let best_available = request.best_available.as_ref();
    let best_available = best_available.map(|asked| best_available_of(&mut fields, asked));
    let keys = keys(&mut fields, &request.channels, request.channel_override.as_ref());
    let token = request.admission_token.clone();
    let admission_token = fields.text("admission_token", token, 0..=MAX_QUEUE_TOKEN_CHARS);
    fields.finish(|| {
        let best_available = match best_available {
            Some(asked) => Some(asked?),
            None => None,
        };
        Some(HoldRequest {
            event_id: event_id?,
            holder_id: holder_id?,
            hold_id: hold_id?,
            seat_ids: seat_ids?,
            areas: areas?,
            best_available,
            ttl_ms,
            keys: keys?,
            admission_token: admission_token?,
            right: Right::Anybodys,
        })
    })
}

fn best_available_of(fields: &mut Fields, asked: &proto::BestAvailable) -> Option<BestAvailable> {
    let units = 1..=MAX_UNITS_PER_HOLD;
    let quantity = fields.number("best_available.quantity", asked.quantity, units);
    let section_id = fields.optional("best_available.section_id", &asked.section_id);
    let category = &asked.price_category_id;
    let category = fields.optional("best_available.price_category_id", category);
    Some(BestAvailable {
        quantity: quantity?,
        section_id: section_id?,
        price_category_id: category?,
        allow_split: asked.allow_split,
    })
}

/// Which channels' seats and areas may be taken.
pub(super) fn keys(
    fields: &mut Fields,
    channels: &[String],
    overridden: Option<&proto::ChannelOverride>,
) -> Option<ChannelKeys> {
    fields.count("channels", channels, 0..=MAX_CHANNELS_NAMED);
    let channels = fields.ids("channels", channels);
    let overridden = match overridden {
        None => Some(None),
        Some(given) => {
            let (actor, reason) = (given.actor.clone(), given.reason.clone());
            let actor = fields.text("channel_override.actor", actor, 1..=MAX_NAME_CHARS);
            let reason = fields.text("channel_override.reason", reason, 1..=MAX_REASON_CHARS);
            actor.zip(reason).map(|(actor, reason)| Some(Override { actor, reason }))
        }
    };
    Some(ChannelKeys { channels: channels?, overridden: overridden? })
}

/// At least one unit, and not too many.
fn check_units(fields: &mut Fields, request: &proto::HoldRequest) {
    let found = request.best_available.as_ref().map_or(0, |asked| asked.quantity);
    // More than that is a bad field by itself.
    let found = usize::try_from(found).unwrap_or_default().min(MAX_ITEMS);
    if request.seat_ids.is_empty() && request.areas.is_empty() && request.best_available.is_none() {
        fields.bad("seat_ids", "at least one seat or area must be named, or best_available");
    }
    if !request.seat_ids.is_empty() && request.best_available.is_some() {
        fields.bad("best_available", "must not be given beside seat_ids");
    }
    check_count(fields, request.seat_ids.len() + found, &request.areas);
}

/// Not more units than a hold may have anywhere.
fn check_count(fields: &mut Fields, seats: usize, areas: &[proto::AreaQuantity]) {
    let units = |area: &proto::AreaQuantity| usize::try_from(area.quantity).unwrap_or_default();
    let in_areas: usize = areas.iter().map(units).sum();
    if seats + in_areas > MAX_ITEMS {
        let field = if seats > MAX_ITEMS { "seat_ids" } else { "areas" };
        fields.bad(field, format!("at most {MAX_UNITS_PER_HOLD} units in all"));
    }
}

pub fn change_hold(request: &proto::ChangeHoldRequest) -> Result<ChangeHoldRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    let seat_ids = fields.ids("seat_ids", &request.seat_ids);
    let areas = area_quantities(&mut fields, &request.areas);
    if request.seat_ids.is_empty() && request.areas.is_empty() {
        fields.bad("seat_ids", "at least one seat or area must be named");
    }
    check_count(&mut fields, request.seat_ids.len(), &request.areas);
    let keys = keys(&mut fields, &request.channels, request.channel_override.as_ref());
    fields.finish(|| {
        Some(ChangeHoldRequest {
            event_id: event_id?,
            hold_id: hold_id?,
            holder_id: holder_id?,
            seat_ids: seat_ids?,
            areas: areas?,
            keys: keys?,
        })
    })
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
) -> Result<SeatStreamRequest, Refusal> {
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
    let viewer_id = fields.optional("viewer_id", &request.viewer_id);
    fields.finish(|| {
        let (event_id, format, viewer_id) = (event_id?, format?, viewer_id?);
        Some(SeatStreamRequest { event_id, position, format, viewer_id })
    })
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

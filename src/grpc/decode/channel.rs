//! The requests of ChannelService.

use super::fields::Fields;
use crate::{
    domain::{AreaId, ChannelKey, EventId, Refusal, SeatId, ShareRequest},
    flow::Override,
    limits::{
        MAX_AREA_CAPACITY, MAX_AREAS, MAX_CHANNEL_ACTIONS_PAGE, MAX_NAME_CHARS, MAX_REASON_CHARS,
        MAX_SEATS_ALLOCATED_AT_ONCE,
    },
    proto,
};

/// Of which event, for which channel, which seats, and who does it.
pub fn allocate_seats(
    request: proto::AllocateSeatsRequest,
) -> Result<(EventId, ChannelKey, Vec<SeatId>, Override), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let channel = fields.parsed("channel", &request.channel);
    fields.count("seat_ids", &request.seat_ids, 1..=MAX_SEATS_ALLOCATED_AT_ONCE);
    let seat_ids = fields.ids("seat_ids", &request.seat_ids);
    let by = by(&mut fields, request.actor, request.reason);
    fields.finish(|| Some((event_id?, channel?, seat_ids?, by?)))
}

pub fn allocate_area(request: proto::AllocateAreaRequest) -> Result<ShareRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let channel = fields.parsed("channel", &request.channel);
    let area_id = fields.parsed("area_id", &request.area_id);
    let share_area_id = fields.parsed("share_area_id", &request.share_area_id);
    let name = match request.name.is_empty() {
        true => Some(request.share_area_id),
        false => fields.text("name", request.name, 0..=MAX_NAME_CHARS),
    };
    let quantity = fields.number("quantity", request.quantity, 1..=MAX_AREA_CAPACITY);
    let by = by(&mut fields, request.actor, request.reason);
    fields.finish(|| {
        let Override { actor, reason } = by?;
        Some(ShareRequest {
            event_id: event_id?,
            channel: channel?,
            area_id: area_id?,
            share_area_id: share_area_id?,
            name: name?,
            quantity: quantity?,
            actor,
            reason,
        })
    })
}

/// Of which event, which seats and shares, and who does it.
pub fn free_allocation(
    request: proto::FreeAllocationRequest,
) -> Result<(EventId, Vec<SeatId>, Vec<AreaId>, Override), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    fields.count("seat_ids", &request.seat_ids, 0..=MAX_SEATS_ALLOCATED_AT_ONCE);
    fields.count("area_ids", &request.area_ids, 0..=MAX_AREAS);
    if request.seat_ids.is_empty() && request.area_ids.is_empty() {
        fields.bad("seat_ids", "at least one seat or area must be named");
    }
    let seat_ids = fields.ids("seat_ids", &request.seat_ids);
    let area_ids = fields.ids("area_ids", &request.area_ids);
    let by = by(&mut fields, request.actor, request.reason);
    fields.finish(|| Some((event_id?, seat_ids?, area_ids?, by?)))
}

pub fn list_allocations(request: &proto::ListAllocationsRequest) -> Result<EventId, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    fields.finish(|| event_id)
}

/// Of which event, before which number, and how many.
pub fn list_channel_actions(
    request: &proto::ListChannelActionsRequest,
) -> Result<(EventId, Option<i64>, u32), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let page_size = fields.page_size(request.page_size, MAX_CHANNEL_ACTIONS_PAGE);
    let before = fields.page_before(&request.page_token);
    fields.finish(|| Some((event_id?, before, page_size?)))
}

fn by(fields: &mut Fields, actor: String, reason: String) -> Option<Override> {
    let actor = fields.text("actor", actor, 1..=MAX_NAME_CHARS);
    let reason = fields.text("reason", reason, 1..=MAX_REASON_CHARS);
    actor.zip(reason).map(|(actor, reason)| Override { actor, reason })
}

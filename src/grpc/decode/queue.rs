//! The requests of QueueService.

use super::fields::Fields;
use crate::{
    domain::{EventId, HolderId, Refusal},
    limits::MAX_QUEUE_TOKEN_CHARS,
    proto,
};

pub fn join(request: &proto::JoinRequest) -> Result<(EventId, HolderId), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    fields.finish(|| Some((event_id?, holder_id?)))
}

pub fn stream_position(
    request: proto::StreamPositionRequest,
) -> Result<(EventId, String), Refusal> {
    place(&request.event_id, request.place_token)
}

pub fn leave_queue(request: proto::QueueServiceLeaveRequest) -> Result<(EventId, String), Refusal> {
    place(&request.event_id, request.place_token)
}

fn place(event_id: &str, place_token: String) -> Result<(EventId, String), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", event_id);
    let place_token = fields.text("place_token", place_token, 1..=MAX_QUEUE_TOKEN_CHARS);
    fields.finish(|| Some((event_id?, place_token?)))
}

//! The requests of PresenceService.

use super::fields::Fields;
use crate::{
    domain::{EventId, Refusal, ViewerId},
    proto,
};

pub fn heartbeat(request: &proto::HeartbeatRequest) -> Result<(EventId, ViewerId), Refusal> {
    event_and_viewer(&request.event_id, &request.viewer_id)
}

pub fn leave_presence(request: &proto::LeaveRequest) -> Result<(EventId, ViewerId), Refusal> {
    event_and_viewer(&request.event_id, &request.viewer_id)
}

pub fn get_presence(request: &proto::GetPresenceRequest) -> Result<EventId, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    fields.finish(|| event_id)
}

fn event_and_viewer(event_id: &str, viewer_id: &str) -> Result<(EventId, ViewerId), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", event_id);
    let viewer_id = fields.parsed("viewer_id", viewer_id);
    fields.finish(|| Some((event_id?, viewer_id?)))
}

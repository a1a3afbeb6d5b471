//! The requests of OperatorService.

use std::{ops::RangeInclusive, time::Duration};

use super::fields::Fields;
use crate::{
    domain::{EventId, Operator, Refusal},
    flow::{ForceExtendRequest, ForceReleaseRequest, HoldsAfter, ReassignRequest},
    grpc::page_token,
    limits::{
        MAX_HOLD_TIME, MAX_NAME_CHARS, MAX_OPEN_HOLDS_PAGE, MAX_OPERATOR_ACTIONS_PAGE,
        MAX_REASON_CHARS, MIN_FORCED_TTL,
    },
    proto,
};

const TTL: RangeInclusive<Duration> = MIN_FORCED_TTL..=MAX_HOLD_TIME;

pub fn force_release(
    request: proto::ForceReleaseHoldRequest,
    caller: Option<String>,
) -> Result<ForceReleaseRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let by = by(&mut fields, request.actor, request.reason, caller);
    fields.finish(|| Some(ForceReleaseRequest { event_id: event_id?, hold_id: hold_id?, by: by? }))
}

pub fn force_extend(
    request: proto::ForceExtendHoldRequest,
    caller: Option<String>,
) -> Result<ForceExtendRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let ttl = fields.span("ttl", Some(request.ttl.unwrap_or_default()), TTL);
    let by = by(&mut fields, request.actor, request.reason, caller);
    fields.finish(|| {
        Some(ForceExtendRequest {
            event_id: event_id?,
            hold_id: hold_id?,
            ttl_ms: u64::try_from(ttl?.as_millis()).unwrap_or(u64::MAX),
            by: by?,
        })
    })
}

pub fn reassign_hold(
    request: proto::ReassignHoldRequest,
    caller: Option<String>,
) -> Result<ReassignRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    let by = by(&mut fields, request.actor, request.reason, caller);
    fields.finish(|| {
        Some(ReassignRequest {
            event_id: event_id?,
            hold_id: hold_id?,
            holder_id: holder_id?,
            by: by?,
        })
    })
}

/// Of which event, before which number, and how many.
pub fn list_operator_actions(
    request: &proto::ListOperatorActionsRequest,
) -> Result<(EventId, Option<i64>, u32), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let page_size = fields.page_size(request.page_size, MAX_OPERATOR_ACTIONS_PAGE);
    let before = fields.page_before(&request.page_token);
    fields.finish(|| Some((event_id?, before, page_size?)))
}

/// Of which event, after which, and how many.
pub fn list_open_holds(
    request: &proto::ListOpenHoldsRequest,
) -> Result<(EventId, Option<HoldsAfter>, u32), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let page_size = fields.page_size(request.page_size, MAX_OPEN_HOLDS_PAGE);
    let after = page_token::decode_holds(&request.page_token);
    if after.is_none() && !request.page_token.is_empty() {
        fields.bad("page_token", "is not the token of a page before");
    }
    fields.finish(|| Some((event_id?, after, page_size?)))
}

fn by(
    fields: &mut Fields,
    actor: String,
    reason: String,
    caller: Option<String>,
) -> Option<Operator> {
    let actor = fields.text("actor", actor, 1..=MAX_NAME_CHARS);
    let reason = fields.text("reason", reason, 1..=MAX_REASON_CHARS);
    actor.zip(reason).map(|(actor, reason)| Operator { actor, reason, caller })
}

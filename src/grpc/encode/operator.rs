//! What OperatorService answers.

use time::{Duration, OffsetDateTime};

use super::{hold, timestamp};
use crate::{
    domain::{Deed, PastOperatorAction},
    flow::OpenHold,
    proto::{self, OperatorActionKind},
};

pub fn operator_action(past: PastOperatorAction) -> proto::OperatorAction {
    let action = past.action;
    let (kind, new_holder_id, expires_ms) = match action.deed {
        Deed::Release => (OperatorActionKind::Release, String::new(), None),
        Deed::Extend { expires_ms } => {
            (OperatorActionKind::Extend, String::new(), Some(expires_ms))
        }
        Deed::Reassign { to } => (OperatorActionKind::Reassign, to.to_string(), None),
    };
    let expire_time = expires_ms.map(|ms| OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(ms));
    proto::OperatorAction {
        kind: kind.into(),
        hold_id: action.hold_id.to_string(),
        holder_id: action.holder_id.to_string(),
        new_holder_id,
        expire_time: expire_time.map(timestamp),
        actor: action.by.actor,
        reason: action.by.reason,
        caller: action.by.caller.unwrap_or_default(),
        create_time: Some(timestamp(past.create_time)),
        done_time: past.done_time.map(timestamp),
    }
}

/// With the order that was made of it, though it is not sold.
pub fn open_hold(open: OpenHold) -> proto::OpenHold {
    let order_id = open.order_id.or(open.hold.order_id);
    let order_id = order_id.map(|order_id| order_id.to_string()).unwrap_or_default();
    proto::OpenHold { hold: Some(proto::Hold { order_id, ..hold(open.hold) }) }
}

//! Order events, webhooks and dead letters.

use super::timestamp;
use crate::{
    domain::{DeadLetter, OrderEvent, OrderEventKind, Target, Webhook},
    flow::{OrderEventMessage, message_id},
    proto,
};

pub fn order_event_message(message: &OrderEventMessage) -> proto::StreamOrderEventsResponse {
    proto::StreamOrderEventsResponse {
        sequence: message.sequence,
        events: message.events.iter().map(|event| order_event(event)).collect(),
    }
}

fn order_event(event: &OrderEvent) -> proto::OrderEvent {
    proto::OrderEvent {
        sequence: event.sequence,
        kind: order_event_kind(event.kind).into(),
        event_id: event.event_id.to_string(),
        order_id: event.order_id.map(|id| id.to_string()).unwrap_or_default(),
        hold_ids: event.hold_ids.iter().map(ToString::to_string).collect(),
        create_time: Some(timestamp(event.create_time)),
        message_id: message_id(event),
    }
}

pub fn webhook(webhook: Webhook) -> proto::Webhook {
    let kinds = webhook.wanted.kinds.into_iter();
    proto::Webhook {
        webhook_id: webhook.webhook_id.to_string(),
        url: webhook.url,
        kinds: kinds.map(|kind| order_event_kind(kind).into()).collect(),
        event_id: webhook.wanted.event_id.map(|id| id.to_string()).unwrap_or_default(),
        create_time: Some(timestamp(webhook.create_time)),
    }
}

pub fn dead_letter(letter: &DeadLetter) -> proto::DeadLetter {
    proto::DeadLetter {
        dead_letter_id: letter.delivery_id,
        webhook_id: match letter.target {
            Target::Mail => String::new(),
            Target::Webhook(webhook_id) => webhook_id.to_string(),
        },
        event: Some(order_event(&letter.event)),
        attempts: super::signed(letter.attempts),
        last_error: letter.last_error.clone(),
        end_time: Some(timestamp(letter.end_time)),
    }
}

fn order_event_kind(kind: OrderEventKind) -> proto::OrderEventKind {
    match kind {
        OrderEventKind::HoldsExpired => proto::OrderEventKind::HoldsExpired,
        OrderEventKind::OrderCreated => proto::OrderEventKind::OrderCreated,
        OrderEventKind::OrderPaid => proto::OrderEventKind::OrderPaid,
        OrderEventKind::OrderCancelled => proto::OrderEventKind::OrderCancelled,
        OrderEventKind::OrderRefundDue => proto::OrderEventKind::OrderRefundDue,
        OrderEventKind::OrderRefunded => proto::OrderEventKind::OrderRefunded,
    }
}

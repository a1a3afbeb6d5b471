//! What is told downstream of holds and orders, and who is told.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;

use super::{EventId, HoldId, OrderId, WebhookId};

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderEventKind {
    HoldsExpired,
    OrderCreated,
    OrderPaid,
    OrderCancelled,
    OrderRefundDue,
    OrderRefunded,
}

impl OrderEventKind {
    pub const ALL: [Self; 6] = [
        Self::HoldsExpired,
        Self::OrderCreated,
        Self::OrderPaid,
        Self::OrderCancelled,
        Self::OrderRefundDue,
        Self::OrderRefunded,
    ];

    /// Its name in Postgres and in webhooks.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HoldsExpired => "HOLDS_EXPIRED",
            Self::OrderCreated => "ORDER_CREATED",
            Self::OrderPaid => "ORDER_PAID",
            Self::OrderCancelled => "ORDER_CANCELLED",
            Self::OrderRefundDue => "ORDER_REFUND_DUE",
            Self::OrderRefunded => "ORDER_REFUNDED",
        }
    }
}

impl FromStr for OrderEventKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or("is no kind of order event")
    }
}

/// One thing that has happened, once it is numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// From 1 up, in the order in which readers can see them.
    pub sequence: i64,
    /// The same for every telling of it.
    pub order_event_id: i64,
    pub kind: OrderEventKind,
    pub event_id: EventId,
    /// `None` for `HoldsExpired`.
    pub order_id: Option<OrderId>,
    /// Of `HoldsExpired`.
    pub hold_ids: Vec<HoldId>,
    pub create_time: OffsetDateTime,
}

/// Which order events somebody wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All where empty.
    pub kinds: Vec<OrderEventKind>,
    /// All events' where `None`.
    pub event_id: Option<EventId>,
}

impl Wanted {
    pub fn takes(&self, event: &OrderEvent) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.event_id.as_ref().is_none_or(|event_id| *event_id == event.event_id)
    }
}

/// A URL that is called for each order event that it wants.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    pub webhook_id: WebhookId,
    pub url: String,
    pub wanted: Wanted,
    /// What its calls are signed with.
    pub secret: Vec<u8>,
    pub create_time: OffsetDateTime,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { webhook_id, wanted, .. } = self;
        f.debug_struct("Webhook")
            .field("webhook_id", webhook_id)
            .field("wanted", wanted)
            .finish_non_exhaustive()
    }
}

/// Whereto an order event is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The order's buyer.
    Mail,
    Webhook(WebhookId),
}

impl Target {
    /// Its kind, for metrics.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// A delivery that failed for good, or too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub delivery_id: i64,
    pub target: Target,
    pub event: OrderEvent,
    pub attempts: u32,
    pub last_error: String,
    pub end_time: OffsetDateTime,
}

/// Why something was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// It would be refused again.
    pub is_final: bool,
    /// For the operator; names no address and quotes nobody.
    pub why: String,
}

impl Undelivered {
    /// Worth another try.
    pub fn for_now(why: impl Into<String>) -> Self {
        Self { is_final: false, why: why.into() }
    }

    /// Not worth another try.
    pub fn for_good(why: impl Into<String>) -> Self {
        Self { is_final: true, why: why.into() }
    }
}

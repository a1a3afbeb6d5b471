//! All that the service says no for.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use super::{
    AreaId, EventId, EventState, HoldId, HolderId, OrderId, OrderState, PaymentReference, RefundId,
    Role, SeatId, SeatStatus, TicketId, WaitingEntryId, WebhookId,
};
use crate::limits::{MAX_OPEN_ENTRIES_PER_HOLDER, MAX_WEBHOOKS};

/// A field that cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Its path in the request, such as `chart.sections[2].name`.
    pub field: String,
    /// What it would have to be.
    pub description: String,
}

impl Display for FieldViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, description } = self;
        if field.is_empty() { f.write_str(description) } else { write!(f, "{field} {description}") }
    }
}

/// An area with fewer units left than asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    pub area_id: AreaId,
    pub asked: u32,
    pub available: u32,
}

/// Which of an event's limits was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventLimit {
    UnitsPerHold,
    UnitsPerHolder,
    HoldsPerHolder,
}

/// A definite no: nothing was changed, and the same request would be refused
/// again until something else changes.
///
/// In the order in which the checks are made, so that one input has one
/// answer: who may not call, what is malformed, what does not exist, what the id was used for,
/// what the hold is at, what the event allows, what is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("credentials that the server can take are needed")]
    Unauthenticated,
    #[error("it takes the role {role}{}", match .bound_to {
        Some(holder_id) => format!("; yours is bound to holder {holder_id}"),
        None => String::new(),
    })]
    RoleRequired {
        /// The path of the method.
        method: String,
        /// The smallest role that may.
        role: Role,
        /// For whom alone the caller may call.
        bound_to: Option<HolderId>,
    },

    #[error("bad request: {}", list(.0))]
    InvalidField(Vec<FieldViolation>),

    #[error("there is no event {0}")]
    EventNotFound(EventId),
    #[error("the event has no seat {}", list(.0))]
    SeatNotFound(Vec<SeatId>),
    #[error("the event has no area {}", list(.0))]
    AreaNotFound(Vec<AreaId>),
    #[error("the holder has no hold {0}")]
    HoldNotFound(HoldId),
    #[error("there is no such place in the queue of event {0}")]
    PlaceNotFound(EventId),
    #[error("the holder has no entry {0} on the waiting list")]
    EntryNotFound(WaitingEntryId),

    #[error("there is no order {0}")]
    OrderNotFound(OrderId),
    #[error("the order has no valid ticket {}", list(.0))]
    TicketNotFound(Vec<TicketId>),
    #[error("there is no webhook {0}")]
    WebhookNotFound(WebhookId),

    #[error("event {0} exists, made with other content")]
    EventIdReused(EventId),
    #[error("the event has seat {} with other content", list(.0))]
    SeatIdReused(Vec<SeatId>),
    #[error("the event has area {} with other content", list(.0))]
    AreaIdReused(Vec<AreaId>),
    #[error("hold_id {0} was used before, with other content")]
    HoldIdReused(HoldId),

    #[error("refund_id {0} was used before, with other content")]
    RefundIdReused(RefundId),
    #[error("entry_id {0} was used before, with other content")]
    EntryIdReused(WaitingEntryId),

    #[error("hold {0} has run out")]
    HoldExpired(HoldId),
    #[error("hold {0} was released")]
    HoldReleased(HoldId),
    #[error("hold {0} was lost with the store that kept it")]
    HoldLost(HoldId),
    #[error("hold {0} is being confirmed")]
    HoldConfirming(HoldId),
    #[error("hold {hold_id} was confirmed as order {order_id}")]
    HoldConfirmed { hold_id: HoldId, order_id: OrderId },
    #[error("payment_reference {0} paid for another hold")]
    PaymentReferenceUsed(PaymentReference),

    #[error("order {order_id} is {}", .state.as_str())]
    OrderState { order_id: OrderId, state: OrderState },
    #[error("{provider} does not take it: {why}")]
    PaymentNotTaken { provider: String, why: String },

    #[error("event {event_id} is {}", .state.as_str())]
    EventNotOnSale { event_id: EventId, state: EventState },
    #[error("event {0} has no waiting room")]
    NoWaitingRoom(EventId),
    #[error("event {0} lets in by its waiting room alone, and the admission_token is not good")]
    AdmissionRequired(EventId),
    #[error("kept for a channel: {}", list(.seats.iter().map(SeatId::as_str)
        .chain(.areas.iter().map(AreaId::as_str))))]
    ChannelRequired { seats: Vec<SeatId>, areas: Vec<AreaId> },
    #[error("the holder let too many holds run out; the next may be made in {} s", .0.as_secs())]
    HolderCoolingDown(Duration),
    #[error("over the limit of {limit} {}", match .which {
        EventLimit::UnitsPerHold => "units for one hold",
        EventLimit::UnitsPerHolder => "units for one holder",
        EventLimit::HoldsPerHolder => "open holds for one holder",
    })]
    LimitExceeded {
        which: EventLimit,
        limit: u32,
        /// What the holder has already; 0 for the limit of one hold.
        used: u32,
        asked: u32,
    },

    #[error("the holder has {MAX_OPEN_ENTRIES_PER_HOLDER} entries on the waiting list already")]
    TooManyEntries,
    #[error("there are {MAX_WEBHOOKS} webhooks already")]
    TooManyWebhooks,

    #[error("not available: {}", list(.0.iter().map(|(id, _)| id)))]
    SeatUnavailable(Vec<(SeatId, SeatStatus)>),
    #[error("too few units left in {}", list(.0.iter().map(|area| &area.area_id)))]
    InsufficientCapacity(Vec<Shortage>),
    #[error("there are no {0} such seats together")]
    NoSuchSeatsTogether(u32),
    #[error("left alone: {}", list(.0))]
    OrphanSeat(Vec<SeatId>),
}

impl Refusal {
    /// A refusal of one field.
    pub fn field(field: &str, description: impl Into<String>) -> Self {
        Self::InvalidField(vec![FieldViolation {
            field: field.into(),
            description: description.into(),
        }])
    }
}

/// Things for a sentence, as many as it bears, and how many more there are.
fn list<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    const LONGEST: usize = 250;
    let (mut shown, mut more) = (String::new(), 0);
    for thing in things {
        let thing = thing.to_string();
        if more > 0 || (!shown.is_empty() && shown.len() + thing.len() > LONGEST) {
            more += 1;
        } else {
            let comma = if shown.is_empty() { "" } else { ", " };
            shown = shown + comma + &thing;
        }
    }
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

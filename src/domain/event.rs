//! An event's own fields: what it is, and by which rules its seats are held.

use std::time::Duration;

use time::OffsetDateTime;

use super::EventId;

/// Whether an event sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    Draft,
    OnSale,
    Paused,
    Closed,
}

impl EventState {
    /// Its name in both stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::OnSale => "ON_SALE",
            Self::Paused => "PAUSED",
            Self::Closed => "CLOSED",
        }
    }

    /// From its name in the stores.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Draft, Self::OnSale, Self::Paused, Self::Closed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// How far a hold outlives the store that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldDurability {
    /// As long as Redis has it; the journal follows within about a second.
    Fast,
    /// It is in the journal before it is answered.
    Journaled,
}

impl HoldDurability {
    /// Its name in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "FAST",
            Self::Journaled => "JOURNALED",
        }
    }

    /// From its name in Postgres.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Fast, Self::Journaled].into_iter().find(|durability| durability.as_str() == name)
    }
}

/// What becomes of a payment that comes after its hold has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatePayment {
    /// The places are taken again where all of them are free.
    Accept,
    /// The money is to be given back.
    Refund,
}

impl LatePayment {
    /// Its name in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Refund => "REFUND",
        }
    }

    /// From its name in Postgres.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Accept, Self::Refund].into_iter().find(|late| late.as_str() == name)
    }
}

/// Something that people attend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub event_id: EventId,
    pub name: String,
    pub venue: String,
    pub city: String,
    pub start_time: OffsetDateTime,
    pub state: EventState,
    /// How long a hold lasts that names no ttl of its own.
    pub hold_ttl: Duration,
    /// The longest time from a hold's making to its expiry.
    pub max_hold_time: Duration,
    /// Seats and area units of one hold.
    pub max_units_per_hold: u32,
    /// Seats and area units of one holder, held and sold together; 0 is no
    /// limit.
    pub max_units_per_holder: u32,
    pub hold_durability: HoldDurability,
    /// How long an order may wait for its payment.
    pub payment_window: Duration,
    pub late_payment: LatePayment,
    pub create_time: OffsetDateTime,
    pub update_time: OffsetDateTime,
}

/// New values for some of an event's fields.
#[derive(Debug, Clone, Default)]
pub struct EventChange {
    pub name: Option<String>,
    pub venue: Option<String>,
    pub city: Option<String>,
    pub start_time: Option<OffsetDateTime>,
    pub state: Option<EventState>,
    pub hold_ttl: Option<Duration>,
    pub max_hold_time: Option<Duration>,
    pub max_units_per_hold: Option<u32>,
    pub max_units_per_holder: Option<u32>,
    pub hold_durability: Option<HoldDurability>,
    pub payment_window: Option<Duration>,
    pub late_payment: Option<LatePayment>,
}

impl EventChange {
    /// Puts the new values in place of the old ones.
    pub fn apply(self, event: &mut Event) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut event.name, self.name);
        set(&mut event.venue, self.venue);
        set(&mut event.city, self.city);
        set(&mut event.start_time, self.start_time);
        set(&mut event.state, self.state);
        set(&mut event.hold_ttl, self.hold_ttl);
        set(&mut event.max_hold_time, self.max_hold_time);
        set(&mut event.max_units_per_hold, self.max_units_per_hold);
        set(&mut event.max_units_per_holder, self.max_units_per_holder);
        set(&mut event.hold_durability, self.hold_durability);
        set(&mut event.payment_window, self.payment_window);
        set(&mut event.late_payment, self.late_payment);
    }
}

/// A page of a list of events, in the order of (`start_time`, `event_id`).
#[derive(Debug, Clone)]
pub struct Paging {
    pub page_size: u32,
    /// The last event of the page before.
    pub after: Option<(OffsetDateTime, EventId)>,
}

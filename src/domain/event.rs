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

/// What is done where chosen seats leave a single one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanPolicy {
    Off,
    /// The answer names the seats left alone.
    Warn,
    Refuse,
}

impl OrphanPolicy {
    /// Its name in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Warn => "WARN",
            Self::Refuse => "REFUSE",
        }
    }

    /// From its name in Postgres.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Off, Self::Warn, Self::Refuse].into_iter().find(|policy| policy.as_str() == name)
    }
}

/// Whether, and at what pace, a queue stands before the sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingRoom {
    Off,
    /// So many a minute.
    Rate,
    /// At that pace, too, but no more at a time than there are free units for.
    Inventory,
}

impl WaitingRoom {
    /// Its name in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Rate => "RATE",
            Self::Inventory => "INVENTORY",
        }
    }

    /// From its name in Postgres.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Off, Self::Rate, Self::Inventory].into_iter().find(|room| room.as_str() == name)
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
    /// Holds that one holder may have open at a time; 0 is no limit.
    pub max_holds_per_holder: u32,
    pub hold_durability: HoldDurability,
    /// How long an order may wait for its payment.
    pub payment_window: Duration,
    pub late_payment: LatePayment,
    pub orphan_policy: OrphanPolicy,
    pub waiting_room: WaitingRoom,
    pub admissions_per_minute: u32,
    /// How long somebody who was let in may make holds.
    pub admission_ttl: Duration,
    /// Holds that one holder may let run out, one after the other; 0 is no limit.
    pub max_expired_holds: u32,
    /// How long after the last of them no other is made.
    pub cool_down: Duration,
    /// How long what is offered to the waiting list stays.
    pub offer_ttl: Duration,
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
    pub max_holds_per_holder: Option<u32>,
    pub hold_durability: Option<HoldDurability>,
    pub payment_window: Option<Duration>,
    pub late_payment: Option<LatePayment>,
    pub orphan_policy: Option<OrphanPolicy>,
    pub waiting_room: Option<WaitingRoom>,
    pub admissions_per_minute: Option<u32>,
    pub admission_ttl: Option<Duration>,
    pub max_expired_holds: Option<u32>,
    pub cool_down: Option<Duration>,
    pub offer_ttl: Option<Duration>,
}

impl EventChange {
    /// An event of these values; `None` where one is missing. Postgres' clock tells its
    /// times.
    pub fn into_event(self, event_id: EventId) -> Option<Event> {
        Some(Event {
            event_id,
            name: self.name?,
            venue: self.venue?,
            city: self.city?,
            start_time: self.start_time?,
            state: self.state?,
            hold_ttl: self.hold_ttl?,
            max_hold_time: self.max_hold_time?,
            max_units_per_hold: self.max_units_per_hold?,
            max_units_per_holder: self.max_units_per_holder?,
            max_holds_per_holder: self.max_holds_per_holder?,
            hold_durability: self.hold_durability?,
            payment_window: self.payment_window?,
            late_payment: self.late_payment?,
            orphan_policy: self.orphan_policy?,
            waiting_room: self.waiting_room?,
            admissions_per_minute: self.admissions_per_minute?,
            admission_ttl: self.admission_ttl?,
            max_expired_holds: self.max_expired_holds?,
            cool_down: self.cool_down?,
            offer_ttl: self.offer_ttl?,
            create_time: OffsetDateTime::UNIX_EPOCH,
            update_time: OffsetDateTime::UNIX_EPOCH,
        })
    }

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
        set(&mut event.max_holds_per_holder, self.max_holds_per_holder);
        set(&mut event.hold_durability, self.hold_durability);
        set(&mut event.payment_window, self.payment_window);
        set(&mut event.late_payment, self.late_payment);
        set(&mut event.orphan_policy, self.orphan_policy);
        set(&mut event.waiting_room, self.waiting_room);
        set(&mut event.admissions_per_minute, self.admissions_per_minute);
        set(&mut event.admission_ttl, self.admission_ttl);
        set(&mut event.max_expired_holds, self.max_expired_holds);
        set(&mut event.cool_down, self.cool_down);
        set(&mut event.offer_ttl, self.offer_ttl);
    }
}

/// A page of a list of events, in the order of (`start_time`, `event_id`).
#[derive(Debug, Clone)]
pub struct Paging {
    pub page_size: u32,
    /// The last event of the page before.
    pub after: Option<(OffsetDateTime, EventId)>,
}

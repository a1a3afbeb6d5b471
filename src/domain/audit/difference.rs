//! Every way in which the stores can differ, and what it means.

use std::fmt;

use super::Seen;
use crate::domain::{AreaState, Epoch, HoldId, OrderId, Position, SeatStatus};

/// One difference. Two are equal where they say the same of the same thing:
/// what moves with time is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Difference {
    NotLoaded,
    OtherEpoch { redis: Epoch, postgres: Epoch },
    LogEnd { log: Option<Position>, position: Position },
    Rule { name: String, redis: String, postgres: String },
    AreaCapacity { area: String, redis: i64, postgres: u32 },
    JournalStands { at: Position },
    OutboxOpen { outbox_id: i64, hold: Option<HoldId> },

    SoldSeat { seat: String, hold: HoldId, redis: Seen },
    SoldWithoutTicket { seat: String, hold: HoldId },
    BlockedSeat { seat: String, redis: Seen },
    BlockedInRedis { seat: String },
    SeatWithoutHold { seat: String, hold: HoldId },
    HoldWithoutSeat { hold: HoldId, seat: String, redis: Seen },
    AreaCount { area: String, offered: i64 },
    HolderCount { holder: String, counted: i64 },
    HolderHolds { holder: String, counted: i64 },

    HoldNotDue { hold: HoldId },
    HoldDueAt { hold: HoldId, due_ms: i64, expected_ms: i64 },
    DueWithoutHold { hold: HoldId },
    Overdue { hold: HoldId, due_ms: i64 },
    EndedHoldLives { hold: HoldId, outcome: &'static str },
    NotJournaled { hold: HoldId },
    JournaledOtherwise { hold: HoldId, what: &'static str },
    MissingHold { hold: HoldId },
    LostHold { hold: HoldId },

    NoJournalCursor,
    ConfirmedWithoutOrder { hold: HoldId },
    OrderWithoutOutcome { order: OrderId, hold: HoldId },
    OrderTotal { order: OrderId, total_micros: i64, tickets_micros: i64 },
    OrderTickets { order: OrderId, what: &'static str },
    OrderMoney { order: OrderId, what: String },
    AreaSold { area: String, sold: u32, tickets: u32 },

    StreamSeat { server: String, seat: String, told: Option<SeatStatus>, redis: SeatStatus },
    StreamArea { server: String, area: String, told: Option<AreaState>, redis: AreaState },
    StreamSilent { server: String, after: Position },
}

/// By what step of the protocol a difference is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Load the event into Redis.
    Load,
    /// Tell Redis the outcome of the hold.
    Finish(HoldId),
    /// Journal the hold as Redis has it.
    Journal(HoldId),
    /// What the jobs do: follow the log, repeat the outbox, end what is due.
    Jobs,
    /// Bring the event's rules in Redis up to date.
    Configure,
    /// Do the second half of BlockSeats.
    Block,
    /// Build the event anew, in a new epoch.
    Rebuild,
    /// By no step: a person has to look.
    Person,
}

/// A difference's name for metrics and machines.
pub type Kind = &'static str;

impl Difference {
    /// Whether places that are given back just now may be all of it.
    pub fn may_come_back(&self) -> bool {
        matches!(
            self,
            Self::SoldWithoutTicket { .. } | Self::AreaCount { .. } | Self::HolderCount { .. }
        )
    }

    /// Every kind that counts, for a metric of each.
    pub const KINDS: [Kind; 34] = [
        "not_loaded",
        "other_epoch",
        "log_end",
        "rule",
        "area_capacity",
        "journal_stands",
        "outbox_open",
        "sold_seat",
        "sold_without_ticket",
        "blocked_seat",
        "blocked_in_redis",
        "seat_without_hold",
        "hold_without_seat",
        "area_count",
        "holder_count",
        "holder_holds",
        "hold_not_due",
        "hold_due_at",
        "due_without_hold",
        "overdue",
        "ended_hold_lives",
        "not_journaled",
        "journaled_otherwise",
        "missing_hold",
        "no_journal_cursor",
        "confirmed_without_order",
        "order_without_outcome",
        "order_total",
        "order_tickets",
        "order_money",
        "area_sold",
        "stream_seat",
        "stream_area",
        "stream_silent",
    ];

    pub fn kind(&self) -> Kind {
        match self {
            Self::NotLoaded => "not_loaded",
            Self::OtherEpoch { .. } => "other_epoch",
            Self::LogEnd { .. } => "log_end",
            Self::Rule { .. } => "rule",
            Self::AreaCapacity { .. } => "area_capacity",
            Self::JournalStands { .. } => "journal_stands",
            Self::OutboxOpen { .. } => "outbox_open",
            Self::SoldSeat { .. } => "sold_seat",
            Self::SoldWithoutTicket { .. } => "sold_without_ticket",
            Self::BlockedSeat { .. } => "blocked_seat",
            Self::BlockedInRedis { .. } => "blocked_in_redis",
            Self::SeatWithoutHold { .. } => "seat_without_hold",
            Self::HoldWithoutSeat { .. } => "hold_without_seat",
            Self::AreaCount { .. } => "area_count",
            Self::HolderCount { .. } => "holder_count",
            Self::HolderHolds { .. } => "holder_holds",
            Self::HoldNotDue { .. } => "hold_not_due",
            Self::HoldDueAt { .. } => "hold_due_at",
            Self::DueWithoutHold { .. } => "due_without_hold",
            Self::Overdue { .. } => "overdue",
            Self::EndedHoldLives { .. } => "ended_hold_lives",
            Self::NotJournaled { .. } => "not_journaled",
            Self::JournaledOtherwise { .. } => "journaled_otherwise",
            Self::MissingHold { .. } => "missing_hold",
            Self::LostHold { .. } => "lost_hold",
            Self::NoJournalCursor => "no_journal_cursor",
            Self::ConfirmedWithoutOrder { .. } => "confirmed_without_order",
            Self::OrderWithoutOutcome { .. } => "order_without_outcome",
            Self::OrderTotal { .. } => "order_total",
            Self::OrderTickets { .. } => "order_tickets",
            Self::OrderMoney { .. } => "order_money",
            Self::AreaSold { .. } => "area_sold",
            Self::StreamSeat { .. } => "stream_seat",
            Self::StreamArea { .. } => "stream_area",
            Self::StreamSilent { .. } => "stream_silent",
        }
    }

    /// Whether something is wrong. A hold that was lost with Redis, and whose
    /// items others have taken, is worth a line; but its end is what the service
    /// promises for that case.
    pub fn counts(&self) -> bool {
        !matches!(self, Self::LostHold { .. })
    }

    pub fn mend(&self) -> Mend {
        match self {
            Self::NotLoaded | Self::OtherEpoch { .. } => Mend::Load,
            Self::SoldSeat { hold, .. } | Self::EndedHoldLives { hold, .. } => Mend::Finish(*hold),
            // The journal keeps its row of an earlier use of the id.
            Self::JournaledOtherwise { what: "holder" | "content", .. } => Mend::Person,
            Self::NotJournaled { hold } | Self::JournaledOtherwise { hold, .. } => {
                Mend::Journal(*hold)
            }
            Self::JournalStands { .. } | Self::OutboxOpen { .. } | Self::Overdue { .. } => {
                Mend::Jobs
            }
            Self::Rule { .. } | Self::AreaCapacity { .. } => Mend::Configure,
            Self::BlockedSeat { .. } | Self::BlockedInRedis { .. } => Mend::Block,
            Self::LogEnd { .. }
            | Self::SoldWithoutTicket { .. }
            | Self::SeatWithoutHold { .. }
            | Self::HoldWithoutSeat { .. }
            | Self::AreaCount { .. }
            | Self::HolderCount { .. }
            | Self::HolderHolds { .. }
            | Self::HoldNotDue { .. }
            | Self::HoldDueAt { .. }
            | Self::DueWithoutHold { .. }
            | Self::MissingHold { .. } => Mend::Rebuild,
            _ => Mend::Person,
        }
    }

    /// The seat that it is about.
    pub fn seat(&self) -> Option<&str> {
        match self {
            Self::SoldSeat { seat, .. }
            | Self::SoldWithoutTicket { seat, .. }
            | Self::BlockedSeat { seat, .. }
            | Self::BlockedInRedis { seat }
            | Self::SeatWithoutHold { seat, .. }
            | Self::HoldWithoutSeat { seat, .. }
            | Self::StreamSeat { seat, .. } => Some(seat),
            _ => None,
        }
    }

    /// The hold that it is about.
    pub fn hold(&self) -> Option<HoldId> {
        match self {
            Self::OutboxOpen { hold, .. } => *hold,
            Self::SoldSeat { hold, .. }
            | Self::SoldWithoutTicket { hold, .. }
            | Self::SeatWithoutHold { hold, .. }
            | Self::HoldWithoutSeat { hold, .. }
            | Self::HoldNotDue { hold }
            | Self::HoldDueAt { hold, .. }
            | Self::DueWithoutHold { hold }
            | Self::Overdue { hold, .. }
            | Self::EndedHoldLives { hold, .. }
            | Self::NotJournaled { hold }
            | Self::JournaledOtherwise { hold, .. }
            | Self::MissingHold { hold }
            | Self::LostHold { hold }
            | Self::ConfirmedWithoutOrder { hold }
            | Self::OrderWithoutOutcome { hold, .. } => Some(*hold),
            _ => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SoldSeat { .. }
            | Self::SoldWithoutTicket { .. }
            | Self::BlockedSeat { .. }
            | Self::BlockedInRedis { .. }
            | Self::SeatWithoutHold { .. }
            | Self::HoldWithoutSeat { .. }
            | Self::AreaCount { .. }
            | Self::HolderCount { .. }
            | Self::HolderHolds { .. } => self.of_a_place(f),
            Self::HoldNotDue { .. }
            | Self::HoldDueAt { .. }
            | Self::DueWithoutHold { .. }
            | Self::Overdue { .. }
            | Self::EndedHoldLives { .. }
            | Self::NotJournaled { .. }
            | Self::JournaledOtherwise { .. }
            | Self::MissingHold { .. }
            | Self::LostHold { .. } => self.of_a_hold(f),
            Self::NoJournalCursor
            | Self::ConfirmedWithoutOrder { .. }
            | Self::OrderWithoutOutcome { .. }
            | Self::OrderTotal { .. }
            | Self::OrderTickets { .. }
            | Self::OrderMoney { .. }
            | Self::AreaSold { .. } => self.of_postgres(f),
            Self::StreamSeat { .. } | Self::StreamArea { .. } | Self::StreamSilent { .. } => {
                self.of_a_stream(f)
            }
            _ => self.of_the_event(f),
        }
    }
}

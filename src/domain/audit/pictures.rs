//! One event as each store has it.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::Difference;
use crate::domain::{
    AreaIndex, AreaState, Epoch, HoldId, HoldRecord, HoldState, HolderId, Outcome, Position,
    SeatIndex, SeatStatus,
};

/// The names of an event's rules, which are those of the fields that Redis has
/// them in.
pub const RULES: [&str; 9] = [
    "state",
    "hold_ttl_ms",
    "max_hold_ms",
    "max_units_per_hold",
    "max_units_per_holder",
    "journaled",
    "max_expired_holds",
    "cool_down_ms",
    MAX_HOLDS_PER_HOLDER,
];
/// Where this one is 0, Redis does not count holds.
const MAX_HOLDS_PER_HOLDER: &str = "max_holds_per_holder";

/// What Redis says of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    Free,
    Held(HoldId),
    Sold(HoldId),
    Blocked,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("available"),
            Self::Held(hold) => write!(f, "held by hold {hold}"),
            Self::Sold(hold) => write!(f, "sold to hold {hold}"),
            Self::Blocked => f.write_str("blocked"),
        }
    }
}

/// What Redis counts of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Held and owned.
    pub units: i64,
    /// Open holds, where the event limits them.
    pub holds: i64,
}

/// Redis, at one position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisPicture {
    /// Redis' clock, ms since 1970.
    pub now_ms: i64,
    pub position: Position,
    /// The last entry of the log.
    pub log_end: Option<Position>,
    pub revision: u64,
    pub seat_count: usize,
    /// The rules that the scripts check, by name.
    pub rules: Vec<(String, String)>,
    /// Seats that are not available.
    pub seats: HashMap<SeatIndex, Seen>,
    /// Active and confirming holds.
    pub holds: HashMap<HoldId, HoldRecord>,
    /// When each hold is due to be ended, ms since 1970.
    pub due: HashMap<HoldId, i64>,
    /// Free units and capacity, by area index.
    pub areas: Vec<(i64, i64)>,
    /// What is counted of each holder.
    pub holders: HashMap<HolderId, Counted>,
    /// Read after Postgres' picture: holds of recent sales, and journaled holds
    /// that are not among `holds`.
    pub later: HashMap<HoldId, HoldRecord>,
}

impl RedisPicture {
    pub fn seat(&self, seat: SeatIndex) -> Seen {
        self.seats.get(&seat).copied().unwrap_or(Seen::Free)
    }

    /// Whether Redis counts holds, as its own rule says.
    pub fn counts_holds(&self) -> bool {
        self.rules.iter().any(|(name, value)| name == MAX_HOLDS_PER_HOLDER && value != "0")
    }
}

/// Whether a hold has its items still.
pub(super) fn is_live(record: &HoldRecord) -> bool {
    matches!(record.state, HoldState::Active | HoldState::Confirming)
}

/// An area as Postgres has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AreaBook {
    pub capacity: u32,
    /// The counter that the sales move.
    pub sold: u32,
    pub tickets: u32,
}

/// A hold in the journal.
#[derive(Debug, Clone)]
pub struct JournalRow {
    pub record: HoldRecord,
    /// Without an outcome, and not run out by Postgres' clock.
    pub is_live: bool,
}

/// A sale so young that Redis may not have been told of it when its picture was
/// taken.
#[derive(Debug, Clone)]
pub struct RecentSale {
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    /// Seats and area units together.
    pub units: u32,
    pub areas: Vec<(AreaIndex, u32)>,
}

/// Postgres, in one snapshot that was taken after Redis' picture.
#[derive(Debug, Clone, Default)]
pub struct PostgresPicture {
    pub epoch: Epoch,
    pub revision: u64,
    pub seat_count: usize,
    /// As [`RedisPicture::rules`] should be.
    pub rules: Vec<(String, String)>,
    /// Whether the jobs look after the event.
    pub is_active: bool,
    /// How far the journal has followed the log; it is never absent in health.
    pub cursor: Option<Position>,
    pub blocked: HashSet<SeatIndex>,
    pub sold: HashMap<SeatIndex, HoldId>,
    /// By area index.
    pub areas: Vec<AreaBook>,
    /// Units that each holder owns.
    pub owned: HashMap<HolderId, u32>,
    /// Of the holds that live in Redis, and all that are live here.
    pub journal: HashMap<HoldId, JournalRow>,
    /// Of the holds that live in Redis.
    pub outcomes: HashMap<HoldId, Outcome>,
    pub recent: Vec<RecentSale>,
    /// Places of refunds come back these days: what Redis and Postgres count of them
    /// cannot be compared, for no sale says by how much they may differ.
    pub gives_back: bool,
    /// What Postgres contradicts itself in, and what it was to tell Redis long
    /// ago.
    pub own: Vec<Difference>,
}

/// The house as a stream tells it, or should: every seat and area, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct House {
    pub seats: HashMap<String, SeatStatus>,
    pub areas: HashMap<String, AreaState>,
}

//! What happened in a run, a JSON object a line, in the order in which the rig
//! wrote it. Times are µs of the rig's monotonic clock since the run began.

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Line {
    Begin(Begin),
    Event(Event),
    Call(Call),
    Stream(Stream),
    Log(Log),
    Fault(Fault),
    Final(Final),
}

/// The run itself, its first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    pub seed: u64,
    pub mutant: Option<String>,
    /// What Redis is: `single`, `sentinel`, `cluster`.
    pub topology: String,
}

/// An event of the run; its seats and areas in the order of their indexes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub event_id: String,
    /// Whether its `hold_durability` is JOURNALED.
    pub journaled: bool,
    pub seat_ids: Vec<String>,
    /// Each with its capacity.
    pub areas: Vec<(String, u32)>,
}

/// One call, and what came of it. A retry is a call of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its number in the run.
    pub id: u64,
    pub client: u32,
    pub server: u32,
    pub start_us: u64,
    pub end_us: u64,
    pub event_id: String,
    pub operation: Operation,
    pub answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    Hold {
        hold_id: String,
        holder_id: String,
        items: Items,
        ttl_ms: Option<u64>,
    },
    ExtendHold {
        hold_id: String,
        holder_id: String,
        ttl_ms: u64,
    },
    /// Nothing named releases all.
    Release {
        hold_id: String,
        holder_id: String,
        items: Items,
    },
    Confirm {
        hold_id: String,
        holder_id: String,
        payment_reference: String,
    },
    GetHold {
        hold_id: String,
    },
    GetSeatMap,
}

/// Seats, and units of areas.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Items {
    pub seat_ids: Vec<String>,
    pub areas: Vec<(String, u32)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Hold(Hold),
    Order(Order),
    SeatMap {
        seats: Vec<(String, Status)>,
        /// Each with what is available.
        areas: Vec<(String, u32)>,
        resume_token: String,
    },
    /// A definite no: the reason, by its name in the contract, and the seats
    /// or areas that it names.
    No {
        code: String,
        reason: String,
        named: Vec<String>,
    },
    /// Nothing was changed, by its own word: STORE_UNAVAILABLE, OVERLOADED.
    Unavailable {
        code: String,
        reason: String,
    },
    /// It may or may not have taken effect: OUTCOME_UNKNOWN, a broken
    /// connection, a deadline, a cancelled call.
    Unknown {
        code: String,
        reason: String,
    },
    /// No answer that the contract has: an INTERNAL, for one.
    Fault {
        code: String,
        reason: String,
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub hold_id: String,
    pub holder_id: String,
    pub items: Items,
    /// By its name in the contract: `ACTIVE`, ...
    pub state: String,
    /// Ms since 1970 by Redis' clock.
    pub create_ms: i64,
    pub expire_ms: i64,
    pub order_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub order_id: String,
    pub hold_id: String,
    pub holder_id: String,
    pub payment_reference: String,
    /// Seat or area of each ticket.
    pub tickets: Vec<Ticket>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    pub ticket_id: String,
    pub seat_id: Option<String>,
    pub area_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Available,
    Held,
    Sold,
    Blocked,
}

/// What one reader of a stream saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    pub reader: u32,
    pub server: u32,
    pub at_us: u64,
    pub event_id: String,
    pub message: Message,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// The stream was opened with this token; empty asks for a snapshot.
    Opened {
        resume_token: String,
    },
    Snapshot {
        seats: Vec<(String, Status)>,
        areas: Vec<(String, u32)>,
        last: bool,
        resume_token: String,
    },
    Updates {
        seats: Vec<(String, Status)>,
        areas: Vec<(String, u32)>,
        resume_token: String,
    },
    Heartbeat {
        resume_token: String,
    },
    /// The stream ended, or the reader cut it (`CUT`).
    Ended {
        code: String,
    },
}

/// One entry of an event's log in Redis, read by the rig beside the servers.
/// What Redis loses before the rig has read it is missing here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Log {
    pub event_id: String,
    /// When the rig read it.
    pub at_us: u64,
    pub epoch: u64,
    pub seq: u64,
    /// Redis' clock, ms since 1970.
    pub at_ms: i64,
    /// The state was built anew, from what Postgres had.
    pub reset: bool,
    pub seats: Vec<(String, Status)>,
    pub areas: Vec<(String, u32)>,
    /// Holds as they are after the change.
    pub holds: Vec<Hold>,
    /// Holds that were expired in passing.
    pub expired: Vec<String>,
}

/// A fault, from its beginning to when all was as before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: String,
    pub target: String,
    pub start_us: u64,
    pub end_us: u64,
    /// Whether Redis may have forgotten what it had answered.
    pub loses_redis: bool,
    /// What exactly was done.
    pub detail: String,
}

/// Both stores at rest, once every fault has ended and every hold has run out
/// or was sold; one line an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Final {
    pub event_id: String,
    pub at_us: u64,
    pub orders: Vec<Order>,
    /// Outcome of each hold that has one: `confirmed`, `released`, `expired`,
    /// `lost`, with the order of a confirmed one.
    pub outcomes: Vec<(String, String, Option<String>)>,
    /// Holds of the journal that have no outcome.
    pub open_holds: Vec<String>,
    /// Each area with its capacity and units sold.
    pub areas_sold: Vec<(String, u32, u32)>,
    /// Rows of the outbox that are not done.
    pub outbox_open: u32,
    /// Redis' own: each seat that is not available, and who has it.
    pub redis_seats: Vec<(String, Status, Option<String>)>,
    /// Free units of each area, by Redis.
    pub redis_areas: Vec<(String, u32)>,
    /// Live holds in Redis.
    pub redis_holds: Vec<String>,
    /// Each server's map, by GetSeatMap: seats, and what is available of each
    /// area.
    pub maps: Vec<(u32, Vec<(String, Status)>, Vec<(String, u32)>)>,
    /// What `holdfast audit` printed, if it found anything.
    pub audit: Vec<String>,
}

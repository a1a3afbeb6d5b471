//! All that there is in the modelled world: Redis, Postgres, what servers are
//! in the middle of, and what customers were told.

pub const HOLDS: usize = 2;
pub const SEATS: usize = 2;

/// A hold's id; its customer has the same number.
pub type HoldId = u8;
/// A tick of Redis' clock.
pub type Tick = u8;

/// Seats as a set of bits, and units of the one area.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Items {
    pub seats: u8,
    pub units: i8,
}

impl Items {
    pub const fn new(seats: u8, units: i8) -> Self {
        Self { seats, units }
    }

    pub fn seat_numbers(self) -> impl Iterator<Item = usize> {
        (0..SEATS).filter(move |seat| self.seats & (1 << seat) != 0)
    }
}

/// How a hold ends.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Confirmed,
    Released,
    Expired,
    Lost,
}

impl Outcome {
    /// Its bit among the verdicts that a customer was told.
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Where something stands in the event's log: epoch, then sequence.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub epoch: u8,
    pub seq: u8,
}

/// What an event's `hold_durability` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Fast,
    Journaled,
}

// ---- Redis

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seat {
    Free,
    Held(HoldId),
    Sold(HoldId),
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldState {
    Active,
    Confirming,
    Ended(Outcome),
}

/// A hold as Redis has it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub state: HoldState,
    pub expires: Tick,
    pub items: Items,
    /// The log's sequence when it was last made, repeated or changed.
    pub seq: u8,
}

/// A log entry, as far as the journal needs it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub at: Position,
    pub hold: Option<(HoldId, Row)>,
    /// Holds that were expired in passing, as a set of bits.
    pub expired: u8,
}

/// An event's state in Redis: all keys of one hash slot.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// The incarnation that it was built in.
    pub built_in: u8,
    pub epoch: u8,
    pub seq: u8,
    pub seats: [Seat; SEATS],
    pub free_units: i8,
    pub holds: [Option<Record>; HOLDS],
    pub log: Vec<Entry>,
}

/// A Redis server that takes itself for the master.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Redis {
    pub incarnation: u8,
    /// The incarnation that connections from before a mere change of
    /// `master_replid` still carry.
    pub before: Option<u8>,
    pub event: Option<Event>,
}

/// Which connection a call takes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Link {
    Main,
    /// To the same server, made before its `master_replid` changed.
    MainOld,
    /// To a master that was replaced and does not know it yet.
    Deposed,
}

pub const LINKS: [Link; 3] = [Link::Main, Link::MainOld, Link::Deposed];

// ---- Postgres

/// A hold in the journal.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub at: Position,
    pub expires: Tick,
    pub items: Items,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Postgres {
    pub epoch: u8,
    /// How far the journal has followed the log.
    pub cursor: Position,
    pub journal: [Option<Row>; HOLDS],
    pub outcomes: [Option<Outcome>; HOLDS],
    /// What each hold's order has.
    pub tickets: [Items; HOLDS],
    /// Sales that Redis is still to be told of.
    pub outbox: [bool; HOLDS],
}

/// What the log tells after the cursor.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Batch {
    pub from: Position,
    pub entries: Vec<Entry>,
}

// ---- Servers

/// The call that a task is for, and so who is answered.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Hold,
    Extend,
    /// A Release of the second seat alone.
    Reduce,
    Release,
    Confirm,
    /// The expiry job; nobody is answered.
    Expire,
}

/// One statement that has been sent to Postgres.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statement {
    Sell { hold: HoldId, epoch: u8, items: Items },
    Journal { hold: HoldId, row: Row },
}

/// What a server is in the middle of: its next step.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Hold, with the guard off that makes its script one step: seats were
    /// found free, and are still to be taken.
    Take { hold: HoldId },
    /// JOURNALED: the row is on its way to Postgres, the answer waits for it.
    Journal { hold: HoldId, row: Row, verb: Verb, made_it: bool },
    /// JOURNALED: nothing was written; the hold is undone.
    GiveBack { hold: HoldId, at: Position, made_it: bool },
    /// Confirm: fence, once more, in another epoch.
    Fence { hold: HoldId },
    /// Confirm: the sale is on its way to Postgres.
    Sell { hold: HoldId, epoch: u8, items: Items },
    /// Redis does not have the hold: Postgres tells.
    Look { hold: HoldId, epoch: u8, verb: Verb, overtaken: bool },
    /// The outcome row is on its way to Postgres. `overtaken` is for the
    /// properties alone: a Hold has made the hold anew since Redis was asked.
    Settle { hold: HoldId, epoch: u8, outcome: Outcome, verb: Verb, overtaken: bool },
    /// Postgres has decided: Redis is told, then the caller.
    Finish { hold: HoldId, epoch: u8, outcome: Outcome, verb: Verb },
}

/// A load of the event into Redis, at its next step.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub enum Load {
    /// The log is read; what it has is still to be journaled.
    Salvage { link: Link, incarnation: u8, batch: Batch },
    /// A new epoch is to begin.
    Begin { link: Link, incarnation: u8 },
    /// The new state is on its way to Redis.
    Build { link: Link, incarnation: u8, event: Event, sent: bool },
}

// ---- The world

/// What may still happen; each count goes down as it does.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub struct Left {
    /// Calls of each customer.
    pub holds: [u8; HOLDS],
    pub confirms: [u8; HOLDS],
    pub releases: [u8; HOLDS],
    pub extends: [u8; HOLDS],
    pub reduces: [u8; HOLDS],
    /// Redis comes back empty, older, or as two.
    pub losses: u8,
    /// Redis forgets everything, and goes on in the same incarnation.
    pub flushes: u8,
    /// Redis starts again with all it had.
    pub restarts: u8,
    /// `master_replid` changes without a loss.
    pub relabels: u8,
    /// A server dies in the middle of something.
    pub crashes: u8,
    /// A connection to Postgres breaks, and the backend goes on.
    pub breaks: u8,
    /// Postgres is out of reach when a hold is to be journaled.
    pub refusals: u8,
    /// A loader's session of Postgres ends, and its lock with it.
    pub lost_locks: u8,
}

/// What a customer may rely on, from an OK until `expires`.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct Promise {
    pub expires: Tick,
    pub items: Items,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct World {
    pub now: Tick,
    pub redis: Redis,
    pub deposed: Option<Redis>,
    /// What a replica or a file on disk has.
    pub saved: Option<Event>,
    pub last_incarnation: u8,
    pub postgres: Postgres,
    /// Sorted: servers are alike.
    pub tasks: Vec<Task>,
    /// Statements whose sender has gone; each may be run at any time, or never.
    pub orphans: Vec<Statement>,
    pub load: Option<Load>,
    /// A load whose lock is gone, but which does not know it.
    pub late_load: Option<Load>,
    pub job: Option<Batch>,
    pub left: Left,

    // What only the properties look at.
    pub promised: [Option<Promise>; HOLDS],
    /// Seats that each customer has begun to give back.
    pub given_up: [u8; HOLDS],
    /// Verdicts told to each customer, as bits.
    pub told: [u8; HOLDS],
    /// Told that there is no such hold, and no Hold has made one since.
    pub not_found: [bool; HOLDS],
    /// A hold was ended against its promise.
    pub wronged: bool,
}

impl World {
    /// Whether a hold's promise stands.
    pub fn is_live(&self, hold: HoldId) -> bool {
        let at = usize::from(hold);
        self.postgres.outcomes[at].is_none()
            && self.promised[at].is_some_and(|promise| self.now < promise.expires)
    }

    /// Whether no server is in the middle of anything.
    pub fn is_at_rest(&self) -> bool {
        self.tasks.is_empty()
            && self.orphans.is_empty()
            && self.load.is_none()
            && self.late_load.is_none()
            && self.job.is_none()
            && !self.postgres.outbox.contains(&true)
    }

    /// Servers are alike, and what the journal has passed is never read again.
    pub fn normalize(&mut self) {
        self.tasks.sort_unstable();
        self.orphans.sort_unstable();
        let cursor = self.postgres.cursor;
        let servers = [Some(&mut self.redis), self.deposed.as_mut()];
        let events = servers.into_iter().flatten().filter_map(|redis| redis.event.as_mut());
        for event in events.chain(self.saved.as_mut()) {
            event.log.retain(|entry| entry.at > cursor);
        }
    }
}

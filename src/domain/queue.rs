//! What somebody in a queue is told.

use std::time::Duration;

use time::OffsetDateTime;

/// The right to make holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    pub token: String,
    pub expire_time: OffsetDateTime,
}

/// Where a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePosition {
    pub ahead: u64,
    /// How many wait in all.
    pub waiting: u64,
    pub estimated_wait: Option<Duration>,
    /// Where it was let in.
    pub admission: Option<Admission>,
}

//! Lists holds that are due to be ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId};
use crate::limits::EXPIRY_BATCH;

static DUE_HOLDS: Verb = verb!("due_holds");

#[derive(Serialize)]
struct Request {
    epoch: Epoch,
    limit: usize,
}

/// Holds that have run out, or are stuck in a Confirm beyond its grace.
#[derive(Debug, Deserialize)]
pub struct DueHolds {
    pub hold_ids: Vec<HoldId>,
    next_in_ms: i64,
    late_ms: u64,
    /// How many holds have not ended, these among them.
    pub open: u64,
}

impl DueHolds {
    /// Whether there may be more than were listed.
    pub fn is_full(&self) -> bool {
        self.hold_ids.len() >= EXPIRY_BATCH
    }

    /// How long ago the first of them was due.
    pub fn late(&self) -> Duration {
        Duration::from_millis(self.late_ms)
    }

    /// When the next hold after these is due; `None` where there is no other.
    pub fn next_in(&self) -> Option<Duration> {
        u64::try_from(self.next_in_ms).ok().map(Duration::from_millis)
    }
}

impl Holds {
    /// Lists at most [`EXPIRY_BATCH`] holds that are due, the oldest first.
    pub async fn due_holds(
        &self,
        event_id: &EventId,
        epoch: Epoch,
    ) -> Result<Reply<DueHolds>, Error> {
        self.run(&DUE_HOLDS, event_id, &Request { epoch, limit: EXPIRY_BATCH }).await
    }
}

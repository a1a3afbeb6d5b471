//! One picture of an event.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{AreaState, Epoch, EventId, Position, SeatStatus};

static SNAPSHOT: Verb = verb!("snapshot");

#[derive(Serialize)]
struct Request {}

#[derive(Deserialize)]
struct Answer {
    epoch: Epoch,
    seq: u64,
    statuses: String,
    areas: Vec<(i64, i64)>,
}

/// Every seat and area of an event at one position.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub position: Position,
    /// By seat index.
    pub seats: Vec<SeatStatus>,
    /// By area index.
    pub areas: Vec<AreaState>,
}

impl Holds {
    /// The event as it is now; `None` where Redis does not have it.
    pub async fn snapshot(&self, event_id: &EventId) -> Result<Option<Snapshot>, Error> {
        let answer: Answer = match self.run(&SNAPSHOT, event_id, &Request {}).await? {
            Reply::Done(answer) => answer,
            Reply::NotLoaded | Reply::Epoch(_) => return Ok(None),
        };
        let seats = answer
            .statuses
            .bytes()
            .map(SeatStatus::from_code)
            .collect::<Option<_>>()
            .ok_or_else(|| Error::corrupt("a seat has a status that is none"))?;
        Ok(Some(Snapshot {
            position: Position { epoch: answer.epoch, seq: answer.seq },
            seats,
            areas: answer.areas.into_iter().map(area_state).collect(),
        }))
    }
}

/// From the two counters. A free count below zero can only be an operator's
/// doing; it is shown as none.
pub(super) fn area_state((free, capacity): (i64, i64)) -> AreaState {
    let units = |count: i64| u32::try_from(count.max(0)).unwrap_or(u32::MAX);
    AreaState { available: units(free), capacity: units(capacity) }
}

//! Ends holds by the outcomes that Postgres has decided.

use serde::Serialize;

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, HoldState, Outcome, SeatIndex};

static FINISH: Verb = verb!("finish");

/// A hold and how it ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub hold_id: HoldId,
    pub outcome: Outcome,
    /// The seats that were sold, for a hold that Redis may not know any more.
    pub seats: Vec<SeatIndex>,
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    holds: Vec<(HoldId, HoldState, String, &'a [SeatIndex])>,
}

impl Holds {
    /// Marks holds as ended; answers the records of those that Redis knows.
    pub async fn finish(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        ended: &[Ended],
    ) -> Result<Reply<Vec<HoldRecord>>, Error> {
        let holds = ended
            .iter()
            .map(|Ended { hold_id, outcome, seats }| {
                let order = match outcome {
                    Outcome::Confirmed(order_id) => order_id.0.simple().to_string(),
                    _ => String::new(),
                };
                (*hold_id, HoldState::from(*outcome), order, seats.as_slice())
            })
            .collect();
        self.run(&FINISH, event_id, &Request { epoch, holds }).await
    }
}

//! Ends holds by the outcomes that Postgres has decided.

use serde::Serialize;

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Ended, Epoch, EventId, HoldId, HoldRecord, HoldState, Outcome, SeatIndex};

static FINISH: Verb = verb!("finish");

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    holds: Vec<(HoldId, HoldState, String, &'a [SeatIndex], u32)>,
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
            .map(|Ended { hold_id, outcome, seats, units }| {
                let order = match outcome {
                    Outcome::Confirmed(order_id) => order_id.0.simple().to_string(),
                    _ => String::new(),
                };
                (*hold_id, HoldState::from(*outcome), order, seats.as_slice(), *units)
            })
            .collect();
        self.run(&FINISH, event_id, &Request { epoch, holds }).await
    }
}

//! GetHold: a hold as it is now, or as it ended.

use super::{Error, Flows};
use crate::{
    domain::{EventId, Hold, HoldId, HoldState, Outcome, Refusal},
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Reads a hold: Redis knows the living, Postgres the dead.
    pub async fn get_hold(&self, event_id: &EventId, hold_id: HoldId) -> Result<Hold, Error> {
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            let (event, found) = self
                .on_event(event_id, |epoch| self.holds.get_hold(event_id, epoch, hold_id))
                .await?;
            let record = match found.into_iter().next() {
                Some(record) if record.state != HoldState::Confirming => record,
                // Its Confirm may be through, and Redis not told yet.
                Some(record) => match self.ledger.find_outcome(event_id, hold_id).await? {
                    None => record,
                    Some(ended) => record.ended(ended.outcome),
                },
                None => {
                    let found = self.ledger.find_hold(event_id, hold_id).await?;
                    let Some(found) = found else {
                        return Err(Refusal::HoldNotFound(hold_id).into());
                    };
                    match found.outcome {
                        Some(outcome) => found.record.ended(outcome),
                        None if found.has_run_out => found.record.ended(Outcome::Expired),
                        // Redis has lost it, unless it has lost all of this epoch.
                        None if self.event_anew(event_id).await?.epoch == event.epoch => {
                            found.record.ended(Outcome::Lost)
                        }
                        None => continue,
                    }
                }
            };
            return self.hold_of(&event, hold_id, &record).await;
        }
        Err(Error::unsettled())
    }
}

//! What an audit reads.

use std::time::Duration;

use super::{Error, Holds, keys, survey::Step};
use crate::domain::{EventId, audit::RedisPicture};
use crate::limits::{AUDIT_ATTEMPTS, RECONCILE_PERIOD};
use crate::redis::cmd;

impl Holds {
    /// All that Redis has of an event, at one position; `None` where it does
    /// not have it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it has what no script writes;
    /// [`Error::Unreachable`] where the event is built anew again and again.
    pub async fn audit(&self, event_id: &EventId) -> Result<Option<RedisPicture>, Error> {
        for _ in 0..AUDIT_ATTEMPTS {
            let Some(mut survey) = self.survey(event_id).await? else { return Ok(None) };
            loop {
                match survey.go_on().await? {
                    Step::More => {}
                    Step::Lost => break,
                    Step::Whole(picture) => return Ok(Some(*picture)),
                }
            }
        }
        Err(Error::unreachable("the event changes faster than it can be read"))
    }

    /// Takes an event's turn to be compared in the background; answers whether
    /// nobody has it. Where the answer is lost, this turn is.
    pub async fn take_reconcile_turn(&self, event_id: &EventId) -> Result<bool, Error> {
        let mut set = cmd("SET");
        // A little less, or every other run would find the turn taken.
        let period = Duration::as_millis(&(RECONCILE_PERIOD * 5 / 6));
        let period_ms = u64::try_from(period).unwrap_or(u64::MAX);
        set.arg(keys::reconciled(event_id)).arg(1).arg("NX").arg("PX").arg(period_ms);
        let taken: Option<String> = self.links.query(event_id.as_str(), &set).await?;
        Ok(taken.is_some())
    }
}

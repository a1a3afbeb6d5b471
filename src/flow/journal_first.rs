//! Holds that outlive Redis: Postgres has them before anybody is answered.

use std::sync::Arc;

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{HoldId, HoldRecord, HoldState, Refusal, Unsold},
    failpoint::failpoint,
    holds::Reply,
    ledger::Journaled,
};

impl Flows {
    /// Journals a hold as Redis has it, where that must be done before anybody
    /// is answered; answers it as it is then. `None` where the event has moved
    /// to another epoch, in which the same is to be asked again.
    ///
    /// # Errors
    /// [`Refusal::HoldIdReused`] where its id was used before with other
    /// content, which Redis has forgotten.
    pub(super) async fn journal_first(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
    ) -> Result<Option<HoldRecord>, Error> {
        match comes_first(&record) {
            true => self.journal(event, hold_id, record).await,
            false => Ok(Some(record)),
        }
    }

    /// As [`Self::journal_first`], of any hold.
    pub(super) async fn journal(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
    ) -> Result<Option<HoldRecord>, Error> {
        let (event_id, epoch) = (&event.event_id, event.epoch);
        match self.ledger.journal_hold(event_id, epoch, hold_id, &record).await? {
            Journaled::Written => Ok(Some(record)),
            Journaled::Fenced => Ok(None),
            // It has ended, meanwhile or long ago: Redis is told.
            Journaled::Used => {
                let before = self.ledger.find_hold(event_id, hold_id).await?;
                let ended = self.end_hold(event, hold_id, Unsold::Lost).await?;
                let is_other = |before: &HoldRecord| before.fingerprint != record.fingerprint;
                if before.is_some_and(|before| is_other(&before.record)) {
                    return Err(Refusal::HoldIdReused(hold_id).into());
                }
                Ok(ended.map(|outcome| record.ended(outcome)))
            }
        }
    }

    /// As [`Self::journal_first`], for a hold that was made just now: where it
    /// is certain that it was not journaled, it is undone, so that its seats are
    /// not out of sale for nobody.
    pub(super) async fn journal_new_hold(
        self: &Arc<Self>,
        event: &Arc<LoadedEvent>,
        hold_id: HoldId,
        record: HoldRecord,
    ) -> Result<Option<HoldRecord>, Error> {
        if !comes_first(&record) {
            return Ok(Some(record));
        }
        let (flows, event) = (self.clone(), event.clone());
        let journal = async move { flows.journal_or_undo(&event, hold_id, record).await };
        self.carry_through(journal).await
    }

    async fn journal_or_undo(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
    ) -> Result<Option<HoldRecord>, Error> {
        let seq = record.seq;
        let error = match self.journal_first(event, hold_id, record).await {
            Err(error @ (Error::StoreUnavailable(_) | Error::Overloaded(_))) => error,
            result => return result,
        };
        let undone = self.holds.undo_hold(&event.event_id, event.epoch, hold_id, seq).await;
        failpoint!("hold:undone");
        match undone {
            Ok(Reply::Done(true)) => Err(error),
            _ => Err(error.after_a_change()),
        }
    }
}

/// Whether a hold is to be journaled before anybody is answered.
fn comes_first(record: &HoldRecord) -> bool {
    record.must_be_journaled() && matches!(record.state, HoldState::Active | HoldState::Confirming)
}

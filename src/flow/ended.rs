//! Ending a hold: Postgres decides, Redis follows.

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{Ended, Epoch, EventId, HoldId, HoldRecord, HolderId, Outcome, Refusal, Unsold},
    failpoint::failpoint,
    holds::Reply,
};

impl Flows {
    /// Ends a hold so, unless it has ended before; answers how it
    /// ended, or `None` where the event has moved to another epoch: then what
    /// was seen in Redis is out of date.
    pub(super) async fn end_hold(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        unsold: Unsold,
    ) -> Result<Option<Outcome>, Error> {
        let (event_id, epoch) = (&event.event_id, event.epoch);
        let settled = self.ledger.settle(event_id, epoch, &[hold_id], unsold).await?;
        let Some(settled) = settled else { return Ok(None) };
        let outcome = settled.ended.first().map(|ended| ended.outcome);
        failpoint!("end:settled");
        // Until Redis is told, its answers go on as if the hold lived. What fails
        // here, the outbox repeats.
        let told = self.finish(event_id, epoch, &settled.ended).await;
        failpoint!("end:finished");
        if told.map_err(Error::after_a_change)? {
            self.mark_later(&settled.outbox_ids);
        }
        outcome.ok_or_else(|| Error::internal("a hold was settled without outcome")).map(Some)
    }

    /// Tells Redis how holds ended; answers whether it is still in this epoch.
    /// Where it is not, whoever builds the next one reads what Postgres has
    /// decided.
    pub(super) async fn finish(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        ended: &[Ended],
    ) -> Result<bool, Error> {
        let reply = self.holds.finish(event_id, epoch, ended).await?;
        Ok(matches!(reply, Reply::Done(_)))
    }

    /// How a hold ended that Redis does not have. One that is still open in
    /// the journal has run out, or was lost with Redis, and is ended now, so
    /// that the answer stays true. `None` where the event has moved to another
    /// epoch.
    ///
    /// # Errors
    /// [`Refusal::HoldNotFound`] where the holder never had such a hold, as far
    /// as the journal knows.
    pub(super) async fn end_missing_hold(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        holder_id: &HolderId,
    ) -> Result<Option<(HoldRecord, Outcome)>, Error> {
        let found = self.ledger.find_hold(&event.event_id, hold_id).await?;
        // What Redis did not have in this epoch counts only if it is the last.
        let stored = self.ledger.find_event(&event.event_id).await?;
        if stored.is_none_or(|stored| stored.epoch != event.epoch) {
            return Ok(None);
        }
        let Some(found) = found.filter(|found| found.record.holder_id == *holder_id) else {
            return Err(Refusal::HoldNotFound(hold_id).into());
        };
        if found.outcome.is_none() && !self.is_missing(event, hold_id).await? {
            return Ok(None);
        }
        let outcome = match found.outcome {
            Some(outcome) => Some(outcome),
            None if found.has_run_out => self.end_hold(event, hold_id, Unsold::Expired).await?,
            None => self.end_hold(event, hold_id, Unsold::Lost).await?,
        };
        Ok(outcome.map(|outcome| (found.record, outcome)))
    }
}

impl Flows {
    /// Whether Redis does not have a hold, asked once more: it may have been made
    /// since, by a Hold that came together with this call.
    pub(super) async fn is_missing(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
    ) -> Result<bool, Error> {
        let again = self.holds.get_hold(&event.event_id, event.epoch, hold_id).await?;
        Ok(matches!(again, Reply::Done(records) if records.is_empty()))
    }
}

/// The no that an outcome means for whoever wants more of the hold.
pub(super) fn ended_by(hold_id: HoldId, outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Confirmed(order_id) => Refusal::HoldConfirmed { hold_id, order_id },
        Outcome::Released => Refusal::HoldReleased(hold_id),
        Outcome::Expired => Refusal::HoldExpired(hold_id),
        Outcome::Lost => Refusal::HoldLost(hold_id),
    }
}

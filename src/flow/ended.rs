//! Ending a hold: Postgres decides, Redis follows.

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{Ended, Epoch, EventId, HoldId, HoldRecord, HolderId, Outcome, Refusal, Unsold},
    failpoint::failpoint,
    holds::Reply,
    limits::FINISH_BATCH,
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
    /// decided. Where it is told of a part alone, it is told of the rest by whoever
    /// repeats this.
    pub(super) async fn finish(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        ended: &[Ended],
    ) -> Result<bool, Error> {
        // Calls wait behind a script, so each of them is short.
        for some in ended.chunks(FINISH_BATCH) {
            let reply = self.holds.finish(event_id, epoch, some).await?;
            if !matches!(reply, Reply::Done(_)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How a hold ended that Redis does not have. One that is still open in
    /// the journal has run out, or was lost with Redis, and is ended now, so
    /// that the answer stays true. `None` where Redis is to be asked again: the
    /// event has moved to another epoch, or the hold was made since.
    ///
    /// # Errors
    /// [`Refusal::HoldNotFound`] where there never was such a hold, as far as the
    /// journal knows, or it is not `of`.
    pub(super) async fn end_missing_hold(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        of: Option<&HolderId>,
    ) -> Result<Option<(HoldRecord, Outcome)>, Error> {
        let (event_id, epoch) = (&event.event_id, event.epoch);
        let found = self.ledger.find_hold(event_id, hold_id).await?;
        // What Redis did not have in this epoch counts only if it is the last.
        let stored = self.ledger.find_event(event_id).await?;
        if stored.is_none_or(|stored| stored.epoch != epoch) {
            return Ok(None);
        }
        let is_theirs = |holder_id: &HolderId| of.is_none_or(|of| of == holder_id);
        let Some(found) = found.filter(|found| is_theirs(&found.record.holder_id)) else {
            return Err(Refusal::HoldNotFound(hold_id).into());
        };
        if let Some(outcome) = found.outcome {
            return Ok(Some((found.record, outcome)));
        }
        // It may have been made since, by a Hold that came together with this
        // call.
        let again = self.holds.get_hold(event_id, epoch, hold_id).await?;
        if !matches!(again, Reply::Done(records) if records.is_empty()) {
            return Ok(None);
        }
        let has_run_out = found.record.expires_ms <= self.holds.clock_ms(event_id).await?;
        let unsold = if has_run_out { Unsold::Expired } else { Unsold::Lost };
        let ended = self.ledger.settle_missing(event_id, epoch, hold_id, found.at, unsold).await?;
        Ok(ended.then(|| (found.record, unsold.into())))
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

//! ForceReleaseHold: an operator ends a hold, whoever's it is.

use std::sync::Arc;

use super::{Error, Flows, ended::ended_by, event::LoadedEvent, hold::standing};
use crate::{
    domain::{
        Deed, Ended, EventId, Hold, HoldId, HoldRecord, HoldState, Operator, OperatorAction,
        OrderState, Outcome, Refusal,
    },
    failpoint::failpoint,
    ledger::ForcedRelease,
    limits::MAX_EPOCH_ATTEMPTS,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct ForceReleaseRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub by: Operator,
}

impl Flows {
    /// Releases; answers the hold as it is then. Where it was released before, nothing is
    /// done, and nothing noted.
    pub async fn force_release(
        self: &Arc<Self>,
        request: ForceReleaseRequest,
    ) -> Result<Hold, Error> {
        let ForceReleaseRequest { event_id, hold_id, .. } = &request;
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 1. Whose it is. One that is being confirmed is let be.
            let look =
                self.on_event(event_id, |epoch| self.holds.get_hold(event_id, epoch, *hold_id));
            let (event, found) = look.await.map_err(|error| error.after(attempt))?;
            let released = match found.into_iter().next() {
                Some(record) if record.state == HoldState::Active => {
                    self.release_on_record(&event, &request, record).await?
                }
                Some(record) if record.state == HoldState::Released => Some(record),
                Some(record) => return Err(standing(*hold_id, &record).into()),
                None => match self.end_missing_hold(&event, *hold_id, None).await? {
                    Some((record, Outcome::Released)) => Some(record.ended(Outcome::Released)),
                    Some((_, outcome)) => return Err(ended_by(*hold_id, outcome).into()),
                    None => None,
                },
            };
            match released {
                Some(record) => return self.hold_of(&event, *hold_id, &record).await,
                None => self.event_anew(event_id).await.map_err(Error::after_a_change)?,
            };
        }
        Err(Error::unsettled().after_a_change())
    }

    /// `None` where the event has moved to another epoch.
    async fn release_on_record(
        &self,
        event: &LoadedEvent,
        request: &ForceReleaseRequest,
        record: HoldRecord,
    ) -> Result<Option<HoldRecord>, Error> {
        let (event_id, hold_id) = (&event.event_id, request.hold_id);
        // An order that is being made has no row yet; Postgres judges one that has.
        if let Some(order_id) = record.order_id
            && self.ledger.find_order(order_id).await?.is_none()
        {
            let state = OrderState::Pending;
            return Err(Refusal::OrderState { order_id, state }.into());
        }
        let (holder_id, by) = (record.holder_id.clone(), request.by.clone());
        let action = OperatorAction { deed: Deed::Release, hold_id, holder_id, by };
        // 2. The outcome, and the record of who decided it, in one statement. A Confirm
        //    that comes between is before it, and wins, or after it, and is told so.
        let outcome = match self.ledger.force_release(event_id, event.epoch, &action).await? {
            ForcedRelease::Fenced => return Ok(None),
            ForcedRelease::Ordered(order_id) => {
                let state = OrderState::Pending;
                return Err(Refusal::OrderState { order_id, state }.into());
            }
            ForcedRelease::Ended => {
                let ended = self.ledger.find_outcome(event_id, hold_id).await?;
                ended.ok_or_else(|| Error::internal("an outcome row has gone"))?.outcome
            }
            ForcedRelease::Released { outbox_id } => {
                failpoint!("force_release:settled");
                // 3. Then Redis frees the seats. What fails here, the outbox repeats.
                let outcome = Outcome::Released;
                let ended = Ended { hold_id, outcome, seats: Vec::new(), units: 0 };
                let told = self.finish(event_id, event.epoch, &[ended]).await;
                if told.map_err(Error::after_a_change)? {
                    self.mark_later(&[outbox_id]);
                }
                outcome
            }
        };
        match outcome {
            Outcome::Released => Ok(Some(record.ended(outcome))),
            outcome => Err(ended_by(hold_id, outcome).into()),
        }
    }
}

//! ReassignHold: an operator gives a hold to another holder.

use std::sync::Arc;

use super::{Error, Flows, ended::ended_by, event::LoadedEvent, hold::standing};
use crate::{
    domain::{
        Deed, EventId, Hold, HoldId, HoldRecord, HoldState, HolderId, Operator, OperatorAction,
        Unsold,
    },
    failpoint::failpoint,
    holds::ReassignReply,
    limits::MAX_EPOCH_ATTEMPTS,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct ReassignRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    /// Whose it is from then on.
    pub holder_id: HolderId,
    pub by: Operator,
}

impl Flows {
    /// Gives the hold to the holder, as it is; where it is his already, nothing is noted.
    pub async fn reassign_hold(self: &Arc<Self>, request: ReassignRequest) -> Result<Hold, Error> {
        let ReassignRequest { event_id, hold_id, holder_id: to, .. } = &request;
        let mut noted: Option<(HolderId, i64)> = None;
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 1. Whose it is, and that it lives: of what is refused nothing is noted.
            let living = self.living_of(event_id, *hold_id).await;
            let Some((event, record)) = living.map_err(|error| error.after(attempt))? else {
                self.event_anew(event_id).await?;
                continue;
            };
            let from = record.holder_id.clone();
            if let Some(order_id) = record.order_id.filter(|_| from != *to) {
                return Err(self.ordered_as(order_id).await?);
            }
            if from == *to {
                // By this call, by one before whose end nobody saw, or ever since.
                let told = match noted {
                    Some((_, number)) => self.operated(&event, *hold_id, record, number).await?,
                    None => self.reassigned_before(&event, *hold_id, record).await?,
                };
                match told {
                    Some(hold) => return Ok(hold),
                    None => self.event_anew(event_id).await.map_err(Error::after_a_change)?,
                };
                continue;
            }
            // 2. On record before it is done; anew only where it is another's by now.
            let number = match noted.take().filter(|(holder_id, _)| *holder_id == from) {
                Some((_, number)) => number,
                None => self.note_reassign(&request, &from).await?,
            };
            noted = Some((from.clone(), number));
            failpoint!("reassign:noted");
            // 3. One script checks and writes.
            let (event, reply) = self
                .on_event(event_id, |epoch| {
                    self.holds.reassign_hold(event_id, epoch, *hold_id, [&from, to])
                })
                .await
                .map_err(|error| error.after(attempt))?;
            let record = match reply {
                ReassignReply::Reassigned(record) => record,
                ReassignReply::Standing(record) => return Err(standing(*hold_id, &record).into()),
                ReassignReply::Ordered(order_id) => return Err(self.ordered_as(order_id).await?),
                // As ChangeHold: it is ended as that Release would, so that the no stays one.
                ReassignReply::Released => {
                    match self.end_hold(&event, *hold_id, Unsold::Released).await? {
                        Some(outcome) => return Err(ended_by(*hold_id, outcome).into()),
                        None => self.event_anew(event_id).await?,
                    };
                    continue;
                }
                ReassignReply::Elsewhere | ReassignReply::Missing => continue,
            };
            failpoint!("reassign:reassigned");
            // 4. What an operator was answered outlives Redis, whatever the event's holds
            //    do; and the record says that it was done.
            if let Some(hold) = self.operated(&event, *hold_id, record, number).await? {
                return Ok(hold);
            }
            self.event_anew(event_id).await.map_err(Error::after_a_change)?;
        }
        Err(Error::unsettled().after_a_change())
    }

    /// Puts it on record; answers its number.
    async fn note_reassign(
        &self,
        request: &ReassignRequest,
        from: &HolderId,
    ) -> Result<i64, Error> {
        let action = OperatorAction {
            deed: Deed::Reassign { to: request.holder_id.clone() },
            hold_id: request.hold_id,
            holder_id: from.clone(),
            by: request.by.clone(),
        };
        Ok(self.ledger.note_operator_action(&request.event_id, &action).await?)
    }

    /// Of a hold that is his already: journals whose it is, and notes that the call before
    /// was done; `None` where the event has moved to another epoch.
    async fn reassigned_before(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
    ) -> Result<Option<Hold>, Error> {
        let (event_id, to) = (&event.event_id, record.holder_id.clone());
        let journaled = self.journal(event, hold_id, record).await;
        match journaled.map_err(Error::after_a_change)? {
            None => Ok(None),
            Some(record) if record.state == HoldState::Active => {
                failpoint!("reassign:journaled");
                let done = self.ledger.reassigned_before(event_id, hold_id, &to).await;
                done.map_err(|error| Error::from(error).after_a_change())?;
                self.hold_of(event, hold_id, &record).await.map(Some)
            }
            Some(record) => Err(standing(hold_id, &record).into()),
        }
    }
}

//! ForceExtendHold: an operator lets a hold live longer, or shorter.

use std::sync::Arc;

use super::{Error, Flows, ended::ended_by, event::LoadedEvent, hold::standing};
use crate::{
    domain::{Deed, EventId, Hold, HoldId, HoldRecord, HoldState, Operator, OperatorAction},
    failpoint::failpoint,
    holds::ForceExtendReply,
    limits::MAX_EPOCH_ATTEMPTS,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct ForceExtendRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub ttl_ms: u64,
    pub by: Operator,
}

impl Flows {
    /// Extends the hold, beyond what its event allows its holder, too.
    pub async fn force_extend(
        self: &Arc<Self>,
        request: ForceExtendRequest,
    ) -> Result<Hold, Error> {
        let ForceExtendRequest { event_id, hold_id, ttl_ms, by } = &request;
        let mut noted = None;
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 1. Whose it is, and that it lives: of what is refused nothing is noted.
            let living = self.living_of(event_id, *hold_id).await;
            let Some((_, record)) = living.map_err(|error| error.after(attempt))? else {
                self.event_anew(event_id).await?;
                continue;
            };
            // 2. On record before it is done, once, with the moment that is meant by
            //    Redis' clock: whatever is repeated comes to the same.
            let (number, expires_ms) = match noted {
                Some(noted) => noted,
                None => {
                    let now_ms = self.holds.clock_ms(event_id).await?;
                    let expires_ms = now_ms.saturating_add_unsigned(*ttl_ms);
                    let is_earlier = expires_ms < record.expires_ms;
                    if let Some(order_id) = record.order_id.filter(|_| is_earlier) {
                        return Err(self.ordered_as(order_id).await?);
                    }
                    let action = OperatorAction {
                        deed: Deed::Extend { expires_ms },
                        hold_id: *hold_id,
                        holder_id: record.holder_id,
                        by: by.clone(),
                    };
                    let number = self.ledger.note_operator_action(event_id, &action).await?;
                    *noted.insert((number, expires_ms))
                }
            };
            failpoint!("force_extend:noted");
            // 3. One script checks and writes.
            let (event, reply) = self
                .on_event(event_id, |epoch| {
                    self.holds.force_extend(event_id, epoch, *hold_id, expires_ms)
                })
                .await
                .map_err(|error| error.after(attempt))?;
            let record = match reply {
                ForceExtendReply::Extended(record) => record,
                ForceExtendReply::Standing(record) => {
                    return Err(standing(*hold_id, &record).into());
                }
                ForceExtendReply::Ordered(order_id) => {
                    return Err(self.ordered_as(order_id).await?);
                }
                ForceExtendReply::Late => return Err(Error::unsettled()),
                ForceExtendReply::Missing => continue,
            };
            failpoint!("force_extend:extended");
            // 4. What an operator was answered outlives Redis, whatever the event's holds
            //    do; and the record says that it was done.
            if let Some(hold) = self.operated(&event, *hold_id, record, number).await? {
                return Ok(hold);
            }
            self.event_anew(event_id).await.map_err(Error::after_a_change)?;
        }
        Err(Error::unsettled().after_a_change())
    }

    /// A hold that lives, as Redis has it; `None` where Redis is to be asked again.
    pub(super) async fn living_of(
        self: &Arc<Self>,
        event_id: &EventId,
        hold_id: HoldId,
    ) -> Result<Option<(Arc<LoadedEvent>, HoldRecord)>, Error> {
        let look = self.on_event(event_id, |epoch| self.holds.get_hold(event_id, epoch, hold_id));
        let (event, found) = look.await?;
        match found.into_iter().next() {
            Some(record) if record.state == HoldState::Active => Ok(Some((event, record))),
            Some(record) => Err(standing(hold_id, &record).into()),
            None => match self.end_missing_hold(&event, hold_id, None).await? {
                Some((_, outcome)) => Err(ended_by(hold_id, outcome).into()),
                None => Ok(None),
            },
        }
    }

    /// Journals what was done to a hold, and notes that it was; `None` where the event has
    /// moved to another epoch, in which it is to be done again.
    pub(super) async fn operated(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
        number: i64,
    ) -> Result<Option<Hold>, Error> {
        let journaled = self.journal(event, hold_id, record).await;
        match journaled.map_err(Error::after_a_change)? {
            None => Ok(None),
            Some(record) if record.state == HoldState::Active => {
                failpoint!("operate:journaled");
                let done = self.ledger.operator_action_done(number).await;
                done.map_err(|error| Error::from(error).after_a_change())?;
                self.hold_of(event, hold_id, &record).await.map(Some)
            }
            Some(record) => Err(standing(hold_id, &record).into()),
        }
    }
}

//! AllocateArea: a share of an area is kept for a channel.
//!
//! A share is an area of its own, to which units are moved. Redis alone knows which units
//! are free, and Postgres alone decides: so they are withdrawn in Redis, then moved in
//! Postgres, and then put on sale in Redis. Between the steps nobody has them: too few
//! are on sale for a moment, never too many. What is withdrawn belongs to the event's
//! revision of then: when that has passed without the move, they are given back.

use std::sync::Arc;

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{Allocation, Refusal, ShareRequest, Shortage},
    failpoint::failpoint,
    holds::{WithdrawArgs, WithdrawReply},
    ledger::{SharePlan, UnitMove},
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Makes the share, or changes its size or channel; answers the channel as it is
    /// then.
    pub async fn allocate_area(
        self: &Arc<Self>,
        request: ShareRequest,
    ) -> Result<Allocation, Error> {
        let _span = crate::telemetry::flow("allocate_area");
        let event_id = &request.event_id;
        let mut noted = None;
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            // 1. What is to be moved, by the event's revision of now.
            let units = match self.ledger.plan_share(&request).await? {
                SharePlan::Move(units) => units,
                SharePlan::Nothing => {
                    self.configure_event(event_id).await?;
                    return self.allocation(event_id, &request.channel).await;
                }
            };
            // 2. A note in the outbox, so that units that were withdrawn come back,
            //    should this server not come to step 4.
            let note = match noted {
                Some(note) => note,
                None => *noted.insert(self.ledger.note_event(event_id).await?),
            };
            // 3. Redis, which alone knows what is free.
            failpoint!("share:noted");
            let withdrawn = self.withdraw(&request, &units).await;
            if let Err(Error::Refused(_)) = withdrawn {
                self.mark_later(&[note]);
            }
            let Some(event) = withdrawn? else { continue };
            failpoint!("share:withdrawn");
            // 4. Postgres, if the event is as it was in 1 and Redis the same as in 3.
            let moved = self.ledger.move_units(&request, &units, event.epoch).await;
            let Some(outbox_id) = moved.map_err(|error| Error::from(error).after_a_change())?
            else {
                self.event_anew(event_id).await.map_err(Error::after_a_change)?;
                continue;
            };
            failpoint!("share:moved");
            // 5. Redis, and with it everybody who watches: the other area grows.
            self.configure(event_id, outbox_id).await.map_err(Error::after_a_change)?;
            self.mark_later(&[note]);
            return self.allocation(event_id, &request.channel).await;
        }
        Err(Error::unsettled().after_a_change())
    }

    /// Takes the units out of sale; answers the event in whose epoch that was, or `None`
    /// where its revision has moved on.
    async fn withdraw(
        self: &Arc<Self>,
        request: &ShareRequest,
        units: &UnitMove,
    ) -> Result<Option<Arc<LoadedEvent>>, Error> {
        let event_id = &request.event_id;
        let args =
            WithdrawArgs { revision: units.revision, area: units.from, capacity: units.left };
        let mut has_expired = false;
        loop {
            let (event, reply) = self
                .on_event(event_id, |epoch| self.holds.withdraw_units(event_id, epoch, args))
                .await?;
            match reply {
                WithdrawReply::Withdrawn => return Ok(Some(event)),
                WithdrawReply::Behind => {
                    self.configure_event(event_id).await?;
                    return Ok(None);
                }
                // What has run out is free.
                WithdrawReply::Insufficient(_) if !has_expired => {
                    self.expire_holds(event_id, event.epoch).await?;
                    has_expired = true;
                }
                WithdrawReply::Insufficient(available) => {
                    let available = u32::try_from(available).unwrap_or_default();
                    let (area_id, asked) = (units.from_id.clone(), units.units);
                    let short = vec![Shortage { area_id, asked, available }];
                    return Err(Refusal::InsufficientCapacity(short).into());
                }
            }
        }
    }
}

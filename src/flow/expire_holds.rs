//! The expiry of holds: what ran out goes back on sale, with nobody calling.
//!
//! To new holds a hold that ran out is free at once; this tells the stream and
//! Postgres, and frees what nobody asks for.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{EventId, Outcome},
    holds::{Ended, Reply},
    limits::{EXPIRY_HORIZON, JOB_CONCURRENCY},
};

impl Flows {
    /// Ends what runs out within [`EXPIRY_HORIZON`], of all events, each at
    /// its time.
    pub async fn expire_all_holds(&self) -> Result<(), Error> {
        let horizon = Instant::now() + EXPIRY_HORIZON;
        let mut due: Vec<EventId> =
            self.ledger.active_events().await?.into_iter().map(|event| event.event_id).collect();
        while !due.is_empty() {
            let ended: Vec<_> = stream::iter(due)
                .map(|event_id| async move {
                    let next_in = self.expire_event_holds(&event_id).await?;
                    Ok::<_, Error>(next_in.map(|wait| (event_id, Instant::now() + wait)))
                })
                .buffer_unordered(JOB_CONCURRENCY)
                .collect()
                .await;
            let ended: Vec<_> = ended.into_iter().collect::<Result<_, _>>()?;
            let mut next: Vec<_> =
                ended.into_iter().flatten().filter(|&(_, at)| at <= horizon).collect();
            next.sort_by_key(|&(_, at)| at);
            let Some(&(_, first)) = next.first() else { break };
            sleep_until(first).await;
            due = next.into_iter().take_while(|(_, at)| *at <= first).map(|(id, _)| id).collect();
        }
        Ok(())
    }

    async fn expire_event_holds(&self, event_id: &EventId) -> Result<Option<Duration>, Error> {
        let event = self.event(event_id).await?;
        self.expire_holds(&event).await
    }

    /// Ends the holds of one event that are due; answers when the next one is.
    pub(super) async fn expire_holds(
        &self,
        event: &LoadedEvent,
    ) -> Result<Option<Duration>, Error> {
        loop {
            // 1. What is due, by Redis' clock.
            let reply = self.holds.due_holds(&event.event_id, event.epoch).await?;
            let due = match reply {
                Reply::Done(due) => due,
                // Redis has lost the event, or has it in another epoch: bring it
                // back, even if nobody calls; those who watch it wait.
                Reply::NotLoaded => {
                    self.load_event(&event.event_id, None).await?;
                    return Ok(Some(Duration::ZERO));
                }
                Reply::Epoch(found) => {
                    self.load_event(&event.event_id, Some(found)).await?;
                    return Ok(Some(Duration::ZERO));
                }
            };
            if due.hold_ids.is_empty() {
                return Ok(due.next_in());
            }
            // 2. The outcome first: a Confirm that is under way is either before
            //    it, and the hold is sold, or after it, and is told so.
            let settled = self
                .ledger
                .settle(&event.event_id, event.epoch, &due.hold_ids, Outcome::Expired)
                .await?;
            let Some(settled) = settled else { return Ok(Some(Duration::ZERO)) };
            // 3. Then Redis, by the verdict.
            let ended: Vec<_> = settled
                .into_iter()
                .map(|(hold_id, outcome)| Ended { hold_id, outcome, seats: Vec::new() })
                .collect();
            self.finish(event, &ended).await;
            if !due.is_full() {
                return Ok(due.next_in());
            }
        }
    }
}

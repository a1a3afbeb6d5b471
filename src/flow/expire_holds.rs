//! The expiry of holds: what ran out goes back on sale, with nobody calling.
//!
//! To new holds a hold that ran out is free at once; this tells the stream and
//! Postgres, and frees what nobody asks for.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};

use super::{Error, Flows};
use crate::{
    domain::{Epoch, EventId, Unsold},
    failpoint::failpoint,
    holds::Reply,
    ledger::ActiveEvent,
    limits::{EXPIRY_HORIZON, JOB_CONCURRENCY, MAX_ACTIVE_EVENTS, MAX_HOLDS_EXPIRING},
    telemetry,
};

impl Flows {
    /// Ends what runs out within [`EXPIRY_HORIZON`], of all events, each hold
    /// at its time.
    ///
    /// # Errors
    /// The first trouble with an event; the others were seen to all the same.
    pub async fn expire_all_holds(self: &Arc<Self>) -> Result<(), Error> {
        let until = Instant::now() + EXPIRY_HORIZON;
        let work = Semaphore::new(JOB_CONCURRENCY);
        let active = self.ledger.active_events().await?;
        let watched = active.iter().map(|event| self.expire_until(event, until, &work));
        let open = join_all(watched).await.into_iter().sum::<Result<u64, Error>>()?;
        telemetry::holds_open(open);
        if i64::try_from(active.len()).is_ok_and(|count| count < MAX_ACTIVE_EVENTS) {
            return Ok(());
        }
        Err(Error::Overloaded("jobs cannot look after all open events: close what is over".into()))
    }

    async fn expire_until(
        self: &Arc<Self>,
        ActiveEvent { event_id, epoch, .. }: &ActiveEvent,
        until: Instant,
        work: &Semaphore,
    ) -> Result<u64, Error> {
        loop {
            let permit = work.acquire().await.expect("never closed");
            let (next_in, open) = self.expire_holds(event_id, *epoch).await?;
            drop(permit);
            match next_in.map(|wait| Instant::now() + wait) {
                Some(at) if at <= until => sleep_until(at).await,
                _ => return Ok(open),
            }
        }
    }

    /// Ends the holds of one event that are due; answers when the next one is, and how
    /// many have not ended.
    /// What it cannot see to in this epoch is left for the next run.
    pub(super) async fn expire_holds(
        self: &Arc<Self>,
        event_id: &EventId,
        epoch: Epoch,
    ) -> Result<(Option<Duration>, u64), Error> {
        loop {
            // 1. What is due, by Redis' clock.
            let due = match self.holds.due_holds(event_id, epoch).await? {
                Reply::Done(due) => due,
                // Redis has lost the event, or has it in another epoch: bring it
                // back, even if nobody calls, for those who watch it. Other
                // events do not wait for this one.
                behind => {
                    self.load_in_background(event_id, behind.epoch());
                    return Ok((None, 0));
                }
            };
            let open = due.open - due.hold_ids.len() as u64;
            if due.hold_ids.is_empty() {
                return Ok((due.next_in(), open));
            }
            telemetry::sweep_lag(due.late());
            failpoint!("expire:listed");
            // Callers share the stores with this, so few full batches go at once;
            // many small ones may.
            let count = due.hold_ids.len().min(MAX_HOLDS_EXPIRING);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let _room = self.expiring.acquire_many(count).await.expect("never closed");
            // 2. The outcome first: a Confirm that is under way is either before
            //    it, and the hold is sold, or after it, and is told so.
            let expired = Unsold::Expired;
            let settled = self.ledger.settle(event_id, epoch, &due.hold_ids, expired).await?;
            let Some(settled) = settled else { return Ok((None, open)) };
            failpoint!("expire:settled");
            // 3. Then Redis, by the verdict.
            if !self.finish(event_id, epoch, &settled.ended).await? {
                return Ok((None, open));
            }
            failpoint!("expire:finished");
            if !due.is_full() {
                return Ok((due.next_in(), open));
            }
        }
    }
}

//! The outbox: what Redis was not told after a commit, it is told again.

use std::sync::Arc;

use std::{collections::HashMap, mem, sync::PoisonError};

use uuid::Uuid;

use super::{Error, Flows};
use crate::{
    domain::{Ended, Epoch, EventId},
    failpoint::failpoint,
    ledger::{Task, TaskKind},
    limits::OUTBOX_BATCH,
};

impl Flows {
    /// Marks what this server has done, then does what is left undone by
    /// others; answers how many rows.
    pub async fn repeat_outbox(self: &Arc<Self>) -> Result<usize, Error> {
        self.mark_finished().await?;
        let mut repeated = 0;
        loop {
            let tasks = self.ledger.claim_outbox().await?;
            let full = i64::try_from(tasks.len()).is_ok_and(|count| count >= OUTBOX_BATCH);
            repeated += tasks.len();
            failpoint!("outbox:claimed");
            self.repeat(tasks).await?;
            if !full {
                return Ok(repeated);
            }
        }
    }

    /// Notes rows whose work is done; they are marked together, by the job.
    pub(super) fn mark_later(&self, outbox_ids: &[i64]) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).extend(outbox_ids);
    }

    /// Marks the rows whose work this server has done.
    pub async fn mark_finished(&self) -> Result<(), Error> {
        let finished =
            mem::take(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner));
        if finished.is_empty() {
            return Ok(());
        }
        let marked = self.ledger.finish_outbox(&finished).await;
        if marked.is_err() {
            // For the next run.
            self.finished.lock().unwrap_or_else(PoisonError::into_inner).extend(finished);
        }
        Ok(marked?)
    }

    /// Each event's rows by themselves: one's trouble does not keep the others
    /// waiting.
    async fn repeat(self: &Arc<Self>, tasks: Vec<Task>) -> Result<(), Error> {
        let mut by_event: HashMap<EventId, (Vec<Ended>, Vec<i64>)> = HashMap::new();
        let mut done = Vec::new();
        for Task { outbox_id, event_id, kind } in tasks {
            match kind {
                TaskKind::Event => done.push(self.configure(&event_id, outbox_id).await),
                TaskKind::Returned { return_id, epoch } => {
                    done.push(self.repeat_return(&event_id, epoch, return_id, outbox_id).await);
                }
                TaskKind::Ended(end) => {
                    let (ended, outbox_ids) = by_event.entry(event_id).or_default();
                    ended.push(end);
                    outbox_ids.push(outbox_id);
                }
            }
        }
        for (event_id, (ended, outbox_ids)) in by_event {
            done.push(self.repeat_ends(&event_id, &ended, &outbox_ids).await);
        }
        done.into_iter().collect()
    }

    async fn repeat_return(
        self: &Arc<Self>,
        event_id: &EventId,
        epoch: Epoch,
        return_id: Uuid,
        outbox_id: i64,
    ) -> Result<(), Error> {
        if self.return_places(event_id, epoch, return_id).await? {
            self.ledger.finish_outbox(&[outbox_id]).await?;
        }
        Ok(())
    }

    async fn repeat_ends(
        self: &Arc<Self>,
        event_id: &EventId,
        ended: &[Ended],
        outbox_ids: &[i64],
    ) -> Result<(), Error> {
        self.on_event(event_id, |epoch| self.holds.finish(event_id, epoch, ended)).await?;
        failpoint!("outbox:told");
        Ok(self.ledger.finish_outbox(outbox_ids).await?)
    }
}

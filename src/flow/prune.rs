//! Upkeep: what nobody needs any more is forgotten.

use super::{Error, Flows};
use crate::{domain::Position, ledger::ActiveEvent, limits::LOG_KEPT_ENTRIES};

impl Flows {
    /// Trims the logs to what is not journaled yet or may be resumed from, and
    /// forgets holds and outbox rows that ended long ago.
    pub async fn prune(&self) -> Result<(), Error> {
        // Boards that nobody used keep their feeds.
        self.boards.run_pending_tasks().await;
        let mut done = Vec::new();
        for event in self.ledger.active_events().await? {
            done.push(self.prune_event(&event).await);
        }
        self.ledger.forget_outbox().await?;
        self.ledger.forget_deliveries().await?;
        self.ledger.forget_waiting_entries().await?;
        // One event's trouble does not keep the others waiting.
        done.into_iter().collect()
    }

    async fn prune_event(&self, event: &ActiveEvent) -> Result<(), Error> {
        let ActiveEvent { event_id, journaled, .. } = event;
        let Some(now) = self.holds.position(event_id).await? else { return Ok(()) };
        let resumable = now.seq.saturating_sub(LOG_KEPT_ENTRIES);
        if journaled.epoch == now.epoch {
            let seq = journaled.seq.min(resumable);
            self.holds.trim_log(event_id, Position { epoch: now.epoch, seq }).await?;
            self.holds.forget_ended_holds(event_id).await?;
            self.holds.forget_lapses(event_id).await?;
        }
        Ok(())
    }
}

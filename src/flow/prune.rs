//! Upkeep: what nobody needs any more is forgotten.

use super::{Error, Flows};
use crate::{domain::Position, ledger::ActiveEvent, limits::LOG_KEPT_ENTRIES};

impl Flows {
    /// Trims the logs to what is not journaled yet or may be resumed from, and
    /// forgets holds and outbox rows that ended long ago.
    pub async fn prune(&self) -> Result<(), Error> {
        for ActiveEvent { event_id, journaled, .. } in self.ledger.active_events().await? {
            let Some(now) = self.holds.position(&event_id).await? else { continue };
            let resumable = now.seq.saturating_sub(LOG_KEPT_ENTRIES);
            if journaled.epoch == now.epoch {
                let seq = journaled.seq.min(resumable);
                self.holds.trim_log(&event_id, Position { epoch: now.epoch, seq }).await?;
                self.holds.forget_ended_holds(&event_id).await?;
            }
        }
        self.ledger.forget_outbox().await?;
        Ok(())
    }
}

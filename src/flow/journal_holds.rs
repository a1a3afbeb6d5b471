//! The journal: Postgres follows each event's log.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};

use super::{Error, Flows};
use crate::{
    domain::{EventId, HoldId, HoldRecord, Position},
    failpoint::failpoint,
    holds::LogEntry,
    ledger::{ActiveEvent, JournalBatch},
    limits::{JOB_CONCURRENCY, JOURNAL_BATCH},
};

impl Flows {
    /// Journals what the logs of all events have beyond their cursors; answers
    /// how many entries.
    pub async fn journal_all_holds(&self) -> Result<usize, Error> {
        let active = self.ledger.active_events().await?;
        let journaled: Vec<_> = stream::iter(active)
            .map(|ActiveEvent { event_id, journaled, .. }| async move {
                self.journal_holds(&event_id, journaled).await
            })
            .buffer_unordered(JOB_CONCURRENCY)
            .collect()
            .await;
        // One event's trouble does not keep the others waiting.
        journaled.into_iter().sum()
    }

    /// Journals what one event's log has.
    pub(super) async fn journal_event(&self, event_id: &EventId) -> Result<usize, Error> {
        let journaled = self.ledger.find_journal_cursor(event_id).await?;
        self.journal_holds(event_id, journaled).await
    }

    async fn journal_holds(&self, event_id: &EventId, from: Position) -> Result<usize, Error> {
        let (mut from, mut journaled) = (from, 0);
        loop {
            // 1. The entries after the cursor.
            let entries = self.holds.read_log(event_id, from, JOURNAL_BATCH).await?;
            let Some(last) = entries.last() else { return Ok(journaled) };
            let (to, count) = (last.position, entries.len());
            failpoint!("journal:read");
            // 2. The cursor and what it passes, in one statement: where another
            //    server has moved it, this one writes nothing.
            let batch = fold(from, to, entries);
            if !self.ledger.write_journal(event_id, &batch).await? {
                return Ok(journaled);
            }
            journaled += count;
            from = to;
            if count < JOURNAL_BATCH {
                return Ok(journaled);
            }
        }
    }
}

/// Each hold as the entries have it last.
fn fold(from: Position, to: Position, entries: Vec<LogEntry>) -> JournalBatch {
    let mut latest: HashMap<HoldId, (Position, HoldRecord)> = HashMap::new();
    let mut undone: HashMap<HoldId, Position> = HashMap::new();
    let mut expired = Vec::new();
    for entry in entries {
        for (hold_id, record) in entry.holds {
            undone.remove(&hold_id);
            latest.insert(hold_id, (entry.position, record));
        }
        for hold_id in entry.undone {
            latest.remove(&hold_id);
            undone.insert(hold_id, entry.position);
        }
        expired.extend(entry.expired);
    }
    let holds = latest.into_iter().map(|(hold_id, (at, record))| (at, hold_id, record)).collect();
    let undone = undone.into_iter().map(|(hold_id, at)| (at, hold_id)).collect();
    JournalBatch { from, to, holds, expired, undone }
}

//! The journal: Postgres follows each event's log.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};

use super::{Error, Flows};
use crate::{
    domain::{EventId, HoldId, HoldRecord, Position},
    failpoint::failpoint,
    holds::LogEntry,
    ledger::{ActiveEvent, JournalBatch},
    limits::{JOB_CONCURRENCY, JOURNAL_ENTRIES, JOURNAL_HOLDS},
    telemetry,
};

impl Flows {
    /// Journals what the logs of all events have beyond their cursors; answers
    /// how many entries, and how old the oldest was.
    pub async fn journal_all_holds(&self) -> Result<(usize, Duration), Error> {
        let active = self.ledger.active_events().await?;
        let journaled: Vec<_> = stream::iter(active)
            .map(|ActiveEvent { event_id, journaled, .. }| async move {
                self.journal_holds(&event_id, journaled).await
            })
            .buffer_unordered(JOB_CONCURRENCY)
            .collect()
            .await;
        // One event's trouble does not keep the others waiting.
        journaled.into_iter().try_fold((0, Duration::ZERO), |(sum, oldest), one| {
            let (entries, age) = one?;
            Ok((sum + entries, oldest.max(age)))
        })
    }

    /// Journals what one event's log has.
    pub(super) async fn journal_event(&self, event_id: &EventId) -> Result<usize, Error> {
        let journaled = self.ledger.find_journal_cursor(event_id).await?;
        self.journal_holds(event_id, journaled).await.map(|(entries, _)| entries)
    }

    async fn journal_holds(
        &self,
        event_id: &EventId,
        from: Position,
    ) -> Result<(usize, Duration), Error> {
        let (mut from, mut journaled, mut oldest) = (from, 0, Duration::ZERO);
        let mut at_most = *JOURNAL_ENTRIES.start();
        loop {
            // 1. The entries after the cursor: as many as have, by those before, about as
            //    many holds as one statement takes.
            let mut entries = self.holds.read_log(event_id, from, at_most).await?;
            let is_all = entries.len() < at_most;
            let holds: usize = entries.iter().map(|entry| entry.holds.len()).sum();
            at_most = next_page(at_most, holds);
            let before_a_hold_made_again = begins_anew(&entries);
            entries.truncate(before_a_hold_made_again.unwrap_or(entries.len()));
            let Some(last) = entries.last() else { return Ok((journaled, oldest)) };
            oldest = oldest.max(telemetry::since_ms(entries[0].change.at_ms));
            let (to, count) = (last.change.position, entries.len());
            failpoint!("journal:read");
            // 2. The cursor and what it passes, in one statement: where another
            //    server has moved it, this one writes nothing.
            let batch = fold(from, to, entries);
            if !self.ledger.write_journal(event_id, &batch).await? {
                return Ok((journaled, oldest));
            }
            journaled += count;
            from = to;
            if is_all && before_a_hold_made_again.is_none() {
                return Ok((journaled, oldest));
            }
        }
    }
}

/// How many entries to read after so many that had so many holds. What comes may be busier
/// than what was, so pages grow step by step.
fn next_page(entries: usize, holds: usize) -> usize {
    let (few, most) = (*JOURNAL_ENTRIES.start(), *JOURNAL_ENTRIES.end());
    (entries * JOURNAL_HOLDS / holds.max(1)).clamp(few, most.min(4 * entries))
}

/// The entry, if there is one, that makes a hold again which one before has
/// undone: no statement can both delete and insert it.
fn begins_anew(entries: &[LogEntry]) -> Option<usize> {
    let mut undone: HashSet<HoldId> = HashSet::new();
    entries.iter().position(|entry| {
        undone.extend(&entry.undone);
        entry.holds.iter().any(|(hold_id, _)| undone.contains(hold_id))
    })
}

/// Each hold as the entries have it last.
fn fold(from: Position, to: Position, entries: Vec<LogEntry>) -> JournalBatch {
    let mut latest: HashMap<HoldId, (Position, HoldRecord)> = HashMap::new();
    let (mut undone, mut expired) = (Vec::new(), Vec::new());
    let mut made = 0;
    latest.reserve(entries.iter().map(|entry| entry.holds.len()).sum());
    for LogEntry { change, holds, expired: ran_out, undone: not_made } in entries {
        for (hold_id, record) in holds {
            made += usize::from(record.created_ms == change.at_ms);
            latest.insert(hold_id, (change.position, record));
        }
        for hold_id in not_made {
            latest.remove(&hold_id);
            undone.push((change.position, hold_id));
        }
        expired.extend(ran_out);
    }
    let holds = latest.into_iter().map(|(hold_id, (at, record))| (at, hold_id, record)).collect();
    JournalBatch { from, to, holds, expired, undone, made }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_about_as_many_holds_whatever_an_entry_has() {
        let pages = |of_an_entry: usize| {
            let mut page = *JOURNAL_ENTRIES.start();
            let after = |_| {
                page = next_page(page, page * of_an_entry);
                page
            };
            (0..4).map(after).collect::<Vec<_>>()
        };
        assert_eq!(pages(0), [128, 500, 500, 500]);
        assert_eq!(pages(1), [128, 500, 500, 500]);
        assert_eq!(pages(20), [128, 200, 200, 200]);
        assert_eq!(pages(128), [32, 32, 32, 32]);
        // A burst after silence, and silence after it.
        assert_eq!(next_page(500, 64_000), 32);
        assert_eq!(next_page(32, 0), 128);
    }
}

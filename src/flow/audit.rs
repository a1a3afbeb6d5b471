//! The audit: all that the stores have of an event, compared.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use super::{Error, Flows};
use crate::{
    domain::{
        EventId,
        audit::{Difference, compare},
    },
    limits::{AUDIT_CONCURRENCY, AUDIT_PATIENCE},
};

/// One event, looked at.
#[derive(Debug, Clone)]
pub struct Audited {
    pub event_id: EventId,
    /// Whether Redis has it.
    pub is_loaded: bool,
    pub seats: usize,
    /// That live in Redis.
    pub holds: usize,
    pub differences: Vec<Difference>,
}

impl Audited {
    /// How many of the differences say that something is wrong.
    pub fn wrong(&self) -> usize {
        self.differences.iter().filter(|difference| difference.counts()).count()
    }
}

/// What became of an event's audit.
pub type Audit = (EventId, Result<Audited, Error>);

impl Flows {
    /// All events, for an audit.
    pub async fn all_events(&self) -> Result<Vec<EventId>, Error> {
        Ok(self.ledger.all_events().await?)
    }

    /// Compares the stores, event by event. What differs is looked at again
    /// [`AUDIT_PATIENCE`] later, and told where it is the same then: the stores
    /// move while they are read, and what has its time to heal does.
    pub async fn audit(&self, event_ids: Vec<EventId>) -> Vec<Audit> {
        // 1. A first look. Most events need no other.
        let (mut done, mut doubtful) = (Vec::new(), Vec::new());
        for (event_id, look) in self.look_at(event_ids).await {
            match look {
                Ok(audited) if !audited.differences.is_empty() => doubtful.push(audited),
                other => done.push((event_id, other)),
            }
        }
        // 2. A second one.
        done.extend(self.look_again(doubtful).await);
        done
    }

    /// Looks again, when outbox, sweep and journal have had their time; answers
    /// what both looks have found.
    pub(super) async fn look_again(&self, doubtful: Vec<Audited>) -> Vec<Audit> {
        if doubtful.is_empty() {
            return Vec::new();
        }
        sleep_until(Instant::now() + AUDIT_PATIENCE).await;
        let again = doubtful.iter().map(|audited| audited.event_id.clone()).collect();
        let mut before: HashMap<_, HashSet<_>> = doubtful
            .into_iter()
            .map(|first| (first.event_id, first.differences.into_iter().collect()))
            .collect();
        let looks = self.look_at(again).await.into_iter().map(|(event_id, look)| {
            let before = before.remove(&event_id).unwrap_or_default();
            let look = look.map(|mut second| {
                second.differences.retain(|difference| before.contains(difference));
                second
            });
            (event_id, look)
        });
        looks.collect()
    }

    async fn look_at(&self, event_ids: Vec<EventId>) -> Vec<Audit> {
        stream::iter(event_ids)
            .map(|event_id| async move {
                let look = self.look(&event_id).await.map_err(Error::of_a_read);
                (event_id, look)
            })
            .buffer_unordered(AUDIT_CONCURRENCY)
            .collect()
            .await
    }

    /// One look at one event. Some of what it finds may be under way.
    pub async fn look(&self, event_id: &EventId) -> Result<Audited, Error> {
        // 1. Redis before Postgres: whatever is sold in Redis is committed then.
        let begun = Instant::now();
        let mut redis = self.holds.audit(event_id).await?;
        let live: Vec<_> = redis.iter().flat_map(|redis| redis.holds.keys().copied()).collect();
        // 2. Postgres, and which sales Redis may have heard of only since. A
        //    second more: a sale is marked as told a little after it was.
        let since = begun.elapsed() + Duration::from_secs(1);
        let postgres = self.ledger.audit(event_id, &live, since).await?;
        // 3. What Redis has of those sales now tells what it had of them; and of
        //    holds that the journal has, but no seat and no due time names.
        let missing = postgres.journal.iter().filter(|(hold_id, row)| {
            row.is_live && !redis.as_ref().is_some_and(|redis| redis.holds.contains_key(hold_id))
        });
        let recent = postgres.recent.iter().map(|sale| sale.hold_id);
        let ids: Vec<_> = missing.map(|(hold_id, _)| *hold_id).chain(recent).collect();
        if let Some(redis) = &mut redis {
            redis.later = self.holds.audit_holds(event_id, postgres.epoch, &ids).await?;
        }
        let event = self.event_anew(event_id).await?;
        let differences = compare(redis.as_ref(), &postgres, &event.chart);
        Ok(Audited {
            event_id: event_id.clone(),
            is_loaded: redis.is_some(),
            seats: postgres.seat_count,
            holds: live.len(),
            differences,
        })
    }
}

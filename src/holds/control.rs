//! The control path: probes and upkeep.

use super::{Error, Holds, Incarnation, keys};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, HoldState, Position};
use crate::limits::ENDED_HOLD_KEPT;
use crate::redis::cmd;

impl Holds {
    /// Whether every Redis that has events serves, and can be trusted with holds; see
    /// [`crate::redis::Links::probe`].
    ///
    /// # Errors
    /// A text for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        self.links.probe().await
    }

    /// The event's position now; `None` where Redis does not have it, or has
    /// it from another life.
    pub async fn position(&self, event_id: &EventId) -> Result<Option<Position>, Error> {
        let mut fields = cmd("HMGET");
        fields.arg(keys::meta(event_id)).arg("incarnation").arg("epoch").arg("seq");
        let ((built_in, epoch, seq), incarnation): ((Option<String>, _, _), _) =
            self.links.read(event_id.as_str(), &fields).await?;
        let is_of_this_life =
            built_in == Some(incarnation.0) || cfg!(feature = "mutant-no-incarnation-check");
        let position = Option::zip(epoch, seq).filter(|_| is_of_this_life);
        Ok(position.map(|(epoch, seq)| Position { epoch: Epoch(epoch), seq }))
    }

    /// The event's revision that is in force; `None` where Redis does not have it.
    pub async fn revision(&self, event_id: &EventId) -> Result<Option<u64>, Error> {
        let mut field = cmd("HGET");
        field.arg(keys::meta(event_id)).arg("revision");
        Ok(self.links.read(event_id.as_str(), &field).await?.0)
    }

    /// Redis' clock, by which the event's holds run out: ms since 1970.
    pub async fn clock_ms(&self, event_id: &EventId) -> Result<i64, Error> {
        let ((seconds, micros), _): ((i64, i64), _) =
            self.links.read(event_id.as_str(), &cmd("TIME")).await?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// How many holds are open.
    pub async fn count_open(&self, event_id: &EventId) -> Result<i64, Error> {
        let mut count = cmd("ZCARD");
        count.arg(keys::due(event_id));
        let count: i64 = self.links.query(event_id.as_str(), &count).await?;
        // Without the entry of no name, which every key has.
        Ok((count - 1).max(0))
    }

    /// Open holds in the order in which they are due, each with when: those that are due
    /// at `from_ms`, of Redis' clock, or later, without the first `skip`.
    pub async fn due_page(
        &self,
        event_id: &EventId,
        from_ms: i64,
        skip: usize,
        count: usize,
    ) -> Result<Vec<(HoldId, i64)>, Error> {
        let mut range = cmd("ZRANGEBYSCORE");
        range.arg(keys::due(event_id)).arg(from_ms).arg("(+inf").arg("WITHSCORES");
        range.arg("LIMIT").arg(skip).arg(count);
        let page: Vec<(String, i64)> = self.links.query(event_id.as_str(), &range).await?;
        let hold = |(id, due_ms): (String, i64)| {
            let hold_id = uuid::Uuid::try_parse(&id).map_err(Error::corrupt)?;
            Ok((HoldId(hold_id), due_ms))
        };
        page.into_iter().map(hold).collect()
    }

    /// The life of Redis that the event's calls go to from now on.
    pub async fn incarnation(&self, event_id: &EventId) -> Result<Incarnation, Error> {
        self.links.incarnation(event_id.as_str()).await
    }

    /// Forgets who let holds run out so long ago that it does not count any more; answers
    /// how many.
    pub async fn forget_lapses(&self, event_id: &EventId) -> Result<usize, Error> {
        let key = event_id.as_str();
        let (seconds, _micros): (i64, i64) = self.links.query(key, &cmd("TIME")).await?;
        let (mut cursor, mut forgotten) = (0_u64, 0);
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(keys::lapses(event_id)).arg(cursor).arg("COUNT").arg(500);
            let (next, page): (u64, Vec<(String, String)>) = self.links.query(key, &scan).await?;
            let counts_until_ms = |told: &str| told.split(' ').nth(1)?.parse::<i64>().ok();
            let is_old = |told: &str| counts_until_ms(told).is_some_and(|ms| ms < seconds * 1_000);
            let old: Vec<_> = page.iter().filter(|(_, told)| is_old(told)).collect();
            if !old.is_empty() {
                let mut forget = cmd("HDEL");
                forget.arg(keys::lapses(event_id));
                for (holder, _) in &old {
                    forget.arg(holder);
                }
                let () = self.links.query(key, &forget).await?;
            }
            forgotten += old.len();
            cursor = next;
            if cursor == 0 {
                return Ok(forgotten);
            }
        }
    }

    /// Forgets holds that ended longer than [`ENDED_HOLD_KEPT`] ago; answers
    /// how many.
    pub async fn forget_ended_holds(&self, event_id: &EventId) -> Result<usize, Error> {
        let key = event_id.as_str();
        let (seconds, _micros): (i64, i64) = self.links.query(key, &cmd("TIME")).await?;
        let kept_ms = i64::try_from(ENDED_HOLD_KEPT.as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = seconds * 1_000 - kept_ms;
        let (mut cursor, mut forgotten) = (0_u64, 0);
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(keys::holds(event_id)).arg(cursor).arg("COUNT").arg(500);
            let (next, page): (u64, Vec<(String, Vec<u8>)>) = self.links.query(key, &scan).await?;
            let mut forget = cmd("HDEL");
            forget.arg(keys::holds(event_id));
            let mut old = 0;
            // Without the entry of no name, which every key has.
            for (hold_id, packed) in page.iter().filter(|(hold_id, _)| !hold_id.is_empty()) {
                let record: HoldRecord = rmp_serde::from_slice(packed).map_err(Error::corrupt)?;
                // One that a Release has named whole may live on.
                let lives = matches!(record.state, HoldState::Active | HoldState::Confirming);
                if !lives && record.ended_ms != 0 && record.ended_ms < oldest_ms {
                    forget.arg(hold_id);
                    old += 1;
                }
            }
            if old > 0 {
                let () = self.links.query(key, &forget).await?;
            }
            forgotten += old;
            cursor = next;
            if cursor == 0 {
                return Ok(forgotten);
            }
        }
    }
}

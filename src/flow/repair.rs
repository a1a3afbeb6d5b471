//! Repair: what an audit found is mended by the protocol's own steps. Nothing is
//! ever written around them; what Postgres contradicts itself in is left to a
//! person.

use std::{collections::HashSet, sync::Arc};

use super::{Audited, Error, Flows};
use crate::{
    domain::{
        EventId, HoldId, SeatId, SeatIndex,
        audit::{Difference, Mend, Seen},
    },
    ledger::JournalBatch,
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Mends what can be; answers what is left, looked at anew.
    pub async fn repair(self: &Arc<Self>, audited: Audited) -> Result<Audited, Error> {
        let event_id = audited.event_id.clone();
        // 1. The steps that some server did not come to.
        self.catch_up_steps(&event_id, &audited.differences).await?;
        let left = self.audit_anew(&event_id).await?;
        // 2. Where Redis still is not as it should be, it is built anew: all that
        //    was promised is in Postgres by now, or in the log, which is journaled
        //    first.
        let is_for_rebuild = |difference: &Difference| {
            !matches!(difference.mend(), Mend::Person | Mend::Block | Mend::Jobs)
        };
        if !left.differences.iter().any(is_for_rebuild) {
            return Ok(left);
        }
        tracing::warn!(%event_id, "the event is built anew in Redis");
        self.holds.seal(&event_id).await?;
        self.load_event(&event_id, None).await?;
        self.audit_anew(&event_id).await
    }

    async fn audit_anew(&self, event_id: &EventId) -> Result<Audited, Error> {
        let mut looks = self.audit(vec![event_id.clone()]).await;
        let (_, look) = looks.pop().expect("one for one");
        look
    }

    async fn catch_up_steps(
        self: &Arc<Self>,
        event_id: &EventId,
        found: &[Difference],
    ) -> Result<(), Error> {
        // 1. Redis has the event, in the epoch that Postgres has.
        if found.iter().any(|difference| difference.mend() == Mend::Load) {
            let position = self.holds.position(event_id).await?;
            self.load_event(event_id, position.map(|at| at.epoch)).await?;
        }
        // 2. The journal, so that nothing is lost by what comes. A hold that Redis
        //    contradicts itself about is better in the journal as it is.
        self.journal_event(event_id).await?;
        let torn: HashSet<HoldId> = found
            .iter()
            .filter(|difference| {
                matches!(
                    difference,
                    Difference::SeatWithoutHold { .. } | Difference::HoldWithoutSeat { .. }
                )
            })
            .filter_map(Difference::hold)
            .collect();
        let holds = found.iter().filter_map(|difference| match difference.mend() {
            Mend::Journal(hold) => match difference {
                Difference::JournaledOtherwise { .. } if torn.contains(&hold) => None,
                _ => Some(hold),
            },
            _ => None,
        });
        self.journal_as_held(event_id, &holds.collect::<Vec<_>>()).await?;
        // 3. What Postgres has decided, Redis is told.
        let mut ended = Vec::new();
        for hold_id in found.iter().filter_map(|difference| match difference.mend() {
            Mend::Finish(hold) => Some(hold),
            _ => None,
        }) {
            ended.extend(self.ledger.find_outcome(event_id, hold_id).await?);
        }
        if !ended.is_empty() {
            self.on_event(event_id, |epoch| self.holds.finish(event_id, epoch, &ended)).await?;
        }
        // 4. What the operator wants.
        if found.iter().any(|difference| difference.mend() == Mend::Configure) {
            self.configure_event(event_id).await?;
        }
        self.block_again(event_id, found).await?;
        // 5. What the jobs would do.
        if found.iter().any(|difference| difference.mend() == Mend::Jobs) {
            // Another event's trouble is not this one's.
            if let Err(error) = self.repeat_outbox().await {
                tracing::warn!(%error, "outbox rows are left to be done again");
            }
            self.mark_finished().await?;
            let epoch = self.event_anew(event_id).await?.epoch;
            self.expire_holds(event_id, epoch).await?;
        }
        Ok(())
    }

    /// Journals holds as they are in Redis. What the log has on them stays in
    /// order: nothing that was journaled from it is later than what is read here,
    /// and what comes later is journaled after.
    async fn journal_as_held(&self, event_id: &EventId, wanted: &[HoldId]) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            let Some(redis) = self.holds.audit(event_id).await? else { return Ok(()) };
            let at = self.ledger.find_journal_cursor(event_id).await?;
            if at.epoch != redis.position.epoch || at > redis.position {
                self.journal_event(event_id).await?;
                continue;
            }
            let holds = wanted
                .iter()
                .filter_map(|id| Some((redis.position, *id, redis.holds.get(id)?.clone())));
            let holds = holds.collect();
            let batch = JournalBatch { from: at, to: at, holds, ..JournalBatch::default() };
            if self.ledger.write_journal(event_id, &batch).await? {
                return Ok(());
            }
        }
        Err(Error::unsettled())
    }

    /// Does the half of BlockSeats that is missing: a seat that is out of sale in
    /// one store stays out of it, until the operator says otherwise.
    async fn block_again(
        self: &Arc<Self>,
        event_id: &EventId,
        found: &[Difference],
    ) -> Result<(), Error> {
        let event = self.event_anew(event_id).await?;
        let index_of = |name: &str| -> Option<SeatIndex> {
            let seat_id: SeatId = name.parse().ok()?;
            event.chart.seat_indexes(&[seat_id]).ok()?.first().copied()
        };
        let (mut in_redis, mut in_postgres) = (Vec::new(), Vec::new());
        for difference in found {
            match difference {
                Difference::BlockedSeat { seat, redis: Seen::Free } => {
                    in_redis.extend(index_of(seat));
                }
                Difference::BlockedInRedis { seat } => in_postgres.extend(index_of(seat)),
                _ => {}
            }
        }
        if !in_redis.is_empty() {
            self.on_event(event_id, |epoch| self.holds.block_seats(event_id, epoch, &in_redis))
                .await?;
        }
        if !in_postgres.is_empty() {
            self.ledger.set_blocked(event_id, event.epoch, &in_postgres, true).await?;
        }
        Ok(())
    }
}

//! Builds an event's state in Redis from what Postgres has, in a new epoch:
//! after its creation, and whenever Redis does not have it, or has it from
//! another life and so perhaps an older state.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Error, Flows};
use crate::{
    domain::{AreaIndex, Epoch, EventId, HoldDurability, HolderId},
    failpoint::failpoint,
    holds::{self, Incarnation, LoadArgs, LoadReply, Rules},
    ledger::Foundation,
};

impl Flows {
    /// Brings Redis to the epoch that Postgres has, or both to a new one.
    /// `found` is the epoch that Redis was seen in.
    pub(super) async fn load_event(
        &self,
        event_id: &EventId,
        found: Option<Epoch>,
    ) -> Result<(), Error> {
        // 1. Most often another server has moved the epoch, and only this one
        //    did not know.
        let event = self.event_anew(event_id).await?;
        if found == Some(event.epoch) {
            return Ok(());
        }
        // 2. One caller at a time, or two that find the event missing would
        //    build it twice, the second wiping out the holds made since: here by
        //    a turn, so that those who wait take no session of Postgres', and
        //    among all servers by a lock in Postgres.
        let turn = self.loading.turn(event_id);
        let _turn = turn.lock().await;
        let incarnation = self.holds.incarnation(event_id).await?;
        if self.epochs_agree(event_id).await? {
            return Ok(());
        }
        let _permit = self.loading.permit().await;
        let _lock = self.ledger.lock_rebuild(event_id).await?;
        if self.epochs_agree(event_id).await? {
            return Ok(());
        }
        failpoint!("load:locked");
        // 3. The state is closed, or connections from before a change of
        //    `master_replid` could still add to it. Then what the log has is
        //    journaled: a Redis that only started again has lost nothing. What
        //    cannot be read stands in nobody's way; a store that does not answer
        //    does.
        let found = self.holds.seal(event_id).await?.unwrap_or_default();
        self.salvage(event_id).await.map_err(Error::of_a_read)?;
        failpoint!("load:journaled");
        // 4. The new epoch, before Redis is touched: from its commit on, no
        //    sale of the old epoch can be added to what was read with it.
        let now_ms = self.holds.clock_ms(event_id).await?;
        let begun = self.ledger.begin_epoch(event_id, found, &incarnation.0, now_ms);
        let foundation = begun.await?;
        let epoch = foundation.stored.epoch;
        failpoint!("load:begun");
        // 5. Redis, if it is still the one of step 2, and no later epoch has got
        //    there meanwhile. Where not, whoever looks next begins anew.
        let args = build(&foundation, incarnation);
        let (held, sold) = (args.holds.len(), args.sold.len());
        match self.holds.load(event_id, &args).await {
            Ok(LoadReply::Loaded) => {
                tracing::info!(%event_id, %epoch, held, sold, "event loaded into Redis");
            }
            Ok(LoadReply::Elsewhere) => {
                tracing::info!(%event_id, %epoch, "Redis has changed again");
            }
            Ok(LoadReply::Stale(newer)) => {
                tracing::info!(%event_id, %epoch, %newer, "event was loaded meanwhile");
            }
            Err(error @ holds::Error::Unknown(_)) => {
                tracing::warn!(%event_id, %epoch, %error, "event may have been loaded");
            }
            Err(error) => return Err(error.into()),
        }
        failpoint!("load:loaded");
        self.event_anew(event_id).await?;
        Ok(())
    }

    /// Journals all that the log still has, whoever writes it.
    async fn salvage(&self, event_id: &EventId) -> Result<(), Error> {
        loop {
            match self.journal_event(event_id).await {
                Err(error @ Error::Internal(_)) => {
                    tracing::warn!(%event_id, %error, "holds of the last second may be lost");
                    return Ok(());
                }
                journaled => journaled?,
            };
            // Another server may have been faster, with a part of it.
            let at = self.ledger.find_journal_cursor(event_id).await?;
            let left = self.holds.read_changes(event_id, at, 1).await?;
            let epoch = self.event_anew(event_id).await?.epoch;
            if left.first().is_none_or(|entry| entry.position.epoch != epoch) {
                return Ok(());
            }
        }
    }

    /// Loads an event with nobody waiting, unless somebody does so already.
    pub(super) fn load_in_background(self: &Arc<Self>, event_id: &EventId, found: Option<Epoch>) {
        if self.loading.turn(event_id).try_lock().is_err() {
            return;
        }
        let (flows, event_id) = (self.clone(), event_id.clone());
        self.tasks.spawn(async move {
            if let Err(error) = flows.load_event(&event_id, found).await {
                tracing::warn!(%event_id, %error, "event is not loaded; it is tried again");
            }
        });
    }

    /// Whether Redis has the event in the epoch that Postgres says.
    async fn epochs_agree(&self, event_id: &EventId) -> Result<bool, Error> {
        let event = self.event_anew(event_id).await?;
        let position = self.holds.position(event_id).await?;
        Ok(position.is_some_and(|at| at.epoch == event.epoch))
    }
}

/// What Redis is built from. What a live hold has in common with a sale or a
/// later hold is left out of it: Redis had freed that, and the journal had not
/// heard of it yet.
fn build(foundation: &Foundation, incarnation: Incarnation) -> LoadArgs {
    let Foundation { stored, seat_count, blocked, sold, areas, .. } = foundation;
    let mut taken: HashSet<_> = sold.iter().map(|&(seat, _)| seat).chain(blocked.clone()).collect();
    let mut free: Vec<i64> =
        areas.iter().map(|&(capacity, sold)| i64::from(capacity) - i64::from(sold)).collect();
    let owned = foundation.owned.iter().map(|(holder, &units)| (holder.clone(), (units, 0)));
    let mut holders: HashMap<HolderId, (u32, u32)> = owned.collect();
    let is_journaled = stored.event.hold_durability == HoldDurability::Journaled;
    let mut holds = Vec::new();
    // The latest first: where two stand against each other, the later one was
    // made after the earlier one had gone.
    for (hold_id, hold) in foundation.holds.iter().rev() {
        let mut hold = hold.clone();
        hold.seats.retain(|&seat| taken.insert(seat));
        for part in &mut hold.areas {
            let free = &mut free[at(part.area)];
            part.quantity = part.quantity.min(u32::try_from(*free).unwrap_or_default());
            *free -= i64::from(part.quantity);
        }
        hold.areas.retain(|part| part.quantity > 0);
        if hold.units() == 0 {
            continue;
        }
        // It is in the journal: whoever was answered it keeps it.
        hold.asked = if is_journaled { 2 } else { 0 };
        let (units, open) = holders.entry(hold.holder_id.clone()).or_default();
        *units += hold.units();
        *open += 1;
        holds.push((*hold_id, hold));
    }
    LoadArgs {
        epoch: stored.epoch,
        incarnation,
        rules: Rules::new(&stored.event, stored.revision),
        seat_count: *seat_count,
        blocked: blocked.clone(),
        sold: sold.clone(),
        areas: free.into_iter().zip(areas).map(|(free, &(capacity, _))| (free, capacity)).collect(),
        holds,
        ended: foundation.ended.clone(),
        holders,
    }
}

fn at(area: AreaIndex) -> usize {
    area.0 as usize
}

//! AllocateSeats and FreeAllocation: who may take what.

use std::sync::Arc;

use super::{Error, Flows, Override};
use crate::{
    domain::{Allocation, AreaId, ChannelAction, ChannelActionKind, ChannelKey, EventId, SeatId},
    failpoint::failpoint,
    ledger::Growth,
};

impl Flows {
    /// Keeps seats for a channel; answers the channel as it is then.
    pub async fn allocate_seats(
        self: &Arc<Self>,
        event_id: EventId,
        channel: ChannelKey,
        seat_ids: Vec<SeatId>,
        by: Override,
    ) -> Result<Allocation, Error> {
        let _span = crate::telemetry::flow("allocate_seats");
        let items = self.items(&event_id, &seat_ids, &[]).await?;
        let action = ChannelAction {
            kind: ChannelActionKind::Allocate,
            channel: Some(channel.clone()),
            hold_id: None,
            seat_ids,
            area_ids: Vec::new(),
            actor: by.actor,
            reason: by.reason,
        };
        // 1. Postgres, with a note in the outbox that Redis must follow.
        let growth = self.ledger.allocate_seats(&event_id, &items.seats, &action).await?;
        self.in_force(&event_id, growth).await?;
        self.allocation(&event_id, &channel).await
    }

    /// Lets everybody take these seats, and these shares of areas.
    pub async fn free_allocation(
        self: &Arc<Self>,
        event_id: EventId,
        seat_ids: Vec<SeatId>,
        area_ids: Vec<AreaId>,
        by: Override,
    ) -> Result<(), Error> {
        let _span = crate::telemetry::flow("free_allocation");
        let one_each: Vec<_> = area_ids.iter().map(|area_id| (area_id.clone(), 1)).collect();
        let items = self.items(&event_id, &seat_ids, &one_each).await?;
        let areas: Vec<_> = items.areas.iter().map(|units| units.area).collect();
        let action = ChannelAction {
            kind: ChannelActionKind::Free,
            channel: None,
            hold_id: None,
            seat_ids,
            area_ids,
            actor: by.actor,
            reason: by.reason,
        };
        let freed = self.ledger.free_allocation(&event_id, &items.seats, &areas, &action);
        let growth = freed.await?;
        self.in_force(&event_id, growth).await
    }

    /// 2. Redis' revision: each Hold by an older copy of the chart is told to read it
    ///    anew. What fails here, the outbox repeats; the caller, who must not be told
    ///    that it is in force, is told to ask again: then nothing is written, perhaps,
    ///    but Redis is brought up all the same.
    async fn in_force(self: &Arc<Self>, event_id: &EventId, growth: Growth) -> Result<(), Error> {
        failpoint!("channels:written");
        self.follow_growth(event_id, growth).await
    }

    /// What is kept for a channel now.
    pub(super) async fn allocation(
        &self,
        event_id: &EventId,
        channel: &ChannelKey,
    ) -> Result<Allocation, Error> {
        let event = self.event_anew(event_id).await.map_err(Error::after_a_change)?;
        Ok(event.chart.allocations().remove(channel).unwrap_or_default())
    }
}

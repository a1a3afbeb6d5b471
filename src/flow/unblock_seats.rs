//! UnblockSeats: puts blocked seats back on sale.

use std::sync::Arc;

use super::{Error, Flows};
use crate::{
    domain::{EventId, SeatId, SeatStatus},
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Unblocks seats, at least one; answers each with its status then.
    pub async fn unblock_seats(
        self: &Arc<Self>,
        event_id: EventId,
        seat_ids: Vec<SeatId>,
    ) -> Result<Vec<(SeatId, SeatStatus)>, Error> {
        let _span = crate::telemetry::flow("unblock_seats");
        let items = self.items(&event_id, &seat_ids, &[]).await?;
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            // 1. Postgres, so that a rebuild does not block them again.
            let event = self.event(&event_id).await?;
            if !self.ledger.set_blocked(&event_id, event.epoch, &items.seats, false).await? {
                self.event_anew(&event_id).await?;
                continue;
            }
            // 2. Redis. Were we to stop before it, they would stay out of sale
            //    until they are unblocked again.
            let (event, statuses) = self
                .on_event(&event_id, |epoch| {
                    self.holds.unblock_seats(&event_id, epoch, &items.seats)
                })
                .await
                .map_err(Error::after_a_change)?;
            return Ok(items
                .seats
                .iter()
                .zip(statuses)
                .filter_map(|(&seat, status)| Some((event.chart.seat_id(seat)?.clone(), status)))
                .collect());
        }
        Err(Error::unsettled())
    }
}

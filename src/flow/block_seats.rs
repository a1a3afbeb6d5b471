//! BlockSeats: takes seats out of sale, all or none.

use std::sync::Arc;

use super::{Error, Flows};
use crate::{
    domain::{EventId, Refusal, SeatId},
    holds::BlockReply,
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Blocks seats, at least one.
    pub async fn block_seats(
        self: &Arc<Self>,
        event_id: EventId,
        seat_ids: Vec<SeatId>,
    ) -> Result<(), Error> {
        let _span = crate::telemetry::flow("block_seats");
        let items = self.items(&event_id, &seat_ids, &[]).await?;
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            // 1. Redis, which alone knows whether they are free.
            let (event, reply) = self
                .on_event(&event_id, |epoch| self.holds.block_seats(&event_id, epoch, &items.seats))
                .await?;
            if let BlockReply::Unavailable(seats) = reply {
                let named = seats.into_iter().filter_map(|(seat, status)| {
                    Some((event.chart.seat_id(seat)?.clone(), status))
                });
                return Err(Refusal::SeatUnavailable(named.collect()).into());
            }
            // 2. Postgres, from which Redis is rebuilt. Where that happened in
            //    between, the seats are blocked again.
            let blocked = self.ledger.set_blocked(&event_id, event.epoch, &items.seats, true).await;
            if blocked.map_err(|error| Error::from(error).after_a_change())? {
                return Ok(());
            }
            self.event_anew(&event_id).await?;
        }
        Err(Error::unsettled())
    }
}

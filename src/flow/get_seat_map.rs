//! GetSeatMap: one consistent picture of the house.

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{AreaId, AreaState, EventId, Position, SeatId, SeatStatus},
    feed::SeatMap,
    limits::MAX_EPOCH_ATTEMPTS,
};

/// The house, by its names, in chart order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatMapView {
    pub seats: Vec<(SeatId, SeatStatus)>,
    pub areas: Vec<(AreaId, AreaState)>,
    /// After this picture.
    pub resume_token: String,
}

impl Flows {
    /// The picture as it was at some moment of this call: it has all that was
    /// answered before.
    pub async fn get_seat_map(&self, event_id: &EventId) -> Result<SeatMapView, Error> {
        // 1. How far the event is now, by one small read of Redis.
        let (event, position) = self.position(event_id).await?;
        // 2. The node's own copy, as soon as it has got there.
        let map = self.feeds.of(event_id)?.map_at(position).await?;
        let event = self.event_with_seats(event, map.seats.len(), map.areas.len()).await?;
        Ok(SeatMapView {
            seats: seats_in_order(&event, &map),
            areas: areas_in_order(&event, &map),
            resume_token: map.position.token(event_id),
        })
    }

    /// Where the event is, once Redis has it.
    pub(super) async fn position(
        &self,
        event_id: &EventId,
    ) -> Result<(std::sync::Arc<LoadedEvent>, Position), Error> {
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            let event = self.event(event_id).await?;
            match self.holds.position(event_id).await? {
                Some(position) if position.epoch == event.epoch => return Ok((event, position)),
                other => self.load_event(event_id, other.map(|at| at.epoch)).await?,
            }
        }
        Err(Error::unsettled())
    }

    /// The event with a chart of at least so many seats and areas; read anew
    /// where ours is from before they were added.
    pub(super) async fn event_with_seats(
        &self,
        event: std::sync::Arc<LoadedEvent>,
        seats: usize,
        areas: usize,
    ) -> Result<std::sync::Arc<LoadedEvent>, Error> {
        let has = |event: &LoadedEvent| {
            event.chart.seat_count() >= seats && event.chart.areas.len() >= areas
        };
        if has(&event) {
            return Ok(event);
        }
        let event = self.event_anew(&event.event_id).await?;
        match has(&event) {
            true => Ok(event),
            false => Err(Error::internal("Redis has seats that no chart has")),
        }
    }
}

/// Every seat that the map has, in chart order.
pub(super) fn seats_in_order(event: &LoadedEvent, map: &SeatMap) -> Vec<(SeatId, SeatStatus)> {
    let order = event.chart.seats_in_order().iter();
    order
        .filter_map(|&seat| {
            let status = *map.seats.get(seat.0 as usize)?;
            Some((event.chart.seat_id(seat)?.clone(), status))
        })
        .collect()
}

/// Every area that the map has, in chart order.
pub(super) fn areas_in_order(event: &LoadedEvent, map: &SeatMap) -> Vec<(AreaId, AreaState)> {
    let areas = event.chart.areas.iter().zip(&map.areas);
    areas.map(|(area, &state)| (area.area_id.clone(), state)).collect()
}

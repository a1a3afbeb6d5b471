//! GetSeatMap: one consistent picture of the house.

use bytes::Bytes;

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{AreaId, AreaState, EventId, Position, SeatId, SeatStatus},
    feed::{SeatMap, Telling, Told},
    limits::MAX_EPOCH_ATTEMPTS,
};

/// How the seats of a whole house are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatFormat {
    /// Each by its name.
    Named,
    /// By their places in the chart alone.
    Packed,
}

/// The seats of a house, in chart order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seats {
    Named(Vec<(SeatId, SeatStatus)>),
    /// For who has the chart: its seats, as many as these, are the same ones.
    Packed(Vec<SeatStatus>),
}

/// The house, in chart order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatMapView {
    pub seats: Seats,
    pub areas: Vec<(AreaId, AreaState)>,
    /// After this picture.
    pub resume_token: String,
}

impl Flows {
    /// The picture as it was at some moment of this call, as bytes: it has all
    /// that was answered before. Who asks for the same picture shares them.
    pub async fn get_seat_map(
        &self,
        event_id: &EventId,
        format: SeatFormat,
        encode: fn(SeatMapView) -> Bytes,
    ) -> Result<Bytes, Error> {
        let _span = crate::telemetry::flow("get_seat_map");
        // 1. How far the event is now, by one small read of Redis.
        let (event, position) = self.position(event_id).await?;
        // 2. The node's own copy, as soon as it has got there.
        let feed = self.feeds.of(event_id)?;
        let map = feed.map_at(position).await?;
        // 3. Its names, and the answer.
        let telling = match format {
            SeatFormat::Named => Telling::SeatMap,
            SeatFormat::Packed => Telling::PackedSeatMap,
        };
        let make = || async {
            let event = self.event_with_seats(event, map.seats.len(), map.areas.len()).await?;
            let answer = encode(SeatMapView {
                seats: seats_in_order(&event, &map, format),
                areas: areas_in_order(&event, &map),
                resume_token: map.position.token(event_id),
            });
            Ok::<_, Error>(Told { parts: [answer].into(), to: map.position })
        };
        let told = feed.latest.get_or_make(map.position, telling, make).await?;
        Ok(told.parts[0].clone())
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
pub(super) fn seats_in_order(event: &LoadedEvent, map: &SeatMap, format: SeatFormat) -> Seats {
    let order = event.chart.seats_in_order().iter();
    let seats = order.filter_map(|&seat| Some((seat, *map.seats.get(seat.0 as usize)?)));
    match format {
        SeatFormat::Packed => Seats::Packed(seats.map(|(_, status)| status).collect()),
        SeatFormat::Named => {
            let named = |(seat, status)| Some((event.chart.seat_id(seat)?.clone(), status));
            Seats::Named(seats.filter_map(named).collect())
        }
    }
}

/// Every area that the map has, in chart order.
pub(super) fn areas_in_order(event: &LoadedEvent, map: &SeatMap) -> Vec<(AreaId, AreaState)> {
    let areas = event.chart.areas.iter().zip(&map.areas);
    areas.map(|(area, &state)| (area.area_id.clone(), state)).collect()
}

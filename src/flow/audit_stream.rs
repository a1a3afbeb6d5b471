//! What a server's stream should have told, for an audit of it.

use super::{Error, Flows, get_seat_map::areas_in_order};
use crate::{
    domain::{EventId, Position, SeatIndex, audit::House},
    feed::SeatMap,
    limits::LOG_PAGE,
};

impl Flows {
    /// The house as it was at a stream's position. `map` is what was read of it
    /// before: it is kept from call to call, so that a stream which is behind
    /// gets there in the end. `None` where the stream has more to tell first.
    pub async fn house_at(
        &self,
        event_id: &EventId,
        at: Position,
        map: &mut Option<SeatMap>,
    ) -> Result<Option<House>, Error> {
        let known = match map.take() {
            Some(known) if known.position.epoch >= at.epoch => known,
            // The event was built anew.
            _ => match self.holds.snapshot(event_id).await? {
                Some(snapshot) => SeatMap::from(snapshot),
                None => return Ok(None),
            },
        };
        let known = map.insert(known);
        if at < known.position {
            if known.position.epoch != at.epoch || self.shows(event_id, at, known.position).await? {
                return Ok(None);
            }
        } else if !self.catch_up(event_id, known, at).await? {
            *map = None;
            return Ok(None);
        }
        let event = self.event_anew(event_id).await?;
        let event = self.event_with_seats(event, known.seats.len(), known.areas.len()).await?;
        let seats = known.seats.iter().zip(0..).filter_map(|(&status, index)| {
            Some((event.chart.seat_id(SeatIndex(index))?.to_string(), status))
        });
        let areas = areas_in_order(&event, known).into_iter();
        Ok(Some(House {
            seats: seats.collect(),
            areas: areas.map(|(area_id, state)| (area_id.to_string(), state)).collect(),
        }))
    }

    /// Whether anything between two positions is seen on a seat or an area.
    async fn shows(
        &self,
        event_id: &EventId,
        mut after: Position,
        until: Position,
    ) -> Result<bool, Error> {
        while after < until {
            let entries = self.holds.read_changes(event_id, after, LOG_PAGE).await?;
            let Some(last) = entries.last() else { return Ok(false) };
            if entries.iter().any(|entry| entry.position <= until && entry.shows()) {
                return Ok(true);
            }
            after = last.position;
        }
        Ok(false)
    }

    /// Brings a map to a position by the log; answers whether the log leads
    /// there.
    async fn catch_up(
        &self,
        event_id: &EventId,
        map: &mut SeatMap,
        to: Position,
    ) -> Result<bool, Error> {
        while map.position < to {
            let entries = self.holds.read_changes(event_id, map.position, LOG_PAGE).await?;
            if entries.is_empty() {
                return Ok(false);
            }
            for entry in entries.iter().filter(|entry| entry.position <= to) {
                if !map.is_followed_by(entry) {
                    return Ok(false);
                }
                map.apply(entry);
            }
        }
        Ok(true)
    }
}

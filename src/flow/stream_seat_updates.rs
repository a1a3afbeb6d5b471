//! StreamSeatUpdates: every change of the house, in order, without gaps.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Error, Flows,
    event::LoadedEvent,
    get_seat_map::{areas_in_order, seats_in_order},
};
use crate::{
    domain::{AreaId, AreaIndex, AreaState, EventId, Position, SeatId, SeatIndex, SeatStatus},
    feed::{Message, SeatMap, Subscription},
    holds::LogEntry,
    limits::FEED_SEATS_PER_MESSAGE,
};

/// One message of the stream, by the house's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatMessage {
    /// A part of the whole house.
    Snapshot { seats: Vec<(SeatId, SeatStatus)>, areas: Vec<(AreaId, AreaState)>, last: bool },
    /// What has changed, in order, or a part of it.
    Updates { seats: Vec<(SeatId, SeatStatus)>, areas: Vec<(AreaId, AreaState)>, last: bool },
    /// All is quiet, and well.
    Heartbeat,
}

/// One reader of one event.
pub struct SeatStream {
    flows: Arc<Flows>,
    event: Arc<LoadedEvent>,
    subscription: Subscription,
    /// What is still to be told: parts of a snapshot, or of an update.
    parts: VecDeque<SeatMessage>,
}

impl Flows {
    /// Begins to read after `position`, or with a snapshot.
    pub async fn stream_seat_updates(
        self: &Arc<Self>,
        event_id: &EventId,
        position: Option<Position>,
    ) -> Result<SeatStream, Error> {
        // 1. Redis must have the event, or the feed would wait for nothing.
        let (event, _) = self.position(event_id).await?;
        // 2. The node's own copy of it, from where the reader is.
        let subscription = Subscription::new(self.feeds.of(event_id)?, position).await?;
        Ok(SeatStream { flows: self.clone(), event, subscription, parts: VecDeque::new() })
    }
}

impl SeatStream {
    /// The next message and the token after it, empty before the last part of a
    /// snapshot or an update; waits for it.
    pub async fn next(&mut self) -> Result<(SeatMessage, String), Error> {
        let message = loop {
            if let Some(part) = self.parts.pop_front() {
                break part;
            }
            match self.subscription.next().await? {
                Message::Heartbeat => break SeatMessage::Heartbeat,
                Message::Snapshot(map) => self.parts = self.snapshot(&map).await?,
                Message::Changes(entries) => self.parts = self.updates(&entries).await?,
            }
        };
        let token = match message {
            SeatMessage::Snapshot { last: false, .. }
            | SeatMessage::Updates { last: false, .. } => String::new(),
            _ => self.subscription.position().token(&self.event.event_id),
        };
        Ok((message, token))
    }

    async fn snapshot(&mut self, map: &SeatMap) -> Result<VecDeque<SeatMessage>, Error> {
        self.grow(map.seats.len(), map.areas.len()).await?;
        let seats = seats_in_order(&self.event, map);
        let (begin, end) = seats.split_at(last_part_begins(seats.len()));
        let mut parts: VecDeque<_> = begin
            .chunks(FEED_SEATS_PER_MESSAGE)
            .map(|part| SeatMessage::Snapshot {
                seats: part.to_vec(),
                areas: Vec::new(),
                last: false,
            })
            .collect();
        let areas = areas_in_order(&self.event, map);
        parts.push_back(SeatMessage::Snapshot { seats: end.to_vec(), areas, last: true });
        Ok(parts)
    }

    async fn updates(&mut self, entries: &[Arc<LogEntry>]) -> Result<VecDeque<SeatMessage>, Error> {
        let seats = entries.iter().flat_map(|entry| &entry.seats);
        let seats = seats.flat_map(|(status, seats)| seats.iter().map(|&seat| (seat, *status)));
        let seats: Vec<(SeatIndex, SeatStatus)> = seats.collect();
        let areas: Vec<(AreaIndex, AreaState)> =
            entries.iter().flat_map(|entry| entry.areas.iter().copied()).collect();
        let count =
            |indexes: &mut dyn Iterator<Item = u32>| indexes.max().map_or(0, |i| i as usize + 1);
        self.grow(
            count(&mut seats.iter().map(|(seat, _)| seat.0)),
            count(&mut areas.iter().map(|(area, _)| area.0)),
        )
        .await?;
        let chart = &self.event.chart;
        let named = |&(seat, status)| Some((chart.seat_id(seat)?.clone(), status));
        let (begin, end) = seats.split_at(last_part_begins(seats.len()));
        let mut parts: VecDeque<_> = begin
            .chunks(FEED_SEATS_PER_MESSAGE)
            .map(|part| SeatMessage::Updates {
                seats: part.iter().filter_map(named).collect(),
                areas: Vec::new(),
                last: false,
            })
            .collect();
        parts.push_back(SeatMessage::Updates {
            seats: end.iter().filter_map(named).collect(),
            areas: areas
                .into_iter()
                .filter_map(|(area, state)| Some((chart.area_id(area)?.clone(), state)))
                .collect(),
            last: true,
        });
        Ok(parts)
    }

    /// Makes sure that the chart has names for so many seats and areas.
    async fn grow(&mut self, seats: usize, areas: usize) -> Result<(), Error> {
        let event = self.event.clone();
        self.event = self.flows.event_with_seats(event, seats, areas).await?;
        Ok(())
    }
}

/// Where the last of the messages begins that so many seats take.
fn last_part_begins(seats: usize) -> usize {
    seats.saturating_sub(1) / FEED_SEATS_PER_MESSAGE * FEED_SEATS_PER_MESSAGE
}

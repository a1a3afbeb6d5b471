//! StreamSeatUpdates: every change of the house, in order, without gaps.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Error, Flows,
    get_seat_map::{SeatFormat, Seats, areas_in_order, seats_in_order},
};
use crate::{
    domain::{
        AreaId, AreaIndex, AreaState, EventId, Position, SeatId, SeatIndex, SeatStatus, ViewerId,
    },
    feed::{Changes, Next, SeatMap, Subscription, Telling, Told},
    limits::FEED_SEATS_PER_MESSAGE,
    presence::Watching,
};

/// One message of the stream, by the house's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatMessage {
    /// A part of the whole house.
    Snapshot { seats: Seats, areas: Vec<(AreaId, AreaState)>, last: bool },
    /// What has changed, in order, or a part of it.
    Updates { seats: Vec<(SeatId, SeatStatus)>, areas: Vec<(AreaId, AreaState)>, last: bool },
    /// All is well, and so many watch.
    Heartbeat { viewers: u32 },
}

/// How the door makes bytes of a message and the token after it.
pub type EncodeMessage = fn(SeatMessage, String) -> Bytes;

/// One reader of one event.
pub struct SeatStream {
    flows: Arc<Flows>,
    event_id: EventId,
    format: SeatFormat,
    encode: EncodeMessage,
    subscription: Subscription,
    /// What is still to be told: parts of a snapshot, or of an update.
    parts: Arc<[Bytes]>,
    parts_told: usize,
    _place: OwnedSemaphorePermit,
    _watching: Watching,
}

/// What a reader asks for.
#[derive(Debug)]
pub struct SeatStreamRequest {
    pub event_id: EventId,
    /// After which position; from a snapshot on where there is none.
    pub position: Option<Position>,
    pub format: SeatFormat,
    /// Who is present as long as the stream is open.
    pub viewer_id: Option<ViewerId>,
}

impl Flows {
    /// Begins to read. Streams of one connection are told together.
    pub async fn stream_seat_updates(
        self: &Arc<Self>,
        request: SeatStreamRequest,
        encode: EncodeMessage,
        connection: u64,
    ) -> Result<SeatStream, Error> {
        let _span = crate::telemetry::flow("stream_seat_updates");
        let SeatStreamRequest { event_id, position, format, viewer_id } = request;
        // 1. A server has room for so many streams.
        let place = self.feeds.place()?;
        // 2. Redis must have the event, or the feed would wait for nothing.
        self.position(&event_id).await?;
        // 3. The node's own copy of it, from where the reader is.
        let feed = self.feeds.of(&event_id)?;
        let subscription = Subscription::new(feed.clone(), position, connection).await?;
        // 4. Its viewer is there; nothing waits for Redis to know.
        let tell = move |viewers| feed.tell_viewers(viewers);
        let watching = self.presence.watch(&event_id, viewer_id, tell);
        Ok(SeatStream {
            flows: self.clone(),
            event_id,
            format,
            encode,
            subscription,
            parts: Arc::default(),
            parts_told: 0,
            _place: place,
            _watching: watching,
        })
    }
}

impl SeatStream {
    /// The next message; waits for it. Readers at the same position share its
    /// bytes. The token in it is empty before the last part of a snapshot or an
    /// update.
    pub async fn next(&mut self) -> Result<Bytes, Error> {
        loop {
            if let Some(part) = self.parts.get(self.parts_told).cloned() {
                self.parts_told += 1;
                if self.parts_told == self.parts.len() {
                    self.parts = Arc::default();
                }
                return Ok(part);
            }
            let next = self.subscription.next().await?;
            let told = self.told(next).await?;
            self.subscription.told(told.to, !told.parts.is_empty());
            (self.parts, self.parts_told) = (told.parts, 0);
        }
    }

    /// A message as bytes: as others were told it, or made now.
    async fn told(&self, next: Next) -> Result<Told, Error> {
        let latest = &self.subscription.feed().latest;
        match next {
            Next::Heartbeat { at, viewers } => {
                let heartbeat = SeatMessage::Heartbeat { viewers };
                let make = || async { Ok(self.encoded([heartbeat], at)) };
                latest.get_or_make(at, Telling::Heartbeat { viewers }, make).await
            }
            Next::Snapshot(map) => {
                let telling = match self.format {
                    SeatFormat::Named => Telling::Snapshot,
                    SeatFormat::Packed => Telling::PackedSnapshot,
                };
                latest.get_or_make(map.position, telling, || self.snapshot(&map)).await
            }
            Next::Changes { after, to } => {
                let make = || self.updates(after, to);
                latest.get_or_make(after, Telling::Changes { to }, make).await
            }
        }
    }

    async fn snapshot(&self, map: &SeatMap) -> Result<Told, Error> {
        let event = self.flows.event(&self.event_id).await?;
        let event = self.flows.event_with_seats(event, map.seats.len(), map.areas.len()).await?;
        let areas = areas_in_order(&event, map);
        let parts = match seats_in_order(&event, map, self.format) {
            Seats::Named(seats) => {
                let (begin, end) = seats.split_at(last_part_begins(seats.len()));
                let part = |seats: &[_], areas, last| {
                    let seats = Seats::Named(seats.to_vec());
                    SeatMessage::Snapshot { seats, areas, last }
                };
                let begin = begin.chunks(FEED_SEATS_PER_MESSAGE);
                let mut parts: Vec<_> = begin.map(|seats| part(seats, vec![], false)).collect();
                parts.push(part(end, areas, true));
                parts
            }
            seats @ Seats::Packed(_) => vec![SeatMessage::Snapshot { seats, areas, last: true }],
        };
        Ok(self.encoded(parts, map.position))
    }

    async fn updates(&self, after: Position, to: Position) -> Result<Told, Error> {
        let entries = match self.subscription.feed().changes_after(after, to) {
            Changes::Entries(entries) => entries,
            // Forgotten since: nothing is told, and the reader, where it was,
            // finds that it needs a snapshot.
            Changes::Forgotten => return Ok(Told { parts: Arc::default(), to: after }),
        };
        let to = entries.last().map_or(to, |entry| entry.position);
        // Some changes show on no seat, such as a hold extended.
        if !entries.iter().any(|entry| entry.shows()) {
            return Ok(Told { parts: Arc::default(), to });
        }
        let seats = entries.iter().flat_map(|entry| &entry.seats);
        let seats = seats.flat_map(|(status, seats)| seats.iter().map(|&seat| (seat, *status)));
        let seats: Vec<(SeatIndex, SeatStatus)> = seats.collect();
        let areas: Vec<(AreaIndex, AreaState)> =
            entries.iter().flat_map(|entry| entry.areas.iter().copied()).collect();
        let count =
            |indexes: &mut dyn Iterator<Item = u32>| indexes.max().map_or(0, |i| i as usize + 1);
        let seat_count = count(&mut seats.iter().map(|(seat, _)| seat.0));
        let area_count = count(&mut areas.iter().map(|(area, _)| area.0));
        let event = self.flows.event(&self.event_id).await?;
        let event = self.flows.event_with_seats(event, seat_count, area_count).await?;
        let chart = &event.chart;

        let named = |&(seat, status): &(SeatIndex, _)| Some((chart.seat_id(seat)?.clone(), status));
        let (begin, end) = seats.split_at(last_part_begins(seats.len()));
        let part = |seats: &[(SeatIndex, SeatStatus)], areas, last| {
            let seats = seats.iter().filter_map(named).collect();
            SeatMessage::Updates { seats, areas, last }
        };
        let begin = begin.chunks(FEED_SEATS_PER_MESSAGE);
        let mut parts: Vec<_> = begin.map(|seats| part(seats, vec![], false)).collect();
        let areas = areas.into_iter();
        let areas = areas.filter_map(|(area, state)| Some((chart.area_id(area)?.clone(), state)));
        parts.push(part(end, areas.collect(), true));
        Ok(self.encoded(parts, to))
    }

    fn encoded(&self, parts: impl IntoIterator<Item = SeatMessage>, to: Position) -> Told {
        let encoded = parts.into_iter().map(|message| {
            let token = match message {
                SeatMessage::Snapshot { last: false, .. }
                | SeatMessage::Updates { last: false, .. } => String::new(),
                _ => to.token(&self.event_id),
            };
            (self.encode)(message, token)
        });
        Told { parts: encoded.collect(), to }
    }
}

/// Where the last of the messages begins that so many seats take.
fn last_part_begins(seats: usize) -> usize {
    seats.saturating_sub(1) / FEED_SEATS_PER_MESSAGE * FEED_SEATS_PER_MESSAGE
}

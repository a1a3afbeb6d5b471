//! A client that watches a house, and checks that the stream keeps its word.

use std::{collections::HashMap, time::Duration};

use holdfast::proto::{
    self, SeatStatus, reservation_service_client::ReservationServiceClient,
    stream_seat_updates_response::Message,
};
use tokio::time::timeout;
use tonic::{Status, Streaming, transport::Channel};

use super::eventually;

/// The house as a stream tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct House {
    pub seats: HashMap<String, SeatStatus>,
    /// Units available of each area.
    pub areas: HashMap<String, i32>,
}

impl House {
    pub fn new(map: &proto::GetSeatMapResponse) -> Self {
        let mut house = Self::default();
        house.apply(&map.seats, &map.areas);
        house
    }

    fn apply(&mut self, seats: &[proto::SeatState], areas: &[proto::AreaState]) {
        for seat in seats {
            self.seats.insert(seat.seat_id.clone(), seat.status());
        }
        for area in areas {
            self.areas.insert(area.area_id.clone(), area.available);
        }
    }

    /// How many seats have a status.
    pub fn count(&self, status: SeatStatus) -> usize {
        self.seats.values().filter(|&&seat| seat == status).count()
    }
}

/// An open stream, and what it has told so far.
pub struct Watcher {
    client: ReservationServiceClient<Channel>,
    event_id: String,
    stream: Streaming<proto::StreamSeatUpdatesResponse>,
    pub house: House,
    /// Every change after the last snapshot, in order.
    pub changes: Vec<(String, SeatStatus)>,
    pub snapshots: usize,
    pub token: String,
    /// How many changes came up to the token.
    changes_at_token: usize,
    in_snapshot: bool,
}

impl Watcher {
    pub async fn open(
        mut client: ReservationServiceClient<Channel>,
        event_id: &str,
        resume_token: &str,
    ) -> Result<Self, Status> {
        let request = proto::StreamSeatUpdatesRequest {
            event_id: event_id.into(),
            resume_token: resume_token.into(),
            ..Default::default()
        };
        let stream = client.stream_seat_updates(request).await?.into_inner();
        Ok(Self {
            client,
            event_id: event_id.into(),
            stream,
            house: House::default(),
            changes: Vec::new(),
            snapshots: 0,
            token: resume_token.into(),
            changes_at_token: 0,
            in_snapshot: false,
        })
    }

    /// Cuts the stream, and resumes it at `client`'s server; as often as it takes,
    /// where the connection is just going away.
    pub async fn resume_at(&mut self, client: ReservationServiceClient<Channel>) {
        let open = async || Self::open(client.clone(), &self.event_id, &self.token).await.ok();
        let opened = eventually("the stream is resumed", open).await;
        (self.client, self.stream) = (opened.client, opened.stream);
        // The first parts of an update, or of a snapshot, are told again.
        self.changes.truncate(self.changes_at_token);
        self.in_snapshot = false;
    }

    /// Takes the next message; `None` where the stream has ended.
    pub async fn next(&mut self) -> Result<Option<Message>, Status> {
        let Some(response) = self.stream.message().await? else { return Ok(None) };
        let message = response.message.expect("a message");
        match &message {
            Message::Snapshot(part) => {
                if !self.in_snapshot {
                    self.house = House::default();
                    self.changes.clear();
                    self.snapshots += 1;
                }
                assert!(part.seats.len() <= 2_000, "a part of a snapshot is too big");
                assert_eq!(part.last, !response.resume_token.is_empty(), "a token marks the end");
                self.in_snapshot = !part.last;
                self.house.apply(&part.seats, &part.areas);
            }
            Message::Updates(updates) => {
                assert!(!self.in_snapshot, "an update within a snapshot");
                assert!(updates.seats.len() <= 2_000, "an update is too big");
                self.house.apply(&updates.seats, &updates.areas);
                let changes = updates.seats.iter();
                self.changes.extend(changes.map(|seat| (seat.seat_id.clone(), seat.status())));
            }
            Message::Heartbeat(_) => assert!(!self.in_snapshot, "a heartbeat within a snapshot"),
        }
        if !response.resume_token.is_empty() {
            self.token = response.resume_token;
            self.changes_at_token = self.changes.len();
        }
        Ok(Some(message))
    }

    /// Reads on until the house is as it should be.
    ///
    /// # Panics
    /// Where it is not within 20 s, or the stream ends.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let reading = async {
            while self.in_snapshot || !is_so(self) {
                self.next().await.unwrap().expect("the stream goes on");
            }
        };
        timeout(Duration::from_secs(20), reading)
            .await
            .unwrap_or_else(|_| panic!("never came: {what}"));
    }

    /// Reads the snapshot that a new stream begins with.
    pub async fn snapshot(&mut self) {
        self.until("a snapshot", |watcher| watcher.snapshots > 0).await;
    }
}

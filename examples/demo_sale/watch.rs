//! Somebody who watches an event over the whole run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use holdfast::proto::{
    self, SeatStatus, reservation_service_client::ReservationServiceClient,
    stream_seat_updates_response::Message,
};
use tonic::transport::Channel;

use crate::process::until;

type Reservations = ReservationServiceClient<Channel>;

/// What the stream has told.
#[derive(Debug, Default)]
struct Told {
    /// Of each seat, every status that it was seen in, in order.
    seats: HashMap<String, Vec<SeatStatus>>,
    /// Units available of each area.
    areas: HashMap<String, i32>,
    is_whole: bool,
}

#[derive(Clone)]
pub struct Watch(Arc<Mutex<Told>>);

impl Watch {
    /// Watches until the run ends; resumes at the other server where one goes away.
    pub async fn start(clients: [Reservations; 2], event_id: String) -> anyhow::Result<Self> {
        let watch = Self(Arc::default());
        let follower = watch.clone();
        tokio::spawn(async move {
            let mut token = String::new();
            for client in clients.iter().cycle() {
                follower.follow(client.clone(), &event_id, &mut token).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        until("a picture of the house", Duration::from_secs(20), async || {
            watch.told(|told| told.is_whole).then_some(())
        })
        .await?;
        Ok(watch)
    }

    async fn follow(&self, mut client: Reservations, event_id: &str, token: &mut String) {
        let (event_id, resume_token) = (event_id.to_owned(), token.clone());
        let request =
            proto::StreamSeatUpdatesRequest { event_id, resume_token, ..Default::default() };
        let Ok(answer) = client.stream_seat_updates(request).await else { return };
        let mut stream = answer.into_inner();
        while let Ok(Some(response)) = stream.message().await {
            self.take(response.message);
            if !response.resume_token.is_empty() {
                *token = response.resume_token;
            }
        }
    }

    fn take(&self, message: Option<Message>) {
        let (seats, areas, is_whole) = match message {
            Some(Message::Snapshot(part)) => (part.seats, part.areas, part.last),
            Some(Message::Updates(updates)) => (updates.seats, updates.areas, false),
            Some(Message::Heartbeat(_)) | None => return,
        };
        self.told(|told| {
            for seat in seats {
                let status = seat.status();
                let seen = told.seats.entry(seat.seat_id).or_default();
                if seen.last() != Some(&status) {
                    seen.push(status);
                }
            }
            told.areas.extend(areas.into_iter().map(|area| (area.area_id, area.available)));
            told.is_whole |= is_whole;
        });
    }

    fn told<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every status that a seat was seen in after the first, in order: `HELD SOLD`.
    pub fn seat(&self, seat_id: &str) -> String {
        self.told(|told| {
            let seen = told.seats.get(seat_id).map(Vec::as_slice).unwrap_or_default();
            let names = seen.iter().skip(1).map(|status| short(*status));
            names.collect::<Vec<_>>().join(" ")
        })
    }

    /// The status that a seat was seen in last.
    pub fn status(&self, seat_id: &str) -> Option<SeatStatus> {
        self.told(|told| told.seats.get(seat_id).and_then(|seen| seen.last().copied()))
    }

    /// Units available of an area.
    pub fn units(&self, area_id: &str) -> Option<i32> {
        self.told(|told| told.areas.get(area_id).copied())
    }

    /// How many seats were seen in a status last.
    pub fn count(&self, status: SeatStatus) -> usize {
        self.told(|told| told.seats.values().filter(|seen| seen.last() == Some(&status)).count())
    }
}

fn short(status: SeatStatus) -> &'static str {
    status.as_str_name().trim_start_matches("SEAT_STATUS_")
}

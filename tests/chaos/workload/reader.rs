//! Readers of streams: one of each event that reads all of it, and some that
//! fall behind, are cut, and come back at the other server.

use std::{sync::Arc, time::Duration};

use holdfast::proto::{
    self, reservation_service_client::ReservationServiceClient,
    stream_seat_updates_response::Message as Told,
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::{Streaming, transport::Channel};

use super::{Floor, Show, answer, call::channel, rng};
use crate::{
    history::{Line, Message, Stream},
    stage::SERVERS,
};

/// Readers that read to the end have numbers from here on.
const FAITHFUL: u32 = 1_000;
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than the silence between two heartbeats.
const SILENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

/// For each event, a reader from its first day to the round's end.
pub async fn faithful_ones(floor: Arc<Floor>, seed: u64) {
    let (closed, mut seasons) = (floor.closed.clone(), floor.on_sale.subscribe());
    let mut readers = JoinSet::new();
    let spawning = async {
        let mut number = FAITHFUL;
        loop {
            let shows = seasons.borrow_and_update().clone();
            for show in shows.iter() {
                number += 1;
                let reader = Reader::new(floor.clone(), number, rng(seed, number.into()));
                readers.spawn(faithful(reader, show.clone()));
            }
            if seasons.changed().await.is_err() {
                return;
            }
        }
    };
    closed.run_until_cancelled(spawning).await;
}

/// Reads all of one event; where its stream breaks, it resumes.
async fn faithful(mut reader: Reader, show: Arc<Show>) {
    loop {
        reader.read(&show.event_id, None, false).await;
        sleep(PAUSE).await;
    }
}

/// Reads what is on sale for a while, with pauses, and goes elsewhere.
pub async fn fickle(floor: Arc<Floor>, number: u32, random: StdRng) {
    let closed = floor.closed.clone();
    let mut reader = Reader::new(floor, number, random);
    let reading = async {
        loop {
            let on_sale = reader.floor.on_sale();
            let Some(show) = on_sale.choose(&mut reader.random).cloned() else { return };
            reader.token = String::new();
            for _ in 0..reader.random.random_range(1..5) {
                let while_ms = reader.random.random_range(200..3_000);
                let until = Instant::now() + Duration::from_millis(while_ms);
                reader.read(&show.event_id, Some(until), true).await;
            }
            sleep(PAUSE).await;
        }
    };
    closed.run_until_cancelled(reading).await;
}

struct Reader {
    floor: Arc<Floor>,
    number: u32,
    random: StdRng,
    servers: Vec<ReservationServiceClient<Channel>>,
    server: usize,
    /// The last one that was not empty.
    token: String,
}

impl Reader {
    fn new(floor: Arc<Floor>, number: u32, random: StdRng) -> Self {
        let servers = floor.doors.iter().map(|&port| ReservationServiceClient::new(channel(port)));
        let servers = servers.collect();
        let server = number as usize % SERVERS;
        Self { floor, number, random, servers, server, token: String::new() }
    }

    /// Opens the stream from the last token on, and reads until `until`, or
    /// until it ends; next time at the other server.
    async fn read(&mut self, event_id: &str, until: Option<Instant>, dawdles: bool) {
        let request = proto::StreamSeatUpdatesRequest {
            event_id: event_id.to_owned(),
            resume_token: self.token.clone(),
            ..proto::StreamSeatUpdatesRequest::default()
        };
        let opening = self.servers[self.server].stream_seat_updates(request);
        if let Ok(Ok(answer)) = timeout(OPEN_TIMEOUT, opening).await {
            self.write(event_id, Message::Opened { resume_token: self.token.clone() });
            let ended = self.read_on(event_id, answer.into_inner(), until, dawdles).await;
            self.write(event_id, Message::Ended { code: ended });
        }
        self.server = 1 - self.server;
    }

    /// Answers why it ended.
    async fn read_on(
        &mut self,
        event_id: &str,
        mut stream: Streaming<proto::StreamSeatUpdatesResponse>,
        until: Option<Instant>,
        dawdles: bool,
    ) -> String {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let told = match timeout(left.unwrap_or(SILENCE).min(SILENCE), stream.message()).await {
                Ok(Ok(Some(told))) => told,
                Ok(Ok(None)) => return "OK".into(),
                Ok(Err(status)) => return answer::status_name(status.code()),
                Err(_) => return "CUT".into(),
            };
            if !told.resume_token.is_empty() {
                self.token.clone_from(&told.resume_token);
            }
            if let Some(message) = message(told) {
                self.write(event_id, message);
            }
            if dawdles && self.random.random_bool(0.05) {
                let pause_ms = self.random.random_range(500..2_500);
                sleep(Duration::from_millis(pause_ms)).await;
            }
        }
    }

    fn write(&self, event_id: &str, message: Message) {
        let recorder = &self.floor.recorder;
        recorder.write(Line::Stream(Stream {
            reader: self.number,
            server: u32::try_from(self.server).unwrap_or(u32::MAX),
            at_us: recorder.now_us(),
            event_id: event_id.to_owned(),
            message,
        }));
    }
}

fn message(told: proto::StreamSeatUpdatesResponse) -> Option<Message> {
    let resume_token = told.resume_token;
    Some(match told.message? {
        Told::Snapshot(part) => Message::Snapshot {
            seats: answer::seats(&part.seats),
            areas: answer::areas(&part.areas),
            last: part.last,
            resume_token,
        },
        Told::Updates(updates) => Message::Updates {
            seats: answer::seats(&updates.seats),
            areas: answer::areas(&updates.areas),
            resume_token,
        },
        Told::Heartbeat(_) => Message::Heartbeat { resume_token },
    })
}

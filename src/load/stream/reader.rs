//! Those who watch: one stream each.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::{
    super::client::{Reservations, why},
    Stage, micros,
};
use crate::{
    limits::{LOAD_TICK, RETRY_DELAY},
    proto::{
        StreamSeatUpdatesRequest, StreamSeatUpdatesResponse, stream_seat_updates_response::Message,
    },
};

/// What readers were told.
#[derive(Debug, Default, Clone, Copy)]
pub struct Told {
    pub messages: u64,
    /// Of this run's making.
    pub changes: u64,
    /// Whoever's.
    pub seats: u64,
    /// Snapshots after the first: it had fallen too far behind.
    pub snapshots: u64,
    /// Streams that ended under it.
    pub ended: u64,
}

/// One subscriber.
pub struct Reader {
    stage: Arc<Stage>,
    n: usize,
    pub show: usize,
    client: Reservations,
    stream: Streaming<StreamSeatUpdatesResponse>,
    /// The last one that was told.
    resume_token: String,
    in_snapshot: bool,
    told: Told,
}

impl Reader {
    /// Subscribes, and reads the first picture.
    pub async fn open(stage: &Arc<Stage>, n: usize) -> anyhow::Result<Self> {
        let (client, show) = (stage.run.clients.of(n), n % stage.shows.len());
        let stream = subscribe(stage, n, &mut client.clone(), "").await;
        let stream = stream.context("cannot open a stream")?;
        let stage = stage.clone();
        let (resume_token, told) = (String::new(), Told::default());
        let mut reader =
            Self { stage, n, show, client, stream, resume_token, in_snapshot: true, told };
        while reader.in_snapshot {
            let message = reader.stream.message().await.map_err(|status| why(&status))?;
            reader.take(message.context("a stream ended before its snapshot")?, None);
        }
        reader.told = Told::default();
        Ok(reader)
    }

    /// Reads until the end; subscribes again where the stream ends, as any client
    /// does.
    pub async fn read(mut self, received: Arc<AtomicU64>) -> Told {
        let over = self.stage.over.clone();
        loop {
            let message = tokio::select! {
                message = self.stream.message() => message,
                () = over.cancelled() => return self.told,
            };
            if let Ok(Some(message)) = message {
                self.take(message, Some(&received));
                continue;
            }
            self.told.ended += 1;
            let again = async {
                loop {
                    sleep(RETRY_DELAY).await;
                    let (stage, token) = (&self.stage, &self.resume_token);
                    let stream = subscribe(stage, self.n, &mut self.client, token).await;
                    if let Ok(stream) = stream {
                        return stream;
                    }
                }
            };
            tokio::select! {
                stream = again => self.stream = stream,
                () = over.cancelled() => return self.told,
            }
        }
    }

    /// Reads nothing until the end; then what has come meanwhile.
    pub async fn stall(mut self) -> Told {
        self.stage.over.clone().cancelled_owned().await;
        // Only what is here already: a stream that lives has no end.
        while let Ok(message) = timeout(LOAD_TICK, self.stream.message()).await {
            match message {
                Ok(Some(message)) => self.take(message, None),
                Ok(None) | Err(_) => {
                    self.told.ended += 1;
                    break;
                }
            }
        }
        self.told
    }

    fn take(&mut self, told: StreamSeatUpdatesResponse, received: Option<&AtomicU64>) {
        if !told.resume_token.is_empty() {
            self.resume_token = told.resume_token;
        }
        self.told.messages += 1;
        match told.message {
            Some(Message::Snapshot(part)) => {
                self.in_snapshot = !part.last;
                self.told.snapshots += u64::from(part.last);
            }
            Some(Message::Updates(updates)) => {
                self.told.seats += updates.seats.len() as u64;
                let show = &self.stage.shows[self.show];
                let began = updates.seats.iter().filter_map(|seat| show.began_us(seat));
                let Some(received) = received else {
                    self.told.changes += began.count() as u64;
                    return;
                };
                let now_us = micros(self.stage.begun.elapsed());
                let took = began.map(|began_us| now_us.saturating_sub(began_us));
                let changes = self.stage.run.delays.note_times(self.n, took);
                self.told.changes += changes;
                received.fetch_add(changes, Ordering::Relaxed);
            }
            Some(Message::Heartbeat(_)) | None => {}
        }
    }
}

async fn subscribe(
    stage: &Stage,
    n: usize,
    client: &mut Reservations,
    resume_token: &str,
) -> anyhow::Result<Streaming<StreamSeatUpdatesResponse>> {
    let viewer_id = if stage.names_viewers { format!("viewer-{n}") } else { String::new() };
    let request = StreamSeatUpdatesRequest {
        event_id: stage.run.houses[n % stage.shows.len()].event_id.clone(),
        resume_token: resume_token.to_owned(),
        viewer_id,
        ..StreamSeatUpdatesRequest::default()
    };
    let stream = client.stream_seat_updates(request).await;
    Ok(stream.map_err(|status| why(&status))?.into_inner())
}

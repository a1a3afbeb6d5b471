//! `load stream`: many readers of seat maps that change at a steady rate; some of
//! them stop reading.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::{
    Run,
    book::{Fate, Taken},
    client::{Clients, No, Reservations, why},
    houses::{House, Need},
    report::{Played, quantiles, rounded},
};
use crate::{
    config::{LoadCommon, StreamLoad},
    limits::{
        LOAD_ASIDE_IN_FLIGHT, LOAD_STREAM_GRACE, LOAD_STREAM_HOUSE_SEATS, LOAD_TICK,
        MAX_STREAMS_PER_CONNECTION, RETRY_DELAY,
    },
    proto::{
        SeatState, SeatStatus, StreamSeatUpdatesRequest, StreamSeatUpdatesResponse,
        stream_seat_updates_response::Message,
    },
};

/// Holds and releases under way at a time; one for each event, where these are more.
const CHANGERS: usize = 64;
/// Connections of theirs: a reader that stops would hold up their answers, too.
const CHANGERS_CONNECTIONS: u32 = 2;

/// What it needs of its houses.
///
/// # Errors
/// Where there are more readers than the connections can carry.
pub fn need(load: &StreamLoad, common: &LoadCommon) -> anyhow::Result<Need> {
    let connections = load.subscribers.div_ceil(MAX_STREAMS_PER_CONNECTION);
    ensure!(
        common.connections >= connections,
        "{} subscribers need at least {connections} --connections: one carries \
         {MAX_STREAMS_PER_CONNECTION} streams",
        load.subscribers
    );
    Ok(Need { events: 1, seats_per_hold: 1, holds: Some(LOAD_STREAM_HOUSE_SEATS) })
}

/// One event, as readers and changers share it.
#[derive(Debug)]
struct Show {
    /// Which number a seat has in its house.
    numbers: HashMap<String, usize>,
    /// When the latest Hold of each seat began, and the latest Release: in
    /// microseconds since the clock runs; 0 before the first.
    held_us: Vec<AtomicU64>,
    released_us: Vec<AtomicU64>,
    /// Changes that were answered.
    made: AtomicU64,
}

impl Show {
    fn new(house: &House) -> Self {
        let times = || house.seats.iter().map(|_| AtomicU64::new(0)).collect();
        let numbers = house.seats.iter().cloned().zip(0..).collect();
        Self { numbers, held_us: times(), released_us: times(), made: AtomicU64::new(0) }
    }

    /// When the change began that a reader is told of; none where it is not ours.
    fn began_us(&self, told: &SeatState) -> Option<u64> {
        let number = *self.numbers.get(&told.seat_id)?;
        let times = match told.status() {
            SeatStatus::Held => &self.held_us,
            SeatStatus::Available => &self.released_us,
            _ => return None,
        };
        Some(times[number].load(Ordering::Relaxed)).filter(|&us| us > 0)
    }
}

/// What all tasks share.
#[derive(Debug)]
struct Stage {
    run: Arc<Run>,
    shows: Vec<Show>,
    begun: Instant,
    /// Told to those who stopped reading.
    over: CancellationToken,
}

/// What one reader was told.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    messages: u64,
    changes: u64,
    /// Snapshots after the first: it had fallen too far behind.
    snapshots: u64,
    /// Streams that ended under it.
    ended: u64,
}

/// Opens the streams, then changes seats, and counts what arrives.
///
/// # Errors
/// Where a stream cannot be opened.
pub async fn play(
    run: &Arc<Run>,
    load: &StreamLoad,
    common: &LoadCommon,
) -> anyhow::Result<Played> {
    let shows = run.houses.iter().map(Show::new).collect();
    let (begun, over) = (Instant::now(), CancellationToken::new());
    let stage = Arc::new(Stage { run: run.clone(), shows, begun, over });
    let readers = stream::iter(0..load.subscribers as usize)
        .map(|n| Reader::open(&stage, n))
        .buffered(LOAD_ASIDE_IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    let is_stalled =
        |n: u64| (n + 1) * u64::from(load.stalled) / 100 > n * u64::from(load.stalled) / 100;
    let (mut healthy, mut stalled) = (JoinSet::new(), JoinSet::new());
    let received = Arc::new(AtomicU64::new(0));
    let mut expected_of = vec![0; stage.shows.len()];
    for (n, reader) in (0..).zip(readers) {
        match is_stalled(n) {
            true => _ = stalled.spawn(reader.stall()),
            false => {
                expected_of[reader.show] += 1;
                _ = healthy.spawn(reader.read(received.clone()));
            }
        }
    }
    let began = Instant::now();
    change_all(&stage, load, common).await?;
    let took = began.elapsed();
    // What was changed last is on its way still.
    let expected = || {
        let made = stage.shows.iter().map(|show| show.made.load(Ordering::Relaxed));
        made.zip(&expected_of).map(|(made, readers)| made * readers).sum::<u64>()
    };
    let arrived = async {
        while received.load(Ordering::Relaxed) < expected() {
            sleep(LOAD_TICK).await;
        }
    };
    let _ = timeout(LOAD_STREAM_GRACE, arrived).await;
    stage.over.cancel();
    let (healthy, stalled) = (sum(healthy).await?, sum(stalled).await?);
    let mut played = Played::new("stream", took);
    tell(&mut played, run, load, expected(), (healthy, stalled));
    Ok(played)
}

fn tell(
    played: &mut Played,
    run: &Run,
    load: &StreamLoad,
    expected: u64,
    (healthy, stalled): (Told, Told),
) {
    let delays = run.delays.tally().took;
    let quantiles = quantiles(&delays);
    played.tell("subscribers", load.subscribers);
    played.tell("stalled_percent", load.stalled);
    played.tell("messages", healthy.messages);
    played.tell("changes", healthy.changes);
    for ((_, took_us), name) in
        quantiles.into_iter().zip(["delay_p50_us", "delay_p99_us", "delay_p999_us", "delay_max_us"])
    {
        played.tell(name, took_us);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of changes")]
    let share = healthy.changes as f64 / expected.max(1) as f64;
    played.tell("healthy_share", rounded(share, 1e4));
    played.tell("expected_changes", expected);
    played.tell("snapshots", healthy.snapshots);
    played.tell("streams_ended", healthy.ended);
    played.tell("stalled_messages", stalled.messages);
    played.tell("stalled_changes", stalled.changes);
    played.tell("stalled_ended", stalled.ended);
}

async fn sum(mut readers: JoinSet<Told>) -> anyhow::Result<Told> {
    let mut sum = Told::default();
    while let Some(told) = readers.join_next().await {
        let told = told?;
        sum.messages += told.messages;
        sum.changes += told.changes;
        sum.snapshots += told.snapshots;
        sum.ended += told.ended;
    }
    Ok(sum)
}

/// One subscriber.
struct Reader {
    stage: Arc<Stage>,
    n: usize,
    show: usize,
    client: Reservations,
    stream: Streaming<StreamSeatUpdatesResponse>,
    /// The last one that was told.
    resume_token: String,
    in_snapshot: bool,
    told: Told,
}

impl Reader {
    /// Subscribes, and reads the first picture.
    async fn open(stage: &Arc<Stage>, n: usize) -> anyhow::Result<Self> {
        let (client, show) = (stage.run.clients.of(n), n % stage.shows.len());
        let stream = subscribe(&mut client.clone(), &stage.run.houses[show], "").await;
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
    async fn read(mut self, received: Arc<AtomicU64>) -> Told {
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
                    let house = &self.stage.run.houses[self.show];
                    let stream = subscribe(&mut self.client, house, &self.resume_token).await;
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
    async fn stall(mut self) -> Told {
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
    client: &mut Reservations,
    house: &House,
    resume_token: &str,
) -> anyhow::Result<Streaming<StreamSeatUpdatesResponse>> {
    let request = StreamSeatUpdatesRequest {
        event_id: house.event_id.clone(),
        resume_token: resume_token.to_owned(),
        ..StreamSeatUpdatesRequest::default()
    };
    let stream = client.stream_seat_updates(request).await;
    Ok(stream.map_err(|status| why(&status))?.into_inner())
}

/// Holds and releases, on schedule.
async fn change_all(
    stage: &Arc<Stage>,
    load: &StreamLoad,
    common: &LoadCommon,
) -> anyhow::Result<()> {
    let connections = CHANGERS_CONNECTIONS.max(u32::try_from(common.servers.len())?);
    let clients = Clients::connect(&LoadCommon { connections, ..common.clone() }).await?;
    stage.run.start(None, Some(load.seconds), Some(load.changes.get()));
    let mut changers = JoinSet::new();
    for n in 0..CHANGERS.max(stage.shows.len()) {
        changers.spawn(change(stage.clone(), clients.of(n), n));
    }
    while let Some(changed) = changers.join_next().await {
        stage.run.write_down(changed?);
    }
    Ok(())
}

/// Holds one seat after the other, and releases each in its next turn.
async fn change(stage: Arc<Stage>, mut client: Reservations, n: usize) -> Vec<Taken> {
    let (run, shows) = (&stage.run, stage.shows.len());
    let show = &stage.shows[n % shows];
    let each = CHANGERS.div_ceil(shows);
    let mut seats = (n / shows..show.numbers.len()).step_by(each).cycle();
    let (mut held, mut ended): (Option<Taken>, Vec<Taken>) = (None, Vec::new());
    let number = |n: usize| u32::try_from(n).expect("there are fewer seats and events");
    while let Some(turn) = run.turns().next().await {
        let now = || micros(stage.begun.elapsed());
        let told = if let Some(mut taken) = held.take() {
            show.released_us[taken.seats.start as usize].store(now(), Ordering::Relaxed);
            let answer = client.release(taken.release_request(&run.name, &run.houses)).await;
            let answer = run.meter.note(n, turn.begins.elapsed(), answer);
            taken.released(&answer);
            if run.check || taken.fate == Fate::Unsettled {
                ended.push(taken);
            }
            answer.map(drop)
        } else {
            let Some(seat) = seats.next() else { break };
            let first = number(seat);
            let mut taken = Taken::new(number(n % shows), number(n), first..first + 1);
            show.held_us[seat].store(now(), Ordering::Relaxed);
            let answer = client.hold(taken.hold_request(&run.name, &run.houses, None)).await;
            let answer = run.meter.note(n, turn.begins.elapsed(), answer);
            let told = answer.as_ref().map(drop).map_err(No::clone);
            held = taken.held(&answer).then_some(taken);
            told
        };
        match told {
            Ok(()) => _ = show.made.fetch_add(1, Ordering::Relaxed),
            Err(No::Failed(_)) => sleep(RETRY_DELAY).await,
            Err(No::Refused(_)) => {}
        }
    }
    ended.extend(held);
    ended
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

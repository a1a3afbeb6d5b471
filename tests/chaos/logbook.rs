//! Every event's log, read from Redis beside the servers and the proxies.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use holdfast::domain::{AreaIndex, HoldId, HoldRecord, HoldState, Position, SeatIndex, SeatStatus};
use redis::{
    Value,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};
use serde::de::DeserializeOwned;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    history::{Hold, Items, Line, Log, Status},
    recorder::Recorder,
    stage::Stage,
    stores::Node,
    workload::{Floor, Show},
};

const BLOCK_MS: u64 = 300;
/// How long a node that goes takes no more changes.
const PAUSED_MS: u64 = 3_000;
const PAUSE: Duration = Duration::from_millis(50);

/// What has been read, so that each entry is written down once. A Redis that
/// lost some of its past may use a position again.
pub struct LogBook {
    recorder: Recorder,
    seen: Mutex<HashMap<String, HashSet<(String, i64)>>>,
}

impl LogBook {
    pub fn new(recorder: Recorder) -> Arc<Self> {
        Arc::new(Self { recorder, seen: Mutex::default() })
    }

    /// Writes down what was not before.
    pub fn note(&self, show: &Show, entries: &[StreamId]) -> anyhow::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(show.event_id.clone()).or_default();
        for entry in entries {
            let at_ms = entry.get("at").unwrap_or_default();
            if seen.insert((entry.id.clone(), at_ms)) {
                let log = self.decode(show, entry, at_ms);
                let log = log.with_context(|| format!("{} {}", show.event_id, entry.id))?;
                self.recorder.write(Line::Log(log));
            }
        }
        Ok(())
    }

    /// Reads all logs that a node has, once it takes no more changes: for the
    /// next seconds, in which it goes.
    pub async fn read_all(&self, node: &Node, shows: &[Arc<Show>]) -> anyhow::Result<()> {
        let mut redis = node.connect().await?;
        let mut pause = redis::cmd("CLIENT");
        pause.arg("PAUSE").arg(PAUSED_MS).arg("WRITE").exec_async(&mut redis).await?;
        for show in shows {
            let mut range = redis::cmd("XRANGE");
            range.arg(key(&show.event_id, "log")).arg("-").arg("+");
            // Another node has it, in a Cluster.
            let Ok(log) = range.query_async::<StreamRangeReply>(&mut redis).await else { continue };
            self.note(show, &log.ids)?;
        }
        Ok(())
    }

    fn decode(&self, show: &Show, entry: &StreamId, at_ms: i64) -> anyhow::Result<Log> {
        let position = Position::parse(&entry.id).context("an id that is no position")?;
        let runs: Vec<(SeatStatus, Vec<SeatIndex>)> = field(entry, "seats")?;
        let areas: Vec<(AreaIndex, i64, i64)> = field(entry, "areas")?;
        let holds: Vec<(HoldId, HoldRecord)> = field(entry, "holds")?;
        let expired: Vec<HoldId> = field(entry, "expired")?;
        let mut seats = Vec::new();
        for (code, run) in runs {
            for seat in run {
                seats.push((seat_id(show, seat)?, status(code)));
            }
        }
        Ok(Log {
            event_id: show.event_id.clone(),
            at_us: self.recorder.now_us(),
            epoch: position.epoch.0,
            seq: position.seq,
            at_ms,
            reset: entry.contains_key("reset"),
            seats,
            areas: areas
                .into_iter()
                .map(|(_, free, _)| (show.area_id.clone(), u32::try_from(free).unwrap_or(u32::MAX)))
                .collect(),
            holds: holds
                .into_iter()
                .map(|(id, record)| hold(show, id, &record))
                .collect::<anyhow::Result<_>>()?,
            expired: expired.iter().map(ToString::to_string).collect(),
        })
    }
}

fn field<T: DeserializeOwned>(entry: &StreamId, name: &str) -> anyhow::Result<Vec<T>> {
    match entry.map.get(name) {
        None => Ok(Vec::new()),
        Some(Value::BulkString(bytes)) => Ok(rmp_serde::from_slice(bytes)?),
        Some(_) => anyhow::bail!("{name} is no text"),
    }
}

fn seat_id(show: &Show, seat: SeatIndex) -> anyhow::Result<String> {
    show.seat_ids.get(seat.0 as usize).cloned().context("a seat that is not in the chart")
}

pub fn status(code: SeatStatus) -> Status {
    match code {
        SeatStatus::Available => Status::Available,
        SeatStatus::Held => Status::Held,
        SeatStatus::Sold => Status::Sold,
        SeatStatus::Blocked => Status::Blocked,
    }
}

fn hold(show: &Show, hold_id: HoldId, record: &HoldRecord) -> anyhow::Result<Hold> {
    let state = match record.state {
        HoldState::Active => "ACTIVE",
        HoldState::Confirming => "CONFIRMING",
        HoldState::Confirmed => "CONFIRMED",
        HoldState::Released => "RELEASED",
        HoldState::Expired => "EXPIRED",
        HoldState::Lost => "LOST",
    };
    let seat_ids = record.seats.iter().map(|&seat| seat_id(show, seat));
    Ok(Hold {
        hold_id: hold_id.to_string(),
        holder_id: record.holder_id.to_string(),
        items: Items {
            seat_ids: seat_ids.collect::<anyhow::Result<_>>()?,
            areas: record.areas.iter().map(|part| (show.area_id.clone(), part.quantity)).collect(),
        },
        state: state.to_owned(),
        create_ms: record.created_ms,
        expire_ms: record.expires_ms,
        order_id: record.order_id.as_ref().map(ToString::to_string),
    })
}

/// The key of an event's log, or of another part of its state.
pub fn key(event_id: &str, part: &str) -> String {
    format!("hf:{{{event_id}}}:{part}")
}

/// Reads the logs of all events, until `stop`.
pub async fn follow(
    stage: Arc<Stage>,
    floor: Arc<Floor>,
    book: Arc<LogBook>,
    stop: CancellationToken,
) {
    let mut seasons = floor.seasons();
    let mut tails = JoinSet::new();
    let spawning = async {
        loop {
            let shows = seasons.borrow_and_update().clone();
            for show in shows.iter() {
                tails.spawn(tail(stage.clone(), show.clone(), book.clone()));
            }
            if seasons.changed().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(spawning).await;
}

/// Reads one log for ever, from its beginning again whenever something is odd.
async fn tail(stage: Arc<Stage>, show: Arc<Show>, book: Arc<LogBook>) {
    loop {
        // Redis is away, or elsewhere: that is what a run is about.
        let _ = read_on(&stage, &show, &book).await;
        sleep(PAUSE).await;
    }
}

async fn read_on(stage: &Stage, show: &Show, book: &LogBook) -> anyhow::Result<()> {
    let owner = stage.redis.owner(&show.event_id).await?;
    let mut connection = owner.connect().await?;
    let (key, mut last) = (key(&show.event_id, "log"), "0-0".to_owned());
    loop {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(1_000).arg("BLOCK").arg(BLOCK_MS);
        read.arg("STREAMS").arg(&key).arg(&last);
        let reply: Option<StreamReadReply> = read.query_async(&mut connection).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        let entries: Vec<StreamId> = entries.collect();
        book.note(show, &entries)?;
        match entries.last() {
            Some(entry) => last.clone_from(&entry.id),
            None if has_gone_back(&mut connection, &key, &last).await? => return Ok(()),
            None => {}
        }
        if stage.redis.owner(&show.event_id).await?.port != owner.port {
            return Ok(());
        }
    }
}

/// Whether the log ends before what was read of it.
async fn has_gone_back(
    connection: &mut MultiplexedConnection,
    key: &str,
    last: &str,
) -> anyhow::Result<bool> {
    let mut end = redis::cmd("XREVRANGE");
    end.arg(key).arg("+").arg("-").arg("COUNT").arg(1);
    let end: StreamRangeReply = end.query_async(connection).await?;
    let end = end.ids.first().and_then(|entry| Position::parse(&entry.id)).unwrap_or_default();
    Ok(end < Position::parse(last).unwrap_or_default())
}

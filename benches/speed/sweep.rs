//! Very many holds run out within one second, while others hold.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{bail, ensure};
use holdfast::{
    domain::{Epoch, SeatIndex},
    holds::{HoldReply, Holds, Reply},
    limits::MAX_HOLDS_PER_CALL,
    proto::{AreaQuantity, HoldRequest},
};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    events::{self, AREA, HOLDER, places, raw_holds},
    load::Latencies,
    options::Scale,
    results::Results,
    stage::{Server, Stage},
    wire::{HOLD, Wire, frame},
};

/// Events that the holds are of.
const EVENTS: usize = 5;
/// Who holds meanwhile, and how often each does.
const PROBES: usize = 8;
const PROBE_PERIOD: Duration = Duration::from_millis(10);
/// How long the making of the holds may take; they run out after it.
const MAKING: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(120);

/// Row `sweep_stall_ms`.
pub async fn run(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let server = stage.serve(0, &[]).await?;
    let holds = Arc::new(stage.raw(0)?);
    let client = redis::Client::open(stage.redis.url_of(0))?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let of_each = scale.due / EVENTS;
    let events = events::create_many(&server, "due-", EVENTS, of_each).await?;
    for round in 0..rounds {
        println!("  sweep, round {}", round + 1);
        stage.settle().await?;
        let before = probe_for(&server, &events, Duration::from_secs(2)).await?;
        results.figure("the longest Hold, nothing expires", before.quantile(1.0)?, "ms");

        let ends = SystemTime::now() + MAKING;
        fill(&holds, &events, of_each, ends).await?;
        // The journal has had its time, too.
        let early = ends - Duration::from_millis(500);
        let left = early.duration_since(SystemTime::now());
        sleep(left.map_err(|_| anyhow::anyhow!("the holds are made too slowly"))?).await;
        ensure!(due(&mut redis, &events).await? == scale.due, "some holds are gone already");

        let stop = CancellationToken::new();
        let mut probes = probe(&server, &events, &stop)?;
        let begun = Instant::now();
        while due(&mut redis, &events).await? > 0 {
            ensure!(begun.elapsed() < PATIENCE, "the holds are not ended");
            sleep(Duration::from_millis(100)).await;
        }
        let took = begun.elapsed().saturating_sub(Duration::from_millis(500));
        stop.cancel();
        let during = gather(&mut probes).await?;
        stage.is_alive()?;
        results.figure("the longest Hold while they expire", during.quantile(1.0)?, "ms");
        results.figure("p99 of Hold while they expire", during.quantile(0.99)?, "ms");
        results.figure("until the last of them was ended", took.as_secs_f64(), "s");
        results.ratio("sweep_stall_ms", during.quantile(1.0)?)?;
    }
    Ok(())
}

/// Holds every seat of the events, by calls of Redis from here, each until
/// another moment of the second that begins at `ends`.
async fn fill(
    holds: &Arc<Holds>,
    events: &[Arc<str>],
    of_each: usize,
    ends: SystemTime,
) -> anyhow::Result<()> {
    let mut making = JoinSet::new();
    for event_id in events {
        let raw = raw_holds(&places(std::slice::from_ref(event_id), 0, of_each))?;
        let holds = holds.clone();
        making.spawn(async move {
            for (batch, some) in raw.chunks(MAX_HOLDS_PER_CALL.into()).enumerate() {
                let first = batch * usize::from(MAX_HOLDS_PER_CALL);
                let left = ends.duration_since(SystemTime::now())?;
                let args = some.iter().enumerate().map(|(i, hold)| {
                    let mut args = hold.args.clone();
                    let spread = (first + i) * 1_000 / of_each;
                    args.ttl_ms = Some(u64::try_from(left.as_millis() + spread as u128).ok()?);
                    args.seats = vec![SeatIndex(u32::try_from(first + i).ok()?)];
                    Some(args)
                });
                let args: Option<Vec<_>> = args.collect();
                let (event_id, args) = (&some[0].event_id, args.unwrap_or_default());
                let reply = holds.hold_now(event_id, Epoch(1), args).await?;
                let Reply::Done(replies) = &reply else { bail!("{reply:?}") };
                let is_held = |reply: &HoldReply| matches!(reply, HoldReply::Held(_));
                ensure!(replies.iter().all(is_held), "{reply:?}");
            }
            Ok(())
        });
    }
    while let Some(made) = making.join_next().await {
        made??;
    }
    Ok(())
}

/// How many holds of seats are not ended yet; those of the probes last longer.
async fn due(
    redis: &mut redis::aio::MultiplexedConnection,
    events: &[Arc<str>],
) -> anyhow::Result<usize> {
    let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + Duration::from_secs(60);
    let mut pipe = redis::pipe();
    for event_id in events {
        let key = format!("hf:{{{event_id}}}:due");
        let latest = u64::try_from(soon.as_millis())?;
        pipe.cmd("ZCOUNT").arg(key).arg("-inf").arg(latest);
    }
    let counts: Vec<usize> = pipe.query_async(redis).await?;
    Ok(counts.iter().sum())
}

type Probes = JoinSet<anyhow::Result<Vec<u32>>>;

/// Holds of one unit of each of the events in turn, until told to stop.
fn probe(server: &Server, events: &[Arc<str>], stop: &CancellationToken) -> anyhow::Result<Probes> {
    let request = |event_id: &Arc<str>| HoldRequest {
        event_id: event_id.to_string(),
        holder_id: HOLDER.into(),
        areas: vec![AreaQuantity { area_id: AREA.into(), quantity: 1 }],
        ..HoldRequest::default()
    };
    let bodies: Arc<Vec<_>> = Arc::new(events.iter().map(|id| frame(&request(id))).collect());
    let mut probes = JoinSet::new();
    for i in 0..PROBES {
        let wire: Wire = server.wires[i % server.wires.len()].clone();
        let (head, bodies, stop) = (wire.head(HOLD)?, bodies.clone(), stop.clone());
        probes.spawn(async move {
            let mut pace = interval(PROBE_PERIOD);
            let mut took = Vec::new();
            for turn in i.. {
                if stop.run_until_cancelled(pace.tick()).await.is_none() {
                    break;
                }
                let begun = Instant::now();
                wire.call(&head, bodies[turn % bodies.len()].clone()).await?;
                took.push(u32::try_from(begun.elapsed().as_micros())?);
            }
            Ok(took)
        });
    }
    Ok(probes)
}

async fn probe_for(
    server: &Server,
    events: &[Arc<str>],
    span: Duration,
) -> anyhow::Result<Latencies> {
    let stop = CancellationToken::new();
    let mut probes = probe(server, events, &stop)?;
    sleep(span).await;
    stop.cancel();
    gather(&mut probes).await
}

async fn gather(probes: &mut Probes) -> anyhow::Result<Latencies> {
    let mut all = Vec::new();
    while let Some(took) = probes.join_next().await {
        all.extend(took??);
    }
    Ok(Latencies::new(all))
}

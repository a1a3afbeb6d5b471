//! Very many holds run out within one second, while others hold.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::ensure;
use holdfast::holds::Holds;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    events::{self, area_bodies, places},
    hold::call_of,
    load::{Latencies, Pace, paced},
    options::Scale,
    results::Results,
    stage::{Server, Stage},
    wire::HOLD,
};

/// Events that the holds are of.
const EVENTS: usize = 5;
/// Holds that others ask for meanwhile.
const PROBES_PER_SECOND: f64 = 800.0;
/// How long the making of the holds may take; they run out after it.
const MAKING: Duration = Duration::from_secs(10);
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
    let mut redis = stage.redis_connection(0).await?;
    let of_each = scale.due / EVENTS;
    let events = events::create_many(&server, "due-", EVENTS, of_each).await?;
    for round in 0..rounds {
        println!("  sweep, round {}", round + 1);
        stage.settle().await?;
        let stop = CancellationToken::new();
        let before = tokio::spawn(probe(&server, &events, &stop)?);
        sleep(Duration::from_secs(2)).await;
        stop.cancel();
        let before = before.await??;
        results.figure("the longest Hold, nothing expires", before.quantile(1.0)?, "ms");

        let ends = SystemTime::now() + MAKING;
        fill_all(&holds, &events, of_each, ends).await?;
        // The journal has had its time, too.
        let early = ends - Duration::from_millis(500);
        let left = early.duration_since(SystemTime::now());
        sleep(left.map_err(|_| anyhow::anyhow!("the holds are made too slowly"))?).await;
        ensure!(due(&mut redis, &events).await? == scale.due, "some holds are gone already");

        let stop = CancellationToken::new();
        let during = tokio::spawn(probe(&server, &events, &stop)?);
        let begun = Instant::now();
        while due(&mut redis, &events).await? > 0 {
            ensure!(begun.elapsed() < PATIENCE, "the holds are not ended");
            sleep(Duration::from_millis(100)).await;
        }
        let took = begun.elapsed().saturating_sub(Duration::from_millis(500));
        stop.cancel();
        let during = during.await??;
        stage.is_alive()?;
        results.figure("the longest Hold while they expire", during.quantile(1.0)?, "ms");
        results.figure("p99 of Hold while they expire", during.quantile(0.99)?, "ms");
        results.figure("until the last of them was ended", took.as_secs_f64(), "s");
        results.ratio("sweep_stall_ms", during.quantile(1.0)?)?;
    }
    Ok(())
}

/// Holds every seat of the events, each until another moment of the second that
/// begins at `ends`.
async fn fill_all(
    holds: &Arc<Holds>,
    events: &[Arc<str>],
    of_each: usize,
    ends: SystemTime,
) -> anyhow::Result<()> {
    let mut making = JoinSet::new();
    for event_id in events {
        let places = places(std::slice::from_ref(event_id), 0, of_each);
        let holds = holds.clone();
        making.spawn(async move {
            let ttl_ms = |i| {
                let left = ends.duration_since(SystemTime::now())?;
                Ok(Some(u64::try_from(left.as_millis())? + (i * 1_000 / of_each) as u64))
            };
            events::fill(&holds, &places, ttl_ms).await
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

/// Holds of one unit of each of the events in turn, until told to stop.
fn probe(
    server: &Server,
    events: &[Arc<str>],
    stop: &CancellationToken,
) -> anyhow::Result<impl Future<Output = anyhow::Result<Latencies>> + Send + use<>> {
    let call = call_of(server, HOLD, area_bodies(events))?;
    let stop = stop.clone();
    let pace = Pace { rate: PROBES_PER_SECOND, calls: usize::MAX, warm_up: 0 };
    Ok(async move { paced(pace, &stop, move |i| call(i, i)).await })
}

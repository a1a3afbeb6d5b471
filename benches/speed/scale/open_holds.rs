//! More and more holds that are open, while few are made.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    super::{
        events::{self, area_bodies, places},
        hold::call_of,
        load::in_flight,
        options::Scale,
        stage::Stage,
        wire::HOLD,
    },
    audit,
    series::{
        Column, Series,
        Should::{Follow, Hold, Stay},
        column,
    },
};

const COLUMNS: &[Column] = &[
    column("Hold, 512 in flight", "calls/s", Hold),
    column("memory of Redis, an open hold", "bytes", Stay),
    column("the journal has them after", "s", Follow),
    column("idle: CPU of the server, a second", "ms", Stay),
    column("idle: CPU of Redis, a second", "ms", Stay),
    column("idle: CPU of Postgres, a second", "ms", Stay),
    column("holdfast audit", "s", Follow),
];

/// Events that the holds are of.
const EVENTS: usize = 25;
const IN_FLIGHT: usize = 512;
const IDLE: Duration = Duration::from_secs(4);
/// Longer than all of this takes.
const TTL_MS: u64 = 3_600_000;

#[expect(clippy::cast_precision_loss, reason = "bytes and holds")]
pub async fn run(stage: &mut Stage, scale: Scale) -> anyhow::Result<Series> {
    let mut series = Series::new("open-holds", "open holds", COLUMNS);
    for (database, parts) in (0..).zip([1, 10, 100, 500]) {
        let of_each = (parts * scale.due / 100 / EVENTS).max(1);
        let count = of_each * EVENTS;
        let server = stage.serve(database, &[]).await?;
        let events = events::create_many(&server, "open-", EVENTS, of_each).await?;
        let used = stage.redis_memory().await?;
        let begun = Instant::now();
        fill(stage, database, &events, of_each).await?;
        let after = stage.redis_memory().await?;
        stage.settle().await?;
        let journaled = begun.elapsed();

        let before = stage.spent(&server)?;
        sleep(IDLE).await;
        let seconds = usize::try_from(IDLE.as_secs())?;
        let idle = stage.spent(&server)?.us_for_each(before, seconds);
        let audited = audit(stage, database).await?;
        let call = call_of(&server, HOLD, area_bodies(&events))?;
        let done = in_flight(scale.holds, IN_FLIGHT, call).await?;
        let memory = (after - used) as f64 / count as f64;
        let idle = [idle.server, idle.redis, idle.postgres].map(|us| us / 1_000.0);
        let figures = [&[done.rate, memory, journaled.as_secs_f64()][..], &idle, &[audited]];
        series.push(count, figures.concat());
        stage.end(server.pid).await?;
    }
    Ok(series)
}

async fn fill(
    stage: &Stage,
    database: u32,
    events: &[Arc<str>],
    of_each: usize,
) -> anyhow::Result<()> {
    let holds = Arc::new(stage.raw(database)?);
    let mut making = JoinSet::new();
    for event_id in events {
        let (places, holds) = (places(std::slice::from_ref(event_id), 0, of_each), holds.clone());
        making.spawn(async move { events::fill(&holds, &places, |_| Ok(Some(TTL_MS))).await });
    }
    while let Some(made) = making.join_next().await {
        made??;
    }
    Ok(())
}

//! More and more events that are on sale, at all of which little happens.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    super::{
        events::{self, area_bodies},
        hold::call_of,
        load::in_flight,
        options::Scale,
        stage::Stage,
        wire::HOLD,
    },
    series::{
        Column, Series,
        Should::{Follow, Hold, Stay},
        column,
    },
};

const COLUMNS: &[Column] = &[
    column("Hold, 512 in flight, spread over all", "calls/s", Hold),
    column("CPU of server and Redis, a Hold", "us", Stay),
    column("memory of the server", "MiB", Follow),
    column("idle: CPU of the server, a second", "ms", Follow),
    column("idle: CPU of Redis, a second", "ms", Follow),
    column("idle: CPU of Postgres, a second", "ms", Follow),
];

const IN_FLIGHT: usize = 512;
const SEATS: usize = 100;
const IDLE: Duration = Duration::from_secs(5);

#[expect(clippy::cast_precision_loss, reason = "bytes")]
pub async fn run(stage: &mut Stage, scale: Scale) -> anyhow::Result<Series> {
    let server = stage.serve(0, &[]).await?;
    let mut series = Series::new("events", "events on sale", COLUMNS);
    let mut all: Vec<Arc<str>> = Vec::new();
    for count in [1, scale.holds / 200, scale.holds / 20] {
        for i in all.len()..count {
            all.push(events::create(&server, &format!("event-{i}"), SEATS).await?);
        }
        stage.settle().await?;
        let before = stage.spent(&server)?;
        let call = call_of(&server, HOLD, area_bodies(&all))?;
        let done = in_flight(scale.holds, IN_FLIGHT, call).await?;
        let spent = stage.spent(&server)?.us_for_each(before, scale.holds);

        stage.settle().await?;
        let before = stage.spent(&server)?;
        sleep(IDLE).await;
        let seconds = usize::try_from(IDLE.as_secs())?;
        let idle = stage.spent(&server)?.us_for_each(before, seconds);
        let memory = stage.process(server.pid)?.memory()? as f64 / f64::from(1 << 20);
        let of_each = spent.server + spent.redis;
        let idle = [idle.server, idle.redis, idle.postgres].map(|us| us / 1_000.0);
        series.push(count, [&[done.rate, of_each, memory][..], &idle].concat());
    }
    Ok(series)
}

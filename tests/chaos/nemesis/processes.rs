//! Blows to processes: killed, paused, started anew, without room on the disk.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::{Rng, rngs::StdRng};
use tokio::time::sleep;

use super::{Harm, may_fail_over};
use crate::stage::{SERVERS, Stage};

/// How long somebody is away before he is started again, in ms.
const AWAY_MS: std::ops::Range<u64> = 50..1_500;
/// How long a pause is, in ms: mostly short, at times long.
const SHORT_PAUSE_MS: std::ops::Range<u64> = 3_000..5_000;
const LONG_PAUSE_MS: std::ops::RangeInclusive<u64> = 5_000..=20_000;
const LONG_PAUSES: f64 = 0.15;
const FULL_MS: std::ops::Range<u64> = 800..3_000;

fn pause(random: &mut StdRng) -> Duration {
    Duration::from_millis(match random.random_bool(LONG_PAUSES) {
        true => random.random_range(LONG_PAUSE_MS),
        false => random.random_range(SHORT_PAUSE_MS),
    })
}

fn away(random: &mut StdRng) -> Duration {
    Duration::from_millis(random.random_range(AWAY_MS))
}

pub async fn kill_server(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let (index, away) = (random.random_range(0..SERVERS), away(random));
    let mut server = stage.servers[index].lock().await;
    server.kill().await?;
    sleep(away).await;
    server.start().await?;
    Ok(Harm::new(format!("server {index}"), format!("kill -9, away {away:?}")))
}

pub async fn pause_server(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let (index, pause) = (random.random_range(0..SERVERS), pause(random));
    let server = stage.servers[index].lock().await;
    server.signal(Signal::SIGSTOP);
    sleep(pause).await;
    server.signal(Signal::SIGCONT);
    Ok(Harm::new(format!("server {index}"), format!("SIGSTOP for {pause:?}")))
}

/// One server after the other stops as it is asked to, and another takes its
/// place.
pub async fn roll_servers(stage: &Stage) -> anyhow::Result<Harm> {
    for server in &stage.servers {
        let mut server = server.lock().await;
        server.stop().await?;
        server.start().await?;
        // With a store away it is ready later: the next one does not wait.
        let _ = tokio::time::timeout(Duration::from_secs(5), server.ready()).await;
    }
    Ok(Harm::new("all servers", "SIGTERM and a new process, one by one"))
}

pub async fn kill_redis(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let nodes = &stage.redis.nodes;
    let (node, away) = (&nodes[random.random_range(0..nodes.len())], away(random));
    node.kill().await?;
    sleep(away).await;
    node.start().await?;
    Ok(Harm::new(&node.name, format!("kill -9, away {away:?}")).losing_redis(may_fail_over(stage)))
}

pub async fn pause_redis(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let nodes = &stage.redis.nodes;
    let (node, pause) = (&nodes[random.random_range(0..nodes.len())], pause(random));
    node.signal(Signal::SIGSTOP).await;
    sleep(pause).await;
    node.signal(Signal::SIGCONT).await;
    Ok(Harm::new(&node.name, format!("SIGSTOP for {pause:?}")).losing_redis(may_fail_over(stage)))
}

pub async fn kill_postgres(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let away = away(random);
    stage.postgres.kill().await?;
    sleep(away).await;
    stage.postgres.ensure().await?;
    Ok(Harm::new("postgres", format!("kill -9 of all its processes, away {away:?}")))
}

pub async fn pause_postgres(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let pause = pause(random);
    stage.postgres.signal(Signal::SIGSTOP).await;
    sleep(pause).await;
    stage.postgres.signal(Signal::SIGCONT).await;
    Ok(Harm::new("postgres", format!("SIGSTOP of all its processes for {pause:?}")))
}

/// Nothing that Postgres writes may grow: sales fail, and it may give up.
pub async fn fill_postgres_disk(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let full = Duration::from_millis(random.random_range(FULL_MS));
    stage.postgres.fill_disk(true).await?;
    sleep(full).await;
    stage.postgres.fill_disk(false).await?;
    stage.postgres.ensure().await?;
    Ok(Harm::new("postgres", format!("no file grows beyond 8 KiB for {full:?}")))
}

//! The nemesis: draws faults, makes them, and undoes them again.
//!
//! Three lanes go side by side, each one fault at a time: blows to processes
//! and to what they keep, broken links, and needles (failpoints, clients that
//! hang up). So faults overlap, but never more than three.

mod clients;
mod failover;
mod failpoints;
mod kind;
mod links;
mod processes;
mod redis_state;

pub use failpoints::Points;
pub use kind::{Kind, Lane};

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use tokio::time::{Instant, sleep};

use crate::{
    history::{Fault, Line},
    logbook::LogBook,
    options::Topology,
    stage::Stage,
    workload::{Floor, rng},
};

/// What a fault did.
pub struct Harm {
    pub target: String,
    pub detail: String,
    pub loses_redis: bool,
}

impl Harm {
    fn new(target: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { target: target.into(), detail: detail.into(), loses_redis: false }
    }

    /// Redis may have forgotten what it answered.
    fn losing_redis(self, loses_redis: bool) -> Self {
        Self { loses_redis, ..self }
    }
}

/// What the nemesis works on.
pub struct Scene {
    pub stage: Arc<Stage>,
    pub floor: Arc<Floor>,
    pub book: Arc<LogBook>,
    pub points: Arc<Points>,
}

/// The faults of a run, by kind.
#[derive(Default)]
pub struct Toll {
    counts: Mutex<std::collections::BTreeMap<&'static str, u32>>,
}

impl Toll {
    fn add(&self, kind: Kind) {
        *self.lock().entry(kind.name()).or_default() += 1;
    }

    /// Kinds and how often each was.
    pub fn counts(&self) -> Vec<(&'static str, u32)> {
        self.lock().iter().map(|(&kind, &count)| (kind, count)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<&'static str, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes faults until `until`, and undoes the last ones.
pub async fn rage(
    scene: &Scene,
    seed: u64,
    kinds: &[Kind],
    toll: &Toll,
    until: Instant,
) -> anyhow::Result<()> {
    let lane = |lane: Lane| {
        let kinds: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.lane() == lane).collect();
        go(scene, rng(seed, lane as u64), lane, kinds, toll, until)
    };
    tokio::try_join!(lane(Lane::Blows), lane(Lane::Links), lane(Lane::Needles))?;
    heal(&scene.stage).await
}

/// One lane: every kind once, in any order, and again.
async fn go(
    scene: &Scene,
    mut random: StdRng,
    lane: Lane,
    kinds: Vec<Kind>,
    toll: &Toll,
    until: Instant,
) -> anyhow::Result<()> {
    let mut deck = Vec::new();
    loop {
        let pause = Duration::from_millis(random.random_range(lane.pause_ms()));
        if kinds.is_empty() || Instant::now() + pause >= until {
            return Ok(());
        }
        sleep(pause).await;
        if deck.is_empty() {
            deck.clone_from(&kinds);
            deck.shuffle(&mut random);
        }
        let Some(kind) = deck.pop() else { return Ok(()) };
        let recorder = &scene.floor.recorder;
        let start_us = recorder.now_us();
        let Some(harm) = inflict(scene, kind, &mut random).await? else { continue };
        toll.add(kind);
        recorder.write(Line::Fault(Fault {
            kind: kind.name().to_owned(),
            target: harm.target,
            start_us,
            end_us: recorder.now_us(),
            loses_redis: harm.loses_redis,
            detail: harm.detail,
        }));
    }
}

/// Makes one fault and undoes it; `None` where it did not come to pass.
async fn inflict(scene: &Scene, kind: Kind, random: &mut StdRng) -> anyhow::Result<Option<Harm>> {
    let stage = &scene.stage;
    match kind {
        Kind::ServerKilled => processes::kill_server(stage, random).await.map(Some),
        Kind::ServerPaused => processes::pause_server(stage, random).await.map(Some),
        Kind::ServersRolled => processes::roll_servers(stage).await.map(Some),
        Kind::RedisKilled => processes::kill_redis(stage, random).await.map(Some),
        Kind::RedisPaused => processes::pause_redis(stage, random).await.map(Some),
        Kind::PostgresKilled => processes::kill_postgres(stage, random).await.map(Some),
        Kind::PostgresPaused => processes::pause_postgres(stage, random).await.map(Some),
        Kind::RedisRolledBack => redis_state::roll_back(scene, random).await.map(Some),
        Kind::RedisFlushed => redis_state::flush(scene).await.map(Some),
        Kind::RedisDiskFull => redis_state::fill_disk(stage, random).await.map(Some),
        Kind::PostgresDiskFull => processes::fill_postgres_disk(stage, random).await.map(Some),
        Kind::RedisClockSkewed => redis_state::skew_clock(stage, random).await.map(Some),
        Kind::SentinelFailedOver | Kind::ClusterFailedOver => {
            failover::fail_over(scene, random).await
        }
        Kind::SlotMoved => failover::move_slot(scene, random).await,
        Kind::Link(link, fault) => links::disturb(stage, link, fault, random).await,
        Kind::ClientsHangUp => clients::hang_up(&scene.floor, random).await,
        Kind::Failpoint => failpoints::fire(scene, random).await,
    }
}

/// Ends whatever may be left of any fault.
pub async fn heal(stage: &Stage) -> anyhow::Result<()> {
    for node in &stage.redis.nodes {
        node.start().await?;
    }
    stage.postgres.ensure().await?;
    for server in &stage.servers {
        let mut server = server.lock().await;
        server.start().await?;
        server.ready().await?;
    }
    Ok(())
}

/// Whether Redis may fail over to a replica when its master is out of reach.
fn may_fail_over(stage: &Stage) -> bool {
    stage.redis.topology != Topology::Single
}

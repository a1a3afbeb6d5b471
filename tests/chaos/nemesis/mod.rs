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
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
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

/// The faults of a run: how often each kind was tried, and came to pass.
#[derive(Default)]
pub struct Toll {
    counts: Mutex<BTreeMap<&'static str, (u32, u32)>>,
}

impl Toll {
    /// One of the kinds that were tried least, so that all have their turn.
    fn draw(&self, kinds: &[Kind], random: &mut StdRng) -> Option<Kind> {
        let mut counts = self.lock();
        let tried = |kind: &Kind| counts.get(kind.name()).map_or(0, |&(tried, _)| tried);
        let least = kinds.iter().map(tried).min()?;
        let rare: Vec<Kind> = kinds.iter().copied().filter(|kind| tried(kind) == least).collect();
        let kind = *rare.choose(random)?;
        counts.entry(kind.name()).or_default().0 += 1;
        Some(kind)
    }

    fn add(&self, kind: Kind) {
        self.lock().entry(kind.name()).or_default().1 += 1;
    }

    /// Kinds that came to pass, and how often each did.
    pub fn counts(&self) -> Vec<(&'static str, u32)> {
        let counts = self.lock();
        counts.iter().map(|(&kind, &(_, count))| (kind, count)).filter(|(_, n)| *n > 0).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, (u32, u32)>> {
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

/// One lane: every kind in its turn.
async fn go(
    scene: &Scene,
    mut random: StdRng,
    lane: Lane,
    kinds: Vec<Kind>,
    toll: &Toll,
    until: Instant,
) -> anyhow::Result<()> {
    loop {
        let pause = Duration::from_millis(random.random_range(lane.pause_ms()));
        if kinds.is_empty() || Instant::now() + pause >= until {
            return Ok(());
        }
        sleep(pause).await;
        let Some(kind) = toll.draw(&kinds, &mut random) else { return Ok(()) };
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

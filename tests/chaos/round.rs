//! One round: new stores, new servers, new events; work and faults; then all
//! is healed, comes to rest, and is judged.

use std::{path::PathBuf, sync::Arc, sync::atomic::Ordering, time::Duration};

use anyhow::Context as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    checker, finals,
    history::{Begin, Line},
    logbook::{self, LogBook},
    nemesis::{self, Kind, Points, Scene, Toll},
    options::{Options, Topology},
    recorder::Recording,
    stage::Stage,
    workload::Workload,
};

/// What a round is.
pub struct Plan {
    pub number: usize,
    pub seed: u64,
    pub topology: Topology,
    /// How long the faults go on.
    pub time: Duration,
    pub history: PathBuf,
}

/// What a round came to.
#[derive(Default)]
pub struct Outcome {
    pub operations: u64,
    pub confirmed: u64,
    pub unknown: u64,
    pub violations: Vec<String>,
}

/// Plays a round. Its history is kept where a promise was broken.
pub async fn play(
    options: &Options,
    plan: &Plan,
    toll: &Toll,
    points: &Arc<Points>,
) -> anyhow::Result<Outcome> {
    let stage = Arc::new(Stage::set_up(plan.topology).await?);
    let recording = Recording::begin(&plan.history)?;
    recording.recorder.write(Line::Begin(Begin {
        seed: plan.seed,
        mutant: options.mutant.clone(),
        topology: plan.topology.name().to_owned(),
    }));
    let has_failpoints = points.learn(&stage).await;
    let kinds = Kind::all(plan.topology, has_failpoints, &options.fault);
    let doors = stage.doors.iter().map(|door| door.port).collect();
    let mut workload =
        Workload::begin(recording.recorder.clone(), doors, plan.seed, options.clients).await?;
    let (floor, book) = (workload.floor.clone(), LogBook::new(recording.recorder.clone()));
    let stop = CancellationToken::new();
    let following =
        tokio::spawn(logbook::follow(stage.clone(), floor.clone(), book.clone(), stop.clone()));

    // 1. Work and faults.
    let scene = Scene { stage: stage.clone(), floor, book, points: points.clone() };
    let until = Instant::now() + plan.time;
    nemesis::rage(&scene, plan.seed, &kinds, toll, until).await.context("the nemesis")?;
    tokio::time::sleep_until(until).await;
    // 2. All is healed; every hold runs out, or is sold.
    workload.close().await;
    let shows = scene.floor.shows();
    let mut violations = Vec::new();
    if let Err(error) = finals::rest(&stage, &shows).await {
        violations.push(format!("it does not come to rest: {error:#}"));
    }
    // 3. How it is then.
    for show in &shows {
        let dumped = finals::dump(&stage, &scene.floor, show).await;
        let dumped = dumped.with_context(|| format!("{} at rest", show.event_id))?;
        recording.recorder.write(Line::Final(dumped));
    }
    let floor = workload.end().await;
    stop.cancel();
    following.await?;
    drop(scene);
    // 4. The judgement.
    let lines = recording.end().await?;
    let verdict = tokio::task::spawn_blocking(move || checker::check(&lines)).await?;
    violations.extend(verdict.violations.iter().map(ToString::to_string));
    println!("round {} ({}): {verdict}", plan.number, plan.topology.name());
    let keep = !violations.is_empty();
    match Arc::into_inner(stage) {
        Some(stage) => stage.tear_down(keep).await?,
        None => println!("somebody still uses the stage"),
    }
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    Ok(Outcome {
        operations: count(&floor.tally.operations),
        confirmed: count(&floor.tally.confirmed),
        unknown: count(&floor.tally.unknown),
        violations,
    })
}

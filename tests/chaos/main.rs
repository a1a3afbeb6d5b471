//! Breaks everything that can break while many clients hold, confirm, release
//! and watch few seats, and checks afterwards that every promise was kept.
//!
//! `docs/CHAOS.md` says how to run it, and how to read what it tells.

mod audit;
mod checker;
mod finals;
#[expect(
    clippy::struct_field_names,
    clippy::type_complexity,
    reason = "its lines are read by people"
)]
mod history;
mod http;
mod logbook;
mod nemesis;
mod options;
mod process;
mod proxy;
mod recorder;
mod recovery;
mod report;
mod round;
mod servers;
mod stage;
mod stores;
mod workload;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser as _;
use rand::Rng as _;
use tokio::time::Instant;

use crate::{
    nemesis::{Points, Toll},
    options::Options,
    report::Report,
    round::Plan,
};

/// What a round takes beside its faults: to set up, to come to rest, to judge.
const ROUND_OVERHEAD: Duration = Duration::from_secs(18);
/// A shorter run does not measure how long it takes to recover.
const MEASURED_FROM: Duration = Duration::from_secs(5 * 60);
/// A shorter round is not begun.
const SHORTEST_ROUND: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().is_some_and(|word| word == "check") {
        return checker::check_files(&words.map(PathBuf::from).collect::<Vec<_>>());
    }
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let (toll, points) = (Toll::default(), Arc::new(Points::default()));
    let mut report = Report::new(seed);
    if let Err(error) = run(&options, seed, &toll, &points, &mut report).await {
        report.violation(format!("the run itself failed: {error:#}"));
    }
    match report.print(&options, &toll, &points) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Round after round, until the time is over and enough was done, or a promise
/// was broken.
async fn run(
    options: &Options,
    seed: u64,
    toll: &Toll,
    points: &Arc<Points>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos/{seed}"));
    let end = Instant::now() + options.time();
    // A build without a guard is there to be caught.
    let is_measured =
        options.time() >= MEASURED_FROM && options.fault.is_empty() && options.mutant.is_none();
    if options.recovery || is_measured {
        for topology in options.topologies() {
            for recovery in recovery::measure(topology, &dir).await? {
                report.recovery(recovery);
            }
        }
    }
    for number in 0.. {
        if options.recovery {
            break;
        }
        let left = end.saturating_duration_since(Instant::now()).saturating_sub(ROUND_OVERHEAD);
        // A busy machine does less in the time.
        let goes_on = report.is_short() && Instant::now() < end + options.time() * 2;
        if number > 0 && left < SHORTEST_ROUND && !goes_on || report.has_violations() {
            break;
        }
        let plan = Plan {
            number,
            seed: workload::rng(seed, number as u64).random(),
            topology: options.topology(number),
            time: left.clamp(SHORTEST_ROUND, Duration::from_secs(options.round_seconds)),
            history: dir.join(format!("round-{number}.jsonl")),
        };
        let outcome = round::play(options, &plan, toll, points).await?;
        match outcome.violations.is_empty() {
            true => std::fs::remove_file(&plan.history)?,
            false => println!("its history is kept in {}", plan.history.display()),
        }
        report.add(outcome);
    }
    Ok(())
}

//! `make bench`: Hold, Confirm and the stream beside what bounds them and what is
//! usual, all in one run. `docs/BENCHMARKS.md` says what is compared, and has the
//! last whole run.
//!
//! Contenders take turns within each round, so that a machine that drifts drifts
//! for all of them; what counts is the ratio within a round. Servers and stores
//! are this run's own, on sockets and free ports, and end with it, however it
//! ends.

mod bare;
mod capacity;
mod changes;
mod cluster;
mod confirm;
mod crowd;
mod document;
mod events;
mod fair;
mod hold;
mod load;
mod machine;
mod options;
mod peer;
mod pgbench;
mod process;
mod redis_benchmark;
mod results;
mod scale;
mod stage;
mod stream;
mod sweep;
mod table;
mod updates;
mod wire;

use std::process::ExitCode;

use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use machine::Machine;
use options::{Options, Path};
use results::Results;
use stage::Stage;

/// The server's own: a contender that this program is shall have no worse.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let ended = match options.bare {
        Some(addr) => bare::serve(addr).await,
        None => measure(&options).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    let stopped = CancellationToken::new();
    let signal = holdfast::app::stop_signal()?;
    let stop = stopped.clone();
    tokio::spawn(async move {
        signal.await;
        stop.cancel();
    });
    let machine = Machine::look()?;
    println!("{}", machine.markdown());
    if options.quick {
        println!("--quick: these figures mean nothing\n");
    }
    let mut results = Results::default();
    for path in options.paths() {
        println!("{path:?}");
        let mut stage = Stage::start().await?;
        let ended = tokio::select! {
            ended = run(path, &mut stage, options, &mut results) => ended,
            () = stopped.cancelled() => Err(anyhow::anyhow!("stopped")),
        };
        if ended.is_err() && !stopped.is_cancelled() {
            eprintln!("{}", stage.complaints());
        }
        stage.stop().await;
        ended?;
    }
    println!("\n{}", results.markdown());
    if options.is_whole() {
        document::write_compared(&machine, &results)?;
    }
    if options.is_all_of_scale() {
        document::write_scale(&machine, &results.series)?;
    }
    if let Some(capacity) = results.capacity.as_ref().filter(|_| !options.quick) {
        document::write_capacity(&machine, capacity)?;
    }
    println!("{}", results.json_lines().join("\n"));
    Ok(())
}

async fn run(
    path: Path,
    stage: &mut Stage,
    options: &Options,
    results: &mut Results,
) -> anyhow::Result<()> {
    let (scale, rounds) = (options.scale(), options.rounds);
    let ended = match path {
        Path::Hold => hold::run(stage, scale, rounds, results).await,
        Path::Coalescing => hold::coalescing(stage, scale, rounds, results).await,
        Path::Latency => hold::latency(stage, scale, rounds, results).await,
        Path::Idle => fair::idle(stage, scale, rounds, results).await,
        Path::Fairness => fair::run(stage, scale, rounds, results).await,
        Path::Confirm => confirm::run(stage, scale, rounds, results).await,
        Path::Stream => stream::run(stage, scale, rounds, results).await,
        Path::Siblings => stream::siblings(stage, scale, rounds, results).await,
        Path::Sweep => sweep::run(stage, scale, rounds, results).await,
        Path::Peer => peer::run(stage, scale, rounds, results).await,
        path => grows(path, stage, scale, results).await,
    };
    ended.and_then(|()| stage.is_alive())
}

/// What work costs as there is more of it.
async fn grows(
    path: Path,
    stage: &mut Stage,
    scale: options::Scale,
    results: &mut Results,
) -> anyhow::Result<()> {
    let series = match path {
        Path::Seats => scale::seats(stage, scale).await?,
        Path::Events => scale::events_loaded(stage, scale).await?,
        Path::Holders => scale::holders(stage, scale).await?,
        Path::Subscribers => scale::subscribers(stage, scale).await?,
        Path::OpenHolds => scale::open_holds(stage, scale).await?,
        _ => {
            results.capacity = Some(capacity::run(stage, scale).await?);
            return Ok(());
        }
    };
    println!("{}", series.markdown());
    results.series.push(series);
    Ok(())
}

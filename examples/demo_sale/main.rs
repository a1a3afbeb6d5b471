//! The whole way of a sale on one machine: private stores, two servers, VNPAY's side,
//! and every case of paying, each with how it must end.
//!
//! The last line that it prints is JSON; it exits 0 where all is as it should be.

mod cases;
mod chart;
mod end;
mod events;
mod kill;
mod letters;
mod process;
mod report;
mod sale;
mod stage;
mod stale;
mod till;
mod watch;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;

use crate::{
    process::until,
    report::{Line, Report},
    stage::Stage,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Tries the whole way of a sale on one machine.
#[derive(Debug, Parser)]
#[command(name = "demo_sale")]
struct Flags {
    /// Only this case; may be given again.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// Orders whose time is up at once, of case `stale`.
    #[arg(long, default_value_t = 10_000)]
    stale: usize,
    /// Buyers while servers are killed, of case `kill`.
    #[arg(long, default_value_t = 2_000)]
    buyers: usize,
    /// How often a server is killed meanwhile.
    #[arg(long, default_value_t = 50)]
    kills: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    // Of two that could be, one has to be named.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let begun = Instant::now();
    println!("starting Redis, Postgres, VNPAY's side, and two servers");
    let stage = Arc::new(Stage::start().await?);
    let report = Report::default();
    let played = play(&stage, &flags, &report).await;
    stage.stop().await;
    println!("{:.0} s", begun.elapsed().as_secs_f32());
    if let Err(error) = &played {
        println!("it came to no end: {error:#}");
    }
    let ok = report.end()?;
    if ok && played.is_ok() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("the servers' logs are in {}", stage.keep_logs()?.display());
    Ok(ExitCode::FAILURE)
}

async fn play(stage: &Arc<Stage>, flags: &Flags, report: &Report) -> anyhow::Result<()> {
    let wants = |name: &str| flags.only.is_empty() || flags.only.iter().any(|n| n == name);
    cases::play(stage, &flags.only, report).await?;
    if wants("stale") {
        report.tell(stale::play(stage, flags.stale).await?);
    }
    if wants("kill") {
        report.tell(kill::play(stage, flags.buyers, flags.kills).await?);
    }
    report.tell(downstream(stage).await?);
    let differs = stage.audit().await?;
    let wrong: Vec<String> = differs.lines().map(ToOwned::to_owned).collect();
    let summary = format!("{} difference(s)", wrong.len());
    let done = "`holdfast audit`: Redis, Postgres, both servers' streams";
    report.tell(Line::summed_up("audit", done, summary, wrong));
    Ok(())
}

/// The order events, as an internal service heard them: every number once, in order.
async fn downstream(stage: &Stage) -> anyhow::Result<Line> {
    const SQL: &str = "-- demo: events
        SELECT count(*), max(sequence) FROM order_events";
    let all = until("all order events are heard", PATIENCE, async || {
        let row = stage.postgres.query_one(SQL, &[]).await.ok()?;
        let (count, last) = (row.get::<_, i64>(0), row.get::<_, Option<i64>>(1));
        (last == Some(count) && stage.events.sequence() == count).then_some(count)
    });
    let all = all.await;
    let mut wrong = stage.events.wrong();
    wrong.extend(all.as_ref().err().map(|error| format!("{error:#}")));
    let summary = format!("{} in order, each once", stage.events.sequence());
    Ok(Line::summed_up("downstream", "StreamOrderEvents, from the first event on", summary, wrong))
}

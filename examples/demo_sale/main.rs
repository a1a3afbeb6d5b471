//! The whole way of a sale on one machine: private stores, two servers, VNPAY's side,
//! and every case of paying, each with how it must end.
//!
//! The last line that it prints is JSON; it exits 0 where all is as it should be.

mod cases;
mod chart;
mod end;
mod process;
mod report;
mod sale;
mod stage;
mod till;
mod watch;

use std::{process::ExitCode, sync::Arc, time::Instant};

use clap::Parser;

use crate::{
    report::{Line, Report},
    stage::Stage,
};

/// Tries the whole way of a sale on one machine.
#[derive(Debug, Parser)]
#[command(name = "demo_sale")]
struct Flags {
    /// Only this case; may be given again.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
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
    cases::play(stage, &flags.only, report).await?;
    let differs = stage.audit().await?;
    let wrong: Vec<String> = differs.lines().map(ToOwned::to_owned).collect();
    let summary = format!("{} difference(s)", wrong.len());
    let done = "`holdfast audit`: Redis, Postgres, both servers' streams";
    report.tell(Line::summed_up("audit", done, summary, wrong));
    Ok(())
}

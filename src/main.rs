//! The program `holdfast`: one match, no logic.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use holdfast::{
    app::{App, stop_signal},
    audit,
    config::{Cli, Command, Doors, Stores},
    dev,
    ledger::Ledger,
    load, telemetry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let logs = telemetry::init_logs(&cli.log, cli.log_format).context("HOLDFAST_LOG");
    let ended = match logs {
        Ok(()) => run(cli.command).await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holdfast: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { doors, stores } => serve(&doors, &stores).await?,
        Command::Dev { doors, data_dir } => dev::run(&doors, &data_dir).await?,
        Command::Audit { stores, audit } => {
            return Ok(ExitCode::from(audit::run(&stores, &audit).await));
        }
        Command::Load(options) => return Ok(ExitCode::from(load::run(&options).await)),
        Command::Migrate { postgres_url } => {
            for migration in Ledger::migrate(&postgres_url).await? {
                println!("applied {migration}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(doors: &Doors, stores: &Stores) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let app = App::start(doors, stores).await?;
    tracing::info!(grpc = %app.grpc_addr, http = %app.http_addr, "listening");
    stop.await;
    app.stop().await;
    Ok(())
}

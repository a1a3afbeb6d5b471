//! The program `holdfast`: one match, no logic.

use std::process::ExitCode;

use anyhow::Context as _;
use holdfast::{
    app::{App, stop_signal},
    audit,
    config::{self, Cli, Command, Doors, Stores},
    dev, inspect,
    ledger::Ledger,
    load, telemetry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::from_everywhere() {
        Ok(cli) => cli,
        Err(error) => {
            eprintln!("holdfast: {:#}", anyhow::Error::from(error));
            return ExitCode::FAILURE;
        }
    };
    let logs = telemetry::init_logs(&cli.log, cli.log_format).context("HOLDFAST_LOG");
    let ended = match logs {
        Ok(()) => traced(&cli.traces, cli.command).await,
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

/// Tells spans of what a server does, where that is wanted.
async fn traced(traces: &config::Traces, command: Command) -> anyhow::Result<ExitCode> {
    let is_server = matches!(command, Command::Serve { .. } | Command::Dev { .. });
    if let Some(settings) = traces.settings().filter(|_| is_server) {
        telemetry::start_traces(&settings)?;
    }
    let ended = run(command).await;
    telemetry::end_traces().await;
    ended
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { doors, stores } => serve(&doors, &stores).await?,
        Command::Dev { doors, data_dir } => dev::run(&doors, &data_dir).await?,
        Command::Audit { stores, audit } => {
            return Ok(ExitCode::from(audit::run(&stores, &audit).await));
        }
        Command::Events { stores, told } => {
            return Ok(ExitCode::from(inspect::events(&stores, &told).await));
        }
        Command::Holds { stores, options } => {
            return Ok(ExitCode::from(inspect::holds(&stores, &options).await));
        }
        Command::Why { stores, options } => {
            return Ok(ExitCode::from(inspect::why(&stores, &options).await));
        }
        Command::Drain(options) => return Ok(ExitCode::from(inspect::drain(&options).await)),
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

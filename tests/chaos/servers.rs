//! A server under test: the real program, as a process of its own.

use std::{net::TcpListener, path::PathBuf, time::Duration};

use anyhow::Context as _;
use nix::sys::signal::Signal;

use crate::{
    http,
    process::{Process, until},
};

/// Longer than any start takes while the machine is busy.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// One of the servers. Its ports stay the same however often it is started.
pub struct Server {
    pub grpc_port: u16,
    pub http_port: u16,
    settings: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
}

impl Server {
    /// A server that is still to be started, on these stores.
    pub fn new(postgres_url: &str, redis_url: &str, log: PathBuf) -> anyhow::Result<Self> {
        let [grpc_port, http_port] = free_ports()?;
        let settings = vec![
            format!("HOLDFAST_GRPC_ADDR=127.0.0.1:{grpc_port}"),
            format!("HOLDFAST_HTTP_ADDR=127.0.0.1:{http_port}"),
            format!("HOLDFAST_POSTGRES_URL={postgres_url}"),
            format!("HOLDFAST_REDIS_URL={redis_url}"),
            "HOLDFAST_LOG=info,tokio_cron_scheduler=warn,refinery_core=warn".to_owned(),
        ];
        Ok(Self { grpc_port, http_port, settings, log, process: None })
    }

    /// Starts it, where it does not run; it is ready once its stores are.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.process.as_ref().is_none_or(Process::has_ended) {
            let program = ["env".to_owned()].into_iter().chain(self.settings.iter().cloned());
            let serve = [env!("CARGO_BIN_EXE_holdfast"), "serve"].map(str::to_owned);
            let command: Vec<String> = program.chain(serve).collect();
            self.process = Some(Process::start(&command, &self.log).await?);
        }
        Ok(())
    }

    /// Waits until it would take calls.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let ask = async || match http::ask(self.http_port, "GET", "/readyz", "").await {
            Ok((200, _)) => Some(()),
            _ => None,
        };
        until("a server is ready", START_PATIENCE, ask).await
    }

    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match &mut self.process {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match &mut self.process {
            Some(process) => {
                process.signal(Signal::SIGTERM);
                process.ended().await
            }
            None => Ok(()),
        }
    }

    /// Whether it has ended, by itself.
    pub fn has_ended(&self) -> bool {
        self.process.as_ref().is_none_or(Process::has_ended)
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }
}

/// Ports that nobody listens on, from below those that connections are given: a
/// server that was killed must find its own free again.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    const RANGE: std::ops::Range<u16> = 10_000..32_000;
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let free = (0..1_000).find_map(|_| {
            let port = rand::random_range(RANGE);
            Some((port, TcpListener::bind(("127.0.0.1", port)).ok()?))
        });
        let (free, listener) = free.context("no port is free")?;
        *port = free;
        listeners.push(listener);
    }
    Ok(ports)
}

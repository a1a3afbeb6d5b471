//! A program as a child that can be killed, and never outlives us.

use std::{net::TcpListener, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use holdfast::dev::Child;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

pub struct Process(Child);

impl Process {
    /// Starts a command with settings of its environment; what it prints is added to
    /// `log`.
    pub fn start(settings: &[String], command: &[&str], log: &Path) -> anyhow::Result<Self> {
        let mut all = vec!["env"];
        all.extend(settings.iter().map(String::as_str));
        all.extend(command);
        Ok(Self(Child::start("TERM", &all, None, log)?))
    }

    /// Ends it without a word, and its guard with it: they are one process group.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        killpg(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGKILL)?;
        self.0.ended().await?;
        Ok(())
    }

    pub async fn stop(&mut self) {
        self.0.stop().await;
    }
}

/// Ports that nobody listens on, from below those that connections are given: a server
/// that was killed must find its own free again.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    const RANGE: std::ops::Range<u16> = 10_000..32_000;
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let free = (0..1_000).find_map(|_| {
            let port = fastrand::u16(RANGE);
            Some((port, TcpListener::bind(("127.0.0.1", port)).ok()?))
        });
        let (free, listener) = free.context("no port is free")?;
        *port = free;
        listeners.push(listener);
    }
    Ok(ports)
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// Where there is none within `patience`.
pub async fn until<T>(
    what: &str,
    patience: Duration,
    ask: impl AsyncFn() -> Option<T>,
) -> anyhow::Result<T> {
    const PAUSE: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "never came within {patience:?}: {what}");
        sleep(PAUSE).await;
    }
}

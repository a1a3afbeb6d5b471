//! A process that can be killed, paused and let go on, and never outlives us.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use anyhow::Context as _;
use holdfast::dev::Child;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

/// A process under a guard, which ends it when we end.
pub struct Process {
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts a command, whose output is added to `log`.
    pub async fn start(command: &[String], log: &Path) -> anyhow::Result<Self> {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        // The signal that ends it with us ends it even where it is paused.
        let child = Child::start("KILL", &command, None, log)?;
        let pid = guarded(child.id()).await?;
        Ok(Self { child, pid })
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal; one that has ended already does not mind.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Ends it without a word, and waits for that.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL);
        self.ended().await
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        self.child.ended().await?;
        Ok(())
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        kill(self.pid, None).is_err()
    }
}

/// The process that a guard guards: its first child.
pub async fn guarded(guard: u32) -> anyhow::Result<Pid> {
    let guard = Pid::from_raw(i32::try_from(guard)?);
    until("a guard starts its process", Duration::from_secs(10), async || {
        children(guard).first().copied()
    })
    .await
}

/// The children of a process, the oldest first.
pub fn children(parent: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

/// Sets how long a file of a process may grow, in bytes; `None` lifts it.
pub async fn limit_file_size(pid: Pid, bytes: Option<u64>) -> anyhow::Result<()> {
    let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    // Not even root may do it to another user's process everywhere.
    let owner = fs::metadata(format!("/proc/{pid}"))?;
    let output = tokio::process::Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--fsize={soft}:")])
        .uid(owner.uid())
        .gid(owner.gid())
        .output()
        .await
        .context("prlimit, of util-linux, is needed")?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}", told.trim());
    Ok(())
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
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        anyhow::ensure!(Instant::now() < deadline, "never came within {patience:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

//! A store as a child that never outlives its parent.
//!
//! The store runs under a guard, a few lines of shell in a process group of
//! their own: it reads from a pipe that only the parent writes to, and when the
//! pipe closes, it ends the store. The kernel closes it however the parent
//! dies, kill -9 included; and a Ctrl-C at the terminal reaches the parent
//! alone, so that stores stop after what needs them.

use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{ExitStatus, Stdio},
};

use anyhow::{Context as _, bail};
use tokio::{
    process::{Child as Process, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};

use crate::limits::{DEV_POLL, DEV_STORE_START_TIMEOUT, DEV_STORE_STOP_TIMEOUT};

/// Its arguments: the signal that ends the store, then the store's command.
const GUARD: &str = r#"
signal=$1; shift
exec 3<&0
"$@" 3<&- </dev/null &
store=$!
{ read -r _ <&3; kill -s "$signal" "$store"; } 2>/dev/null &
watch=$!
wait "$store"; status=$?
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// A store that runs.
#[derive(Debug)]
pub struct Child {
    guard: Process,
    /// Closed, it ends the store.
    lifeline: Option<ChildStdin>,
}

/// The user that a store runs as, where it is not the parent's.
#[derive(Debug, Clone)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Child {
    /// Starts a store; what it prints is added to `log`.
    pub fn start(
        signal: &str,
        command: &[&str],
        owner: Option<&Owner>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        if let Some(dir) = log.parent() {
            fs::create_dir_all(dir)?;
        }
        let out = File::options().create(true).append(true).open(log)?;
        let mut guard = std::process::Command::new("sh");
        guard
            .args(["-c", GUARD, "guard", signal])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(out.try_clone()?)
            .stderr(out)
            .current_dir("/")
            .process_group(0);
        if let Some(Owner { uid, gid }) = owner {
            guard.uid(*uid).gid(*gid);
        }
        let mut guard = Command::from(guard)
            .spawn()
            .with_context(|| format!("cannot start {}", command.join(" ")))?;
        let lifeline = guard.stdin.take();
        Ok(Self { guard, lifeline })
    }

    /// The process id of the guard.
    pub fn id(&self) -> u32 {
        self.guard.id().unwrap_or_default()
    }

    /// Waits until the store has ended by itself.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.guard.wait().await
    }

    /// Waits until the store answers.
    pub async fn answers<F: Future<Output = bool>>(
        &mut self,
        name: &str,
        log: &Path,
        probe: impl Fn() -> F,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEV_STORE_START_TIMEOUT;
        while !probe().await {
            if let Some(status) = self.guard.try_wait()? {
                bail!("{name} ended ({status}); see {}", log.display());
            }
            if Instant::now() > deadline {
                bail!("{name} does not answer; see {}", log.display());
            }
            sleep(DEV_POLL).await;
        }
        Ok(())
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.guard.try_wait(), Ok(None))
    }

    /// Asks it to end.
    pub fn end(&mut self) {
        self.lifeline = None;
    }

    /// Ends the store, and waits for it.
    pub async fn stop(&mut self) {
        self.end();
        if timeout(DEV_STORE_STOP_TIMEOUT, self.guard.wait()).await.is_err() {
            tracing::warn!(pid = self.id(), "a store takes long to stop");
        }
    }
}

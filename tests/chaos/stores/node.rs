//! One process of Redis.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use crate::process::{Process, limit_file_size, until};

const START_PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);

/// What Debian's package `faketime` has to skew clocks. The C library stands
/// before Redis' own allocator: that one asks for the time before it is ready.
const FAKETIME: &str = "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1:libc.so.6";

/// A server, or a Sentinel. Whoever breaks it has it to himself meanwhile.
pub struct Node {
    pub name: String,
    /// Where it listens itself, without a proxy between.
    pub port: u16,
    pub dir: PathBuf,
    command: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Process>>,
}

impl Node {
    /// A server that is still to be started, with these settings beside its
    /// port and directory.
    pub fn server(home: &Path, name: &str, port: u16, settings: &[(&str, &str)]) -> Result<Self> {
        Self::new(home, name, port, settings, &[])
    }

    /// A Sentinel that is still to be started.
    pub fn sentinel(home: &Path, name: &str, port: u16, settings: &[(&str, &str)]) -> Result<Self> {
        Self::new(home, name, port, settings, &["--sentinel"])
    }

    fn new(
        home: &Path,
        name: &str,
        port: u16,
        settings: &[(&str, &str)],
        mode: &[&str],
    ) -> Result<Self> {
        let dir = home.join(name);
        fs::create_dir_all(&dir)?;
        // Redis writes to it what it becomes: a replica, a master.
        let file = dir.join("redis.conf");
        let (port_text, dir_text) = (port.to_string(), dir.display().to_string());
        let own = [("port", port_text.as_str()), ("bind", "127.0.0.1"), ("dir", &dir_text)];
        let lines = own.iter().chain(settings).map(|(name, value)| format!("{name} {value}\n"));
        fs::write(&file, lines.collect::<String>())?;

        let mut command = vec!["env".to_owned(), "--ignore-signal=XFSZ".to_owned()];
        if Self::can_skew_clocks() {
            fs::write(dir.join("clock"), "+0")?;
            command.extend([
                FAKETIME.to_owned(),
                format!("FAKETIME_TIMESTAMP_FILE={}", dir.join("clock").display()),
                "FAKETIME_CACHE_DURATION=1".to_owned(),
                "DONT_FAKE_MONOTONIC=1".to_owned(),
            ]);
        }
        command.extend(["redis-server".to_owned(), file.display().to_string()]);
        command.extend(mode.iter().map(ToString::to_string));
        let log = home.join("log").join(format!("{name}.log"));
        Ok(Self { name: name.into(), port, dir, command, log, process: Mutex::default() })
    }

    /// Whether clocks can be skewed here.
    pub fn can_skew_clocks() -> bool {
        static CAN: OnceLock<bool> = OnceLock::new();
        *CAN.get_or_init(|| {
            let mut version = Command::new("env");
            version.args([FAKETIME, "redis-server", "--version"]);
            // What cannot be loaded is told, and passed over.
            version.output().is_ok_and(|told| told.status.success() && told.stderr.is_empty())
        })
    }

    /// Starts it, where it does not run, and waits until it serves.
    pub async fn start(&self) -> Result<()> {
        let mut process = self.process.lock().await;
        if process.as_ref().is_none_or(Process::has_ended) {
            *process = Some(Process::start(&self.command, &self.log).await?);
        }
        let pid = process.as_ref().map(Process::pid).context("it was started")?;
        drop(process);
        // Somebody else might have come by the port.
        let serves = async || {
            let told = self.info("server", "process_id").await.ok()?;
            (told == pid.to_string()).then_some(())
        };
        until("Redis serves", START_PATIENCE, serves)
            .await
            .with_context(|| format!("see {}", self.log.display()))
    }

    pub async fn kill(&self) -> Result<()> {
        match &mut *self.process.lock().await {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    pub async fn signal(&self, signal: Signal) {
        if let Some(process) = &*self.process.lock().await {
            process.signal(signal);
        }
    }

    /// Lets no file of it grow any more, or grow again.
    pub async fn fill_disk(&self, full: bool) -> Result<()> {
        match &*self.process.lock().await {
            Some(process) => limit_file_size(process.pid(), full.then_some(0)).await,
            None => Ok(()),
        }
    }

    /// Moves its clock, in seconds from the right time.
    pub fn skew_clock(&self, seconds: i32) -> Result<()> {
        Ok(fs::write(self.dir.join("clock"), format!("{seconds:+}"))?)
    }

    /// A connection beside all proxies.
    pub async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_PATIENCE))
            .set_response_timeout(Some(ANSWER_PATIENCE));
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// A field of INFO.
    pub async fn info(&self, section: &str, field: &str) -> Result<String> {
        let mut connection = self.connect().await?;
        let info: redis::InfoDict =
            redis::cmd("INFO").arg(section).query_async(&mut connection).await?;
        info.get(field).with_context(|| format!("INFO has no {field}"))
    }
}

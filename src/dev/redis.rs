//! A private Redis: append-only file on, eviction off, on a socket.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::Context as _;
use tokio::net::UnixStream;

use super::{child::Child, socket_dir};

/// A Redis server that ends with this process.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    socket: PathBuf,
    data_dir: PathBuf,
}

const NEEDED: &str =
    "Redis 7 or later is needed: apt-get install redis-server, or brew install redis";

/// Enough for one a test.
const DATABASES: &str = "1024";

impl Redis {
    /// Starts a server on what `data_dir` has of it, and waits until it
    /// answers.
    ///
    /// # Errors
    /// Where there is no `redis-server`, or it does not start.
    pub async fn start(data_dir: &Path) -> anyhow::Result<Self> {
        let dir = data_dir.join("redis");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let socket = socket_dir(data_dir)?.join("redis.sock");
        let _ = fs::remove_file(&socket);
        let log = data_dir.join("log").join("redis.log");
        let (dir_text, socket_text) = (dir.display().to_string(), socket.display().to_string());
        let command = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            &socket_text,
            "--unixsocketperm",
            "700",
            "--dir",
            &dir_text,
            "--appendonly",
            "yes",
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
            "--databases",
            DATABASES,
        ];
        let mut child = Child::start("TERM", &command, None, &log)?;
        let answers = async || UnixStream::connect(&socket).await.is_ok();
        child.answers("redis-server", &log, answers).await.context(NEEDED)?;
        Ok(Self { child, socket, data_dir: dir })
    }

    /// How to reach it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    /// How to reach one of its databases, 0 to 1023.
    pub fn url_of(&self, database: u32) -> String {
        format!("{}?db={database}", self.url())
    }

    /// The process id of its guard, which ends with it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.ended().await
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        self.child.stop().await;
    }
}

impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (socket, dir) = (self.socket.display(), self.data_dir.display());
        write!(f, "socket {socket}, append-only file in {dir}")
    }
}

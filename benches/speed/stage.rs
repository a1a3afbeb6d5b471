//! Stores, and servers on them: this run's own, on sockets and free ports.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail, ensure};
use holdfast::{
    dev::{Postgres, Redis},
    holds::Holds,
    ledger::Ledger,
    proto::{ListEventsRequest, catalog_service_client::CatalogServiceClient},
};
use redis::{InfoDict, aio::MultiplexedConnection};
use secrecy::SecretString;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use super::{
    process::{self, Process},
    wire::{CONNECTIONS, Wire},
};

const START: Duration = Duration::from_secs(30);
/// How long servers may work on what a contender has left them.
const REST: Duration = Duration::from_secs(90);

/// What one path is measured on.
pub struct Stage {
    // In the order in which they must go.
    servers: Vec<Process>,
    pub postgres: Postgres,
    pub redis: Redis,
    dir: tempfile::TempDir,
}

/// A gRPC server under test, and connections to it.
pub struct Server {
    pub pid: u32,
    pub addr: String,
    pub wires: Vec<Wire>,
    pub catalog: CatalogServiceClient<Channel>,
}

/// CPU time.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub server: f64,
    pub redis: f64,
    pub postgres: f64,
}

impl Spent {
    /// What was spent after `before`, for each of so many calls, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    pub fn us_for_each(self, before: Self, calls: usize) -> Self {
        let each = |now: f64, then: f64| (now - then) * 1e6 / calls as f64;
        Self {
            server: each(self.server, before.server),
            redis: each(self.redis, before.redis),
            postgres: each(self.postgres, before.postgres),
        }
    }
}

/// Databases of Redis: each server has its own, and so have those who go to Redis
/// directly, so that no server's jobs work on what they do.
pub const RAW: u32 = 100;

impl Stage {
    pub async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("holdfast-bench-").tempdir()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let redis = Redis::start(dir.path()).await?;
        let postgres = Postgres::start(dir.path()).await?;
        Ok(Self { servers: Vec::new(), postgres, redis, dir })
    }

    pub async fn stop(mut self) {
        while let Some(server) = self.servers.pop() {
            server.stop().await;
        }
        self.postgres.stop().await;
        self.redis.stop().await;
        if let Err(error) = self.dir.close() {
            eprintln!("left behind: {error}");
        }
    }

    /// The last lines that each server wrote.
    pub fn complaints(&self) -> String {
        const LINES: usize = 12;
        let logs = fs::read_dir(self.path("log")).into_iter().flatten().flatten();
        let tail = |log: fs::DirEntry| {
            let text = fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
            format!("-- {}\n{last}\n", log.path().display())
        };
        logs.map(tail).collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Redis without a server: its scripts called by the library that servers use.
    pub fn raw(&self, database: u32) -> anyhow::Result<Holds> {
        Ok(Holds::new(&SecretString::from(self.redis.url_of(database)))?)
    }

    /// A connection to Redis, for commands of its own.
    pub async fn redis_connection(&self, database: u32) -> anyhow::Result<MultiplexedConnection> {
        let client = redis::Client::open(self.redis.url_of(database))?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    /// Bytes of memory that Redis uses for what it has.
    pub async fn redis_memory(&self) -> anyhow::Result<u64> {
        let mut redis = self.redis_connection(0).await?;
        let info: InfoDict = redis::cmd("INFO").arg("memory").query_async(&mut redis).await?;
        info.get("used_memory").context("Redis does not tell its memory")
    }

    /// Where the stores of a server are, in Postgres and in Redis.
    pub fn urls(&self, database: u32) -> (String, String) {
        (self.postgres.url(&format!("holdfast{database}")), self.redis.url_of(database))
    }

    /// A database with the schema and nothing in it.
    pub async fn database(&self, name: &str) -> anyhow::Result<String> {
        self.postgres.create_database(name).await?;
        let url = self.postgres.url(name);
        Ledger::migrate(&SecretString::from(url.clone())).await?;
        Ok(url)
    }

    /// Starts `holdfast serve` on a Postgres database and a Redis database of its
    /// own.
    pub async fn serve(&mut self, database: u32, more: &[&str]) -> anyhow::Result<Server> {
        let redis_url = self.redis.url_of(database);
        self.serve_on(&format!("holdfast{database}"), &redis_url, more).await
    }

    /// A server that coalesces holds, and one that sends each by itself.
    pub async fn serve_both(&mut self) -> anyhow::Result<[(&'static str, Server); 2]> {
        let coalesced = ("coalesced", self.serve(0, &[]).await?);
        Ok([coalesced, ("not coalesced", self.serve(1, &["--holds-per-call", "1"]).await?)])
    }

    /// As [`Self::serve`], on another Redis.
    pub async fn serve_on(
        &mut self,
        name: &str,
        redis_url: &str,
        more: &[&str],
    ) -> anyhow::Result<Server> {
        let postgres_url = self.database(name).await?;
        let addr = free_addr()?;
        let mut command = vec![env!("CARGO_BIN_EXE_holdfast"), "serve", "--log", "warn"];
        command.extend(["--grpc-addr", &addr, "--http-addr", "127.0.0.1:0"]);
        command.extend(["--postgres-url", &postgres_url, "--redis-url", redis_url]);
        command.extend(more);
        self.spawn_grpc(name, &command, addr.clone()).await
    }

    /// Starts this program as the bare gRPC server.
    pub async fn serve_bare(&mut self) -> anyhow::Result<Server> {
        let program = std::env::current_exe()?.display().to_string();
        let addr = free_addr()?;
        let command = [&*program, "--bare", &addr];
        self.spawn_grpc("bare", &command, addr.clone()).await
    }

    async fn spawn_grpc(
        &mut self,
        name: &str,
        command: &[&str],
        addr: String,
    ) -> anyhow::Result<Server> {
        let pid = self.spawn(name, command).await?;
        let deadline = Instant::now() + START;
        let channel = loop {
            self.process(pid)?.is_alive()?;
            let url = format!("http://{addr}");
            match Channel::from_shared(url)?.connect().await {
                Ok(channel) => break channel,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        let catalog = CatalogServiceClient::new(channel);
        // Its stores are there once it can list.
        while let Err(error) = catalog.clone().list_events(ListEventsRequest::default()).await {
            if error.code() == tonic::Code::Unimplemented {
                break;
            }
            ensure!(Instant::now() < deadline, "{name} is not ready: {error}");
            sleep(Duration::from_millis(20)).await;
        }
        let mut wires = Vec::new();
        for _ in 0..CONNECTIONS {
            wires.push(Wire::connect(&addr).await?);
        }
        self.process(pid)?.is_alive()?;
        Ok(Server { pid, addr, wires, catalog })
    }

    /// Starts a server; answers its process id.
    pub async fn spawn(&mut self, name: &str, command: &[&str]) -> anyhow::Result<u32> {
        let log = self.path("log").join(format!("{name}.log"));
        let process = Process::start(name, command, &log).await?;
        let pid = process.pid;
        self.servers.push(process);
        Ok(pid)
    }

    pub async fn end(&mut self, pid: u32) -> anyhow::Result<()> {
        let at = self.servers.iter().position(|server| server.pid == pid);
        let server = self.servers.remove(at.context("no such server")?);
        server.is_alive()?;
        server.stop().await;
        Ok(())
    }

    pub fn process(&self, pid: u32) -> anyhow::Result<&Process> {
        self.servers.iter().find(|server| server.pid == pid).context("no such server")
    }

    /// Fails unless all that was started still runs.
    pub fn is_alive(&self) -> anyhow::Result<()> {
        for server in &self.servers {
            server.is_alive()?;
        }
        // Their guards end with them.
        ensure!(process::runs(self.redis.pid()), "Redis ended");
        ensure!(process::runs(self.postgres.pid()), "Postgres ended");
        Ok(())
    }

    /// Waits until no server works on what a contender before has left it, such
    /// as holds to journal; then checks that all of them are alive.
    pub async fn settle(&self) -> anyhow::Result<()> {
        const LOOK: Duration = Duration::from_millis(250);
        const IDLE: Duration = Duration::from_millis(30);
        let deadline = Instant::now() + REST;
        loop {
            let before = self.cpu()?;
            sleep(LOOK).await;
            if self.cpu()?.saturating_sub(before) <= IDLE {
                return self.is_alive();
            }
            if Instant::now() > deadline {
                bail!("the servers do not come to rest");
            }
        }
    }

    /// What a server and the stores have spent until now, in seconds.
    pub fn spent(&self, server: &Server) -> anyhow::Result<Spent> {
        Ok(Spent {
            server: self.process(server.pid)?.cpu()?.as_secs_f64(),
            redis: self.redis_spent(),
            postgres: process::cpu_of_all(self.postgres.pid()).as_secs_f64(),
        })
    }

    pub fn redis_spent(&self) -> f64 {
        process::cpu_of_all(self.redis.pid()).as_secs_f64()
    }

    fn cpu(&self) -> anyhow::Result<Duration> {
        self.servers.iter().map(Process::cpu).sum()
    }
}

/// An address of this machine that nobody listens on.
pub fn free_addr() -> anyhow::Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

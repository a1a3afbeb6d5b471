//! Postgres, with all its processes.

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use anyhow::Context as _;
use holdfast::{dev::Postgres, ledger::Ledger};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls, config::Host};

use crate::{
    process::{children, guarded, limit_file_size, until},
    proxy::{Proxy, Target},
};

const DATABASE: &str = "holdfast_chaos";
/// Recovery included, while the machine is busy.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// A private Postgres. Whoever breaks it has it to himself meanwhile.
pub struct PostgresStore {
    /// One a server.
    pub links: Vec<Proxy>,
    home: PathBuf,
    url: String,
    running: Mutex<Running>,
}

struct Running {
    server: Postgres,
    postmaster: Pid,
}

impl Running {
    async fn start(home: &Path) -> anyhow::Result<Self> {
        let server = Postgres::start(home).await?;
        let postmaster = guarded(server.pid()).await?;
        Ok(Self { server, postmaster })
    }

    /// The postmaster first: it makes no more of them.
    fn signal(&self, signal: Signal) {
        let workers = children(self.postmaster);
        let _ = kill(self.postmaster, signal);
        // Those made meanwhile, too.
        for pid in workers.into_iter().chain(children(self.postmaster)) {
            let _ = kill(pid, signal);
        }
    }

    fn has_ended(&self) -> bool {
        kill(self.postmaster, None).is_err()
    }
}

impl PostgresStore {
    pub async fn start(home: &Path) -> anyhow::Result<Self> {
        let running = Running::start(home).await?;
        running.server.create_database(DATABASE).await?;
        let url = running.server.url(DATABASE);
        Ledger::migrate(&SecretString::from(url.clone())).await?;
        let socket = socket(&url)?;
        let links = vec![
            Proxy::start(Target::Socket(socket.clone())).await?,
            Proxy::start(Target::Socket(socket)).await?,
        ];
        Ok(Self { links, home: home.to_owned(), url, running: Mutex::new(running) })
    }

    /// How a server reaches it, through its link.
    pub fn url(&self, server: usize) -> String {
        format!("postgresql://holdfast@127.0.0.1:{}/{DATABASE}", self.links[server].port)
    }

    /// How `holdfast audit` and we reach it, beside the links.
    pub fn direct_url(&self) -> &str {
        &self.url
    }

    pub async fn connect(&self) -> anyhow::Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Ends all its processes without a word.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        running.signal(Signal::SIGKILL);
        running.server.ended().await?;
        Ok(())
    }

    /// Starts it, where it does not run, and waits until it answers.
    pub async fn ensure(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if running.has_ended() {
            // One that was killed may hold its files for a moment.
            let start = async || Running::start(&self.home).await.ok();
            *running = until("Postgres starts", START_PATIENCE, start).await?;
        }
        Ok(())
    }

    pub async fn signal(&self, signal: Signal) {
        self.running.lock().await.signal(signal);
    }

    /// Lets no file of it grow any more, or grow again.
    pub async fn fill_disk(&self, full: bool) -> anyhow::Result<()> {
        let running = self.running.lock().await;
        let all = [running.postmaster].into_iter().chain(children(running.postmaster));
        for pid in all {
            // It may have ended meanwhile.
            let _ = limit_file_size(pid, full.then_some(8_192)).await;
        }
        Ok(())
    }

    pub async fn stop(&self) {
        self.running.lock().await.server.stop().await;
    }
}

/// The socket behind a URL.
fn socket(url: &str) -> anyhow::Result<PathBuf> {
    let config = Config::from_str(url)?;
    match config.get_hosts().first() {
        Some(Host::Unix(dir)) => Ok(dir.join(".s.PGSQL.5432")),
        _ => None.context("Postgres is not on a socket"),
    }
}

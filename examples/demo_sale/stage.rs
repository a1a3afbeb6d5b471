//! What the demo plays on: stores of its own, two servers, and VNPAY's side.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use holdfast::{
    dev::{Postgres, Redis},
    ledger::Ledger,
    proto::{
        self, catalog_service_client::CatalogServiceClient,
        checkout_service_client::CheckoutServiceClient,
        order_event_service_client::OrderEventServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
};
use secrecy::SecretString;
use tokio::sync::{Mutex, RwLock};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::{
    events::Events,
    letters::{Letter, Letters, MailServer},
    process::{Process, free_ports, until},
    till::{self, Till},
    watch::Watch,
};

const START: Duration = Duration::from_secs(60);
/// Longer than any call takes where servers and stores are there.
const CALL: Duration = Duration::from_secs(15);
/// How long a call is tried again where a server is not.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub servers: [Server; 2],
    pub till: Till,
    pub http: reqwest::Client,
    pub postgres: tokio_postgres::Client,
    pub events: Events,
    mail: MailServer,
    letters: std::sync::Mutex<Letters>,
    /// Whoever changes what VNPAY's side does to all has it alone.
    pub alone: RwLock<()>,
    postgres_url: String,
    redis_url: String,
    // In the order in which they must go.
    simulator: Mutex<Process>,
    postgres_process: Mutex<Postgres>,
    redis_process: Mutex<Redis>,
    dir: tempfile::TempDir,
}

/// One of the servers. Its ports stay the same however often it is started.
pub struct Server {
    settings: Vec<String>,
    log: PathBuf,
    http: String,
    process: Mutex<Option<Process>>,
    pub reservations: ReservationServiceClient<Channel>,
    pub streams: ReservationServiceClient<Channel>,
    pub catalog: CatalogServiceClient<Channel>,
    pub checkout: CheckoutServiceClient<Channel>,
    events: OrderEventServiceClient<Channel>,
}

impl Stage {
    pub async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("holdfast-demo-").tempdir()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let redis = Redis::start(dir.path()).await?;
        let postgres = Postgres::start(dir.path()).await?;
        postgres.create_database("holdfast").await?;
        let (postgres_url, redis_url) = (postgres.url("holdfast"), redis.url());
        Ledger::migrate(&SecretString::from(postgres_url.clone())).await?;
        let (client, connection) =
            tokio_postgres::connect(&postgres_url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);

        let [till_port, grpc1, http1, grpc2, http2] = free_ports()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(CALL)
            .build()?;
        let till = Till::new(format!("http://127.0.0.1:{till_port}"), http.clone());
        let log = dir.path().join("log");
        let mail = MailServer::start().await;
        let stores = [
            format!("HOLDFAST_SMTP_URL={}", mail.url()),
            "HOLDFAST_MAIL_FROM=The House <tickets@house.example>".to_owned(),
            format!("HOLDFAST_POSTGRES_URL={postgres_url}"),
            format!("HOLDFAST_REDIS_URL={redis_url}"),
        ];
        let server = |name, grpc, http| {
            let mut settings = till.settings();
            settings.extend(stores.clone());
            settings.push(format!("HOLDFAST_GRPC_ADDR=127.0.0.1:{grpc}"));
            settings.push(format!("HOLDFAST_HTTP_ADDR=127.0.0.1:{http}"));
            Server::new(name, settings, &log, (grpc, http))
        };
        let servers = [server("server-1", grpc1, http1)?, server("server-2", grpc2, http2)?];
        let callbacks: Vec<String> =
            servers.iter().map(|server| server.at(till::CALLBACK)).collect();
        let simulator = till.start(&callbacks, &log.join("vnpay.log")).await?;
        for server in &servers {
            server.start(&http).await?;
        }
        let events = Events::follow(servers.each_ref().map(|server| server.events.clone()));
        Ok(Self {
            servers,
            till,
            http,
            postgres: client,
            events,
            mail,
            letters: std::sync::Mutex::default(),
            alone: RwLock::default(),
            postgres_url,
            redis_url,
            simulator: Mutex::new(simulator),
            postgres_process: Mutex::new(postgres),
            redis_process: Mutex::new(redis),
            dir,
        })
    }

    pub async fn stop(&self) {
        for server in &self.servers {
            if let Some(process) = &mut *server.process.lock().await {
                process.stop().await;
            }
        }
        self.simulator.lock().await.stop().await;
        self.postgres_process.lock().await.stop().await;
        self.redis_process.lock().await.stop().await;
    }

    /// E-mail about an order, each once.
    pub fn letters(&self, order_id: Uuid) -> Vec<Letter> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.read(&self.mail);
        letters.of(order_id)
    }

    /// Where the logs are, for as long as the demo runs.
    pub fn logs(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Keeps the logs after the end.
    pub fn keep_logs(&self) -> anyhow::Result<PathBuf> {
        let kept = program("holdfast")?.with_file_name("demo-sale-logs");
        fs::create_dir_all(&kept)?;
        for log in fs::read_dir(self.logs())?.flatten() {
            fs::copy(log.path(), kept.join(log.file_name()))?;
        }
        Ok(kept)
    }

    /// Makes an event on sale, and watches it.
    pub async fn create_event(&self, request: proto::CreateEventRequest) -> anyhow::Result<Watch> {
        let event = request.event.as_ref().context("an event")?.event_id.clone();
        self.call("CreateEvent", async |server| {
            server.catalog.clone().create_event(request.clone()).await
        })
        .await?;
        let clients = self.servers.each_ref().map(|server| server.streams.clone());
        Watch::start(clients, event).await
    }

    /// A call of the contract, at any server, as it is meant to be made: with the same
    /// ids again, where a server is away or does not know the outcome.
    pub async fn call<T>(
        &self,
        what: &str,
        call: impl AsyncFn(&Server) -> Result<tonic::Response<T>, Status>,
    ) -> anyhow::Result<T> {
        let first = fastrand::usize(..2);
        let tries = std::cell::Cell::new(first);
        let answer = until(what, PATIENCE, async || {
            let server = &self.servers[tries.replace(tries.get() + 1) % 2];
            match call(server).await {
                Err(status) if is_worth_it(&status) => None,
                result => Some(result),
            }
        });
        match answer.await? {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(anyhow::Error::new(status).context(what.to_owned())),
        }
    }

    /// Compares the stores and both servers' streams; answers what differs.
    pub async fn audit(&self) -> anyhow::Result<String> {
        let output = tokio::process::Command::new(program("holdfast")?)
            .arg("audit")
            .args(["--postgres-url", &self.postgres_url, "--redis-url", &self.redis_url])
            .args(self.servers.iter().flat_map(|server| {
                let url = format!("http://{}", server.setting("HOLDFAST_GRPC_ADDR"));
                ["--server".to_owned(), url]
            }))
            .kill_on_drop(true)
            .output()
            .await?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let trouble = String::from_utf8_lossy(&output.stderr);
        Ok(match output.status.success() {
            true => String::new(),
            false => format!("{told}{trouble}"),
        })
    }
}

impl Server {
    fn new(
        name: &'static str,
        settings: Vec<String>,
        logs: &Path,
        (grpc, http): (u16, u16),
    ) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{grpc}"))?;
        let channel = endpoint.timeout(CALL).connect_lazy();
        // Streams have no end.
        let endless = Endpoint::from_shared(format!("http://127.0.0.1:{grpc}"))?.connect_lazy();
        Ok(Self {
            settings,
            log: logs.join(format!("{name}.log")),
            http: format!("http://127.0.0.1:{http}"),
            process: Mutex::new(None),
            reservations: ReservationServiceClient::new(channel.clone()),
            streams: ReservationServiceClient::new(endless.clone()),
            events: OrderEventServiceClient::new(endless),
            catalog: CatalogServiceClient::new(channel.clone()),
            checkout: CheckoutServiceClient::new(channel),
        })
    }

    /// An address of its HTTP port.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.http)
    }

    fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find_map(|set| set.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default()
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(&self, http: &reqwest::Client) -> anyhow::Result<()> {
        let program = program("holdfast")?.display().to_string();
        let process = Process::start(&self.settings, &[&program, "serve"], &self.log)?;
        *self.process.lock().await = Some(process);
        let ask = async || {
            let answer = http.get(self.at("/readyz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        };
        until("a server is ready", START, ask)
            .await
            .with_context(|| format!("see {}", self.log.display()))
    }

    /// How long a job of this server's has been at work, all its runs together.
    pub async fn busy_s(&self, http: &reqwest::Client, job: &str) -> anyhow::Result<f64> {
        let metrics = http.get(self.at("/metrics")).send().await?.text().await?;
        let name = format!("holdfast_job_run_seconds_sum{{job=\"{job}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        Ok(value.with_context(|| format!("no metric of {job}"))?.parse()?)
    }

    /// kill -9.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let mut process = self.process.lock().await.take();
        process.as_mut().context("the server does not run")?.kill().await
    }
}

/// Whether the contract says to call again: the server is away, overloaded, or does
/// not know.
fn is_worth_it(status: &Status) -> bool {
    use std::error::Error as _;
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => true,
        // The connection broke: nobody answered.
        Code::Unknown | Code::Internal => status.source().is_some(),
        _ => false,
    }
}

/// Where cargo builds the program and the examples, this one among them.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let this = env::current_exe()?;
    let built = this.parent().and_then(Path::parent).context("no directory of programs")?;
    let path = built.join(name);
    ensure!(path.exists(), "{} is not built: use `make demo-sale`", path.display());
    Ok(path)
}

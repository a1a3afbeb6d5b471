//! The only place that wires: stores, rooms, jobs and doors, in the order in
//! which they start; they stop in the other.

mod entrance;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    config::{self, Doors, Mail, Stores},
    feed::Feeds,
    flow::{Couriers, Flows, Rooms},
    grpc::{self, Draining, Serving},
    health::{Health, Report},
    holds::Holds,
    http::{self, GrpcUrl},
    jobs::Jobs,
    ledger::{self, Ledger},
    limits::{DRAIN_TIMEOUT, HEALTH_PERIOD, METRICS_FOLD_PERIOD},
    mail::{self, Mailer},
    payments::{Providers, VnpaySettings},
    presence::Presence,
    queue::{Key, Queue},
    redis::Links,
    telemetry,
    tls::{Door, Entrance},
    webhooks::Caller,
};

/// A server that runs.
pub struct App {
    /// Where it listens; the ports are those that were taken.
    pub grpc_addr: SocketAddr,
    pub http_addr: SocketAddr,
    ledger: Arc<Ledger>,
    flows: Arc<Flows>,
    feeds: Arc<Feeds>,
    jobs: Jobs,
    health: Arc<Health>,
    draining: Draining,
    stop: CancellationToken,
    grpc: JoinHandle<()>,
    http: JoinHandle<()>,
}

impl App {
    /// Starts a server. It serves as soon as its stores do; until then, and
    /// whenever one is away, its health says so.
    ///
    /// # Errors
    /// Where a setting cannot be used, an address is taken, or the database
    /// has another schema.
    pub async fn start(doors: &Doors, stores: &Stores) -> anyhow::Result<Self> {
        Self::start_with(doors, stores, None).await
    }

    /// The same, where the page's viewers may start a sale to watch.
    pub async fn start_with(
        doors: &Doors,
        stores: &Stores,
        rush: Option<Arc<dyn http::Rush>>,
    ) -> anyhow::Result<Self> {
        telemetry::metrics();
        let (access, locks) = entrance::of(doors)?;
        let providers = Arc::new(providers(doors)?);
        tracing::info!(by = ?providers.names().collect::<Vec<_>>(), "orders can be paid");
        // 1. The stores.
        let links = Arc::new(Links::new(stores.redis_url.expose_secret())?);
        let holds = Arc::new(Holds::on(links.clone(), stores.holds_per_call));
        let (url, pool_size) = (stores.postgres_url.clone(), stores.postgres_pool.into());
        let ledger = Ledger::new(&ledger::Settings { url, pool_size })?;
        check_schema(&ledger).await?;
        // 2. The rooms behind the doors.
        let feeds = Arc::new(Feeds::new(holds.clone()));
        let ledger = Arc::new(ledger);
        let couriers = Couriers::new(mailer(&doors.mail)?, Caller::new()?);
        let flows = Flows::new(Rooms {
            holds,
            ledger: ledger.clone(),
            feeds: feeds.clone(),
            cache: Cache::new(Arc::new(Links::new(stores.redis_url.expose_secret())?)),
            presence: Presence::new(links.clone(), stores.presence_ttl_seconds),
            queue: Queue::new(links, queue_key(&doors.queue)?),
            providers: providers.clone(),
            couriers,
            encoders: grpc::ENCODERS,
        });
        let health = Arc::new(Health::default());
        let jobs = Jobs::start(&flows, health.clone());
        // 3. The doors, once what they lead to is there.
        let (draining, stop) = (Draining::default(), CancellationToken::new());
        let serving = Serving::new().await;
        let (grpc_listener, grpc_addr) = listen(doors.grpc_addr, "HOLDFAST_GRPC_ADDR").await?;
        let (http_listener, http_addr) = listen(doors.http_addr, "HOLDFAST_HTTP_ADDR").await?;
        keep_watch(&flows, &health, &serving, &draining, &stop);
        let (door_flows, until) = (flows.clone(), draining.clone());
        let reflects = doors.access.reflection;
        let (callers, limits) = (access.clone(), doors.limits.clone());
        let entrance = Entrance { door: Door::Grpc, locks: locks.clone() };
        let grpc = tokio::spawn(async move {
            let door = grpc::Rules { entrance, access: callers, limits, reflects };
            grpc::serve(grpc_listener, door, door_flows, &serving, until).await;
        });
        let page = http::Page { grpc: grpc_url(doors, grpc_addr), rush };
        let (seen, asked) = (health.clone(), flows.clone());
        let side = http::Side { access, health: seen, flows: asked, providers, page };
        let entrance = Entrance { door: Door::Http, locks };
        let http =
            tokio::spawn(http::serve(http_listener, entrance, side, &doors.limits, stop.clone()));
        Ok(Self {
            grpc_addr,
            http_addr,
            ledger,
            flows,
            feeds,
            jobs,
            health,
            draining,
            stop,
            grpc,
            http,
        })
    }

    /// Waits until the server is ready.
    pub async fn ready(&self) {
        let mut report = self.health.watch();
        // The sender lives as long as we do.
        let _ = report.wait_for(Report::is_ready).await;
    }

    /// Stops: says so, lets calls in flight finish, then ends the rest.
    pub async fn stop(self) {
        // 1. Clients go elsewhere; streams end with a hint to resume there.
        self.draining.ask();
        self.draining.begun().await;
        self.draining.close();
        // 2. Calls in flight finish, and every mutation that was begun.
        let drained = timeout(DRAIN_TIMEOUT, async {
            let _ = self.grpc.await;
            self.flows.settle().await;
        });
        if drained.await.is_err() {
            tracing::warn!("calls or idle connections were left after {DRAIN_TIMEOUT:?}");
        }
        // 3. What works behind the doors.
        let ended = timeout(DRAIN_TIMEOUT / 3, async {
            self.flows.leave_all().await;
            self.jobs.stop().await;
            if let Err(error) = self.flows.mark_finished().await {
                tracing::info!(%error, "outbox rows are left to be done again");
            }
            if let Err(error) = self.flows.give_up_waiting_lists().await {
                tracing::info!(%error, "another server makes offers a little later");
            }
            self.feeds.stop().await;
            self.stop.cancel();
            let _ = self.http.await;
        });
        if ended.await.is_err() {
            tracing::warn!("jobs, or connections of probes, were left");
        }
        self.flows.end_deliveries(DRAIN_TIMEOUT / 3).await;
        // 4. The stores.
        self.ledger.close();
    }
}

/// The use cases on stores that are there, for a command that serves nobody.
///
/// # Errors
/// Where a setting cannot be used, or the database is out of reach or has another
/// schema.
pub async fn connect(stores: &Stores) -> anyhow::Result<Arc<Flows>> {
    let links = Arc::new(Links::new(stores.redis_url.expose_secret())?);
    let holds = Arc::new(Holds::on(links.clone(), stores.holds_per_call));
    let (url, pool_size) = (stores.postgres_url.clone(), stores.postgres_pool.into());
    let ledger = Ledger::new(&ledger::Settings { url, pool_size })?;
    ledger.check_schema().await?;
    let feeds = Arc::new(Feeds::new(holds.clone()));
    let providers = Arc::new(Providers::new(None)?);
    let couriers = Couriers::new(None, Caller::new()?);
    Ok(Flows::new(Rooms {
        holds,
        ledger: Arc::new(ledger),
        feeds,
        cache: Cache::new(Arc::new(Links::new(stores.redis_url.expose_secret())?)),
        presence: Presence::new(links.clone(), stores.presence_ttl_seconds),
        queue: Queue::new(links, None),
        providers,
        couriers,
        encoders: grpc::ENCODERS,
    }))
}

/// Neither store needs to be there yet; but a wrong schema never mends itself.
async fn check_schema(ledger: &Ledger) -> anyhow::Result<()> {
    match ledger.check_schema().await {
        Err(error @ ledger::Error::Schema(_)) => return Err(error.into()),
        Err(error) => tracing::warn!(%error, "Postgres is not there yet"),
        Ok(()) => {}
    }
    Ok(())
}

/// Through whom orders can be paid.
///
/// # Errors
/// Where a setting cannot be used.
pub fn providers(doors: &Doors) -> anyhow::Result<Providers> {
    let set = &doors.payments;
    let secret = set.vnpay_secret().context("HOLDFAST_VNPAY_HASH_SECRET_FILE")?;
    let vnpay = match (&set.vnpay_tmn_code, secret) {
        (None, _) => None,
        (Some(_), None) => anyhow::bail!("HOLDFAST_VNPAY_TMN_CODE needs a secret beside it"),
        (Some(tmn_code), Some(hash_secret)) => Some(VnpaySettings {
            tmn_code: tmn_code.clone(),
            hash_secret,
            pay_url: set.vnpay_pay_url.clone(),
            api_url: set.vnpay_api_url.clone(),
            public_url: match &set.public_url {
                Some(url) => url.clone(),
                None => format!("http://{}", doors.http_addr),
            },
        }),
    };
    Ok(Providers::new(vnpay.as_ref())?)
}

/// What waiting rooms sign with, where a setting says it.
fn queue_key(set: &config::Queue) -> anyhow::Result<Option<Key>> {
    let secret = set.key().context("HOLDFAST_QUEUE_KEY_FILE")?;
    let key = secret.map(|text| Key::new(text.expose_secret().as_bytes().to_vec()));
    key.transpose().context("HOLDFAST_QUEUE_KEY")
}

/// The way to the mail server, where there is one.
fn mailer(mail: &Mail) -> anyhow::Result<Option<Mailer>> {
    let (Some(url), Some(from)) = (&mail.smtp_url, &mail.mail_from) else {
        tracing::info!("no mail is sent: HOLDFAST_SMTP_URL is not given");
        return Ok(None);
    };
    let (url, from) = (url.clone(), from.clone());
    let settings = mail::Settings { url, from, utc_offset: mail.mail_utc_offset };
    Ok(Some(Mailer::new(&settings)?))
}

/// A listener, and where it is.
async fn listen(addr: SocketAddr, setting: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr}; choose another by {setting}"))?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Where browsers find the gRPC port.
fn grpc_url(doors: &Doors, grpc_addr: SocketAddr) -> GrpcUrl {
    match &doors.page.public_grpc_url {
        Some(url) => GrpcUrl::Public(url.clone()),
        None => {
            let scheme = if doors.access.tls_cert_file.is_some() { "https" } else { "http" };
            GrpcUrl::Beside { scheme, port: grpc_addr.port() }
        }
    }
}

/// What goes on beside the doors.
fn keep_watch(
    flows: &Arc<Flows>,
    health: &Arc<Health>,
    serving: &Serving,
    draining: &Draining,
    stop: &CancellationToken,
) {
    tokio::spawn(fold_metrics(flows.clone(), stop.clone()));
    tokio::spawn(watch_stores(flows.clone(), health.clone(), stop.clone()));
    tokio::spawn(flows.clone().tell_at_once(stop.clone()));
    tokio::spawn(tell_health(health.clone(), serving.clone(), stop.clone()));
    tokio::spawn(drain(draining.clone(), health.clone(), serving.clone()));
}

/// Once somebody wants this server to go, says so, and then sends away who is here.
async fn drain(draining: Draining, health: Arc<Health>, serving: Serving) {
    draining.asked().await;
    health.update(|report| report.draining = true);
    serving.leave().await;
    draining.begin();
}

/// What is measured is kept one by one until somebody asks for it, or this folds
/// it into its buckets.
async fn fold_metrics(flows: Arc<Flows>, stop: CancellationToken) {
    let mut fold = interval(METRICS_FOLD_PERIOD);
    while stop.run_until_cancelled(fold.tick()).await.is_some() {
        flows.measure();
        telemetry::metrics().run_upkeep();
    }
}

/// Probes the stores again and again.
async fn watch_stores(flows: Arc<Flows>, health: Arc<Health>, stop: CancellationToken) {
    let mut look = interval(HEALTH_PERIOD);
    while stop.run_until_cancelled(look.tick()).await.is_some() {
        let (redis, postgres) = flows.probe().await;
        telemetry::store_up("redis", redis.is_ok());
        telemetry::store_up("postgres", postgres.is_ok());
        health.update(|report| (report.redis, report.postgres) = (redis, postgres));
    }
}

/// Tells the health service, and the log, what the report says.
async fn tell_health(health: Arc<Health>, serving: Serving, stop: CancellationToken) {
    let mut watch = health.watch();
    while let Some(Ok(())) = stop.run_until_cancelled(watch.changed()).await {
        let report = watch.borrow_and_update().clone();
        serving.set(report.is_ready()).await;
        match report {
            _ if report.is_ready() => tracing::info!("ready"),
            Report { draining: true, .. } => tracing::info!("draining"),
            Report { redis, postgres, .. } => {
                tracing::warn!(?redis, ?postgres, "not ready");
            }
        }
    }
}

/// Takes SIGINT and SIGTERM over from now on; the future ends with the first.
///
/// # Errors
/// Where the signals cannot be waited for.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

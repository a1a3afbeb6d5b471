//! A first benchmark: Hold and Confirm through gRPC, each beside what its store
//! does without us, all in one run.
//!
//! Contenders take turns within each round, so that a machine that drifts
//! drifts for all of them; what counts is the ratio within a round. Servers and
//! stores are this run's own, on sockets and free ports, and end with it.

use std::{
    fs,
    future::Future,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;
use holdfast::{
    dev::{Postgres, Redis, house},
    domain::{Epoch, EventId, HoldId, HolderId, SeatIndex},
    holds::{HoldArgs, HoldReply, Holds, Reply},
    ledger::{CONFIRM, Ledger},
    proto::{
        ConfirmRequest, CreateEventRequest, HoldRequest,
        catalog_service_client::CatalogServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
};
use secrecy::SecretString;
use tokio::time::Instant;
use tonic::transport::Channel;
use uuid::Uuid;

const ROUNDS: usize = 5;
/// Holds of one contender in one round, one seat each.
const HOLDS: usize = 20_000;
const HOLDS_IN_FLIGHT: usize = 512;
const CONFIRMS: usize = 4_000;
const CONFIRMS_IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 8;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let bench = Bench::start().await?;
    println!("{} cores; {ROUNDS} rounds; each figure in calls a second", cores());
    println!("redis: {}\npostgres: {}\n", bench.redis, bench.postgres);
    println!("{:>6} {:>12} {:>12} {:>12} {:>12}", "round", "EVALSHA", "Hold", "pgbench", "Confirm");
    let (mut holds, mut confirms) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let evalsha = bench.evalsha(round).await?;
        let hold = bench.hold(round).await?;
        let pgbench = bench.pgbench(round).await?;
        let confirm = bench.confirm(round).await?;
        println!("{round:>6} {evalsha:>12.0} {hold:>12.0} {pgbench:>12.0} {confirm:>12.0}");
        holds.push(hold / evalsha);
        confirms.push(confirm / pgbench);
    }
    println!();
    report("hold, hot event, 512 in flight / raw EVALSHA of the same script", holds);
    report("confirm, 64 in flight / pgbench, 64 clients, the same statement", confirms);
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// One line for machines: the median of the rounds, and their range.
fn report(name: &str, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    let (min, median, max) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    let line = serde_json::json!({
        "name": name,
        "ratio": round_to_hundredths(median),
        "min": round_to_hundredths(min),
        "max": round_to_hundredths(max),
    });
    println!("{line}");
}

fn round_to_hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Stores, a server, and ways to both.
struct Bench {
    server: std::process::Child,
    grpc_addr: String,
    channels: Vec<Channel>,
    raw: Arc<Holds>,
    postgres: Postgres,
    redis: Redis,
    dir: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Bench {
    async fn start() -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let redis = Redis::start(dir.path()).await?;
        let postgres = Postgres::start(dir.path()).await?;
        postgres.create_database("holdfast").await?;
        let postgres_url = postgres.url("holdfast");
        Ledger::migrate(&SecretString::from(postgres_url.clone())).await?;
        let grpc_addr = free_addr()?;
        let server = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["serve", "--log", "warn", "--postgres-pool", "64"])
            .args(["--grpc-addr", &grpc_addr, "--http-addr", "127.0.0.1:0"])
            .env("HOLDFAST_POSTGRES_URL", postgres_url)
            .env("HOLDFAST_REDIS_URL", redis.url())
            .stdin(Stdio::null())
            .spawn()?;
        let raw = Arc::new(Holds::new(&SecretString::from(redis.url()))?);
        let channels = Vec::new();
        let mut bench = Self { server, grpc_addr, channels, raw, postgres, redis, dir };
        bench.connect().await?;
        Ok(bench)
    }

    async fn connect(&mut self) -> anyhow::Result<()> {
        let url = format!("http://{}", self.grpc_addr);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.channels.len() < CONNECTIONS {
            match Channel::from_shared(url.clone())?.connect().await {
                Ok(channel) => self.channels.push(channel),
                Err(_) if Instant::now() < deadline => {
                    ensure!(self.server.try_wait()?.is_none(), "the server ended");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn client(&self, worker: usize) -> ReservationServiceClient<Channel> {
        ReservationServiceClient::new(self.channels[worker % CONNECTIONS].clone())
    }

    /// An event of arena size; its seats in the order of their numbers.
    async fn arena(&self, event_id: &str) -> anyhow::Result<Vec<String>> {
        let plan = include_str!("../examples/houses/arena.toml");
        let mut request: CreateEventRequest = house::draw(plan)?;
        request.event.as_mut().context("an event")?.event_id = event_id.into();
        let sections = &request.chart.as_ref().context("a chart")?.sections;
        let rows = sections.iter().flat_map(|section| &section.rows);
        let seats = rows.flat_map(|row| &row.seats).map(|seat| seat.seat_id.clone()).collect();
        CatalogServiceClient::new(self.channels[0].clone()).create_event(request).await?;
        Ok(seats)
    }

    /// The hold script, called by the client library that the server uses.
    async fn evalsha(&self, round: usize) -> anyhow::Result<f64> {
        let event_id = format!("evalsha-{round}");
        self.arena(&event_id).await?;
        let event_id: EventId = event_id.parse()?;
        let epoch = Epoch(1);
        in_flight(HOLDS, HOLDS_IN_FLIGHT, |worker, calls| {
            let (raw, event_id) = (self.raw.clone(), event_id.clone());
            async move {
                let holder: HolderId = format!("holder-{worker}").parse()?;
                for i in calls {
                    let args = HoldArgs {
                        hold_id: HoldId::new_v7(),
                        holder: holder.clone(),
                        fingerprint: "0123456789abcdef".into(),
                        ttl_ms: None,
                        seats: vec![SeatIndex(u32::try_from(i)?)],
                        areas: Vec::new(),
                    };
                    let reply = raw.hold_now(&event_id, epoch, vec![args]).await?;
                    let Reply::Done(replies) = &reply else { bail!("{reply:?}") };
                    ensure!(matches!(replies[..], [HoldReply::Held(_)]), "{reply:?}");
                }
                Ok(())
            }
        })
        .await
    }

    /// The same through gRPC.
    async fn hold(&self, round: usize) -> anyhow::Result<f64> {
        let event_id = format!("hold-{round}");
        let seats = self.arena(&event_id).await?;
        let held = self.hold_all(&event_id, &seats[..HOLDS], HOLDS_IN_FLIGHT).await?;
        Ok(held.rate)
    }

    /// Sales of one seat each, through gRPC, each after its hold.
    async fn confirm(&self, round: usize) -> anyhow::Result<f64> {
        let event_id = format!("confirm-{round}");
        let seats = self.arena(&event_id).await?;
        let held = self.hold_all(&event_id, &seats[..CONFIRMS], CONFIRMS_IN_FLIGHT).await?;
        let hold_ids = &held.hold_ids;
        in_flight(CONFIRMS, CONFIRMS_IN_FLIGHT, |worker, calls| {
            let (mut client, event_id) = (self.client(worker), event_id.clone());
            async move {
                for i in calls {
                    let hold_id = hold_ids[i].clone();
                    let request = ConfirmRequest {
                        event_id: event_id.clone(),
                        payment_reference: hold_id.clone(),
                        hold_id,
                        holder_id: "ann".into(),
                    };
                    client.confirm(request).await?;
                }
                Ok(())
            }
        })
        .await
    }

    async fn hold_all(
        &self,
        event_id: &str,
        seats: &[String],
        workers: usize,
    ) -> anyhow::Result<Held> {
        let hold_ids: Vec<String> = seats.iter().map(|_| Uuid::now_v7().to_string()).collect();
        let ids = &hold_ids;
        let rate = in_flight(seats.len(), workers, |worker, calls| {
            let mut client = self.client(worker);
            async move {
                for i in calls {
                    let request = HoldRequest {
                        event_id: event_id.into(),
                        holder_id: "ann".into(),
                        hold_id: ids[i].clone(),
                        seat_ids: vec![seats[i].clone()],
                        ..HoldRequest::default()
                    };
                    client.hold(request).await?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(Held { rate, hold_ids })
    }

    /// Postgres alone: the very statement that Confirm runs, by pgbench, on an
    /// event of its own.
    async fn pgbench(&self, round: usize) -> anyhow::Result<f64> {
        let event_id = format!("pgbench-{round}");
        self.arena(&event_id).await?;
        let script = self.dir.path().join("confirm.sql");
        fs::write(&script, pgbench_script(&event_id, round))?;
        let script = script.display().to_string();
        let bin = self.postgres.bin().join("pgbench").display().to_string();
        let url = self.postgres.url("holdfast");
        let clients = CONFIRMS_IN_FLIGHT.to_string();
        let each = (CONFIRMS / CONFIRMS_IN_FLIGHT).to_string();
        let output = tokio::process::Command::new(&bin)
            .args(["-n", "-M", "prepared", "-D", "n=0", "-j", "2"])
            .args(["-c", &clients, "-t", &each, "-f", &script, &url])
            .current_dir(Path::new("/"))
            .output()
            .await
            .with_context(|| format!("cannot run {bin}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() && !complaint.contains("ERROR"), "{said}{complaint}");
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let tps = tps.and_then(|rest| rest.split(' ').next()).context(said.clone())?;
        Ok(tps.parse()?)
    }
}

struct Held {
    rate: f64,
    hold_ids: Vec<String>,
}

/// Confirm's statement with pgbench's variables in place of its parameters:
/// each transaction of each client sells another seat of the event.
fn pgbench_script(event_id: &str, round: usize) -> String {
    let uuid = |kind: usize| {
        format!(
            "('0000000{kind}-{round:04}-4000-8000-' || lpad(to_hex(:seat::int), 12, '0'))::uuid"
        )
    };
    let parameters = [
        format!("'{event_id}'"),
        "1".into(),
        uuid(1),
        uuid(2),
        "'ann'".into(),
        "'GBP'".into(),
        "150000000".into(),
        format!("'pgbench-{round}-' || :seat::int::text"),
        format!("ARRAY[{}]", uuid(3)),
        "ARRAY[:seat::int]".into(),
        "ARRAY[NULL]".into(),
        "ARRAY[150000000]".into(),
        "ARRAY[]".into(),
        "ARRAY[]".into(),
        "5.0".into(),
        "'0123456789abcdef'".into(),
        "1800000000000".into(),
        "1800000900000".into(),
        "ARRAY[]".into(),
        "1".into(),
    ];
    let mut statement = CONFIRM.split_once('\n').map_or(CONFIRM, |(_, sql)| sql).to_owned();
    for (i, value) in parameters.iter().enumerate().rev() {
        statement = statement.replace(&format!("${}", i + 1), value);
    }
    format!(
        "\\set n :n + 1\n\\set seat :client_id * {} + :n\n{statement};\n",
        CONFIRMS / CONFIRMS_IN_FLIGHT
    )
}

/// Runs `calls` calls in `workers` tasks; answers how many a second.
async fn in_flight<F: Future<Output = anyhow::Result<()>>>(
    calls: usize,
    workers: usize,
    work: impl Fn(usize, std::iter::StepBy<std::ops::Range<usize>>) -> F,
) -> anyhow::Result<f64> {
    let begun = Instant::now();
    try_join_all((0..workers).map(|worker| work(worker, (worker..calls).step_by(workers)))).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    Ok(calls as f64 / begun.elapsed().as_secs_f64())
}

/// An address of this machine that nobody listens on.
fn free_addr() -> anyhow::Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

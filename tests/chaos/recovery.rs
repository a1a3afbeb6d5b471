//! How long it takes until all is well again, measured without other faults.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use crate::{
    history::{Answer, Items, Operation},
    logbook::key,
    options::Topology,
    process::until,
    recorder::Recording,
    stage::{SERVERS, Stage},
    workload::{Caller, Floor, Show, create},
};

/// What may be needed, at the most.
const SERVER_KILLED: Duration = Duration::from_secs(1);
const POSTGRES_RESTARTED: Duration = Duration::from_secs(3);
const REDIS_FAILED_OVER: Duration = Duration::from_secs(5);
const REBUILT: Duration = Duration::from_secs(2);
/// How long a call of another event may take during a rebuild.
const BESIDE_A_REBUILD: Duration = Duration::from_millis(500);

const BIG: usize = 50_000;
/// Seats of it that are held, half of them sold, before it is lost.
const HELD: usize = 10_000;
const SEATS_PER_HOLD: usize = 10;
/// The longest that the event allows.
const TTL_MS: u64 = 20_000;
const LOTS_PER_CALLER: usize = HELD / SEATS_PER_HOLD / CALLERS as usize;
const CALLERS: u32 = 8;
/// How long one try may take.
const TRY: Duration = Duration::from_millis(400);
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// One measurement.
#[derive(Debug, Clone)]
pub struct Recovery {
    what: String,
    took: Duration,
    allowed: Duration,
}

impl Recovery {
    fn new(what: impl Into<String>, took: Duration, allowed: Duration) -> Self {
        Self { what: what.into(), took, allowed }
    }

    pub fn is_in_time(&self) -> bool {
        self.took <= self.allowed
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (took, allowed) = (self.took.as_millis(), self.allowed.as_millis());
        write!(f, "{:<60} {took:>5} ms {allowed:>5} ms", self.what)
    }
}

/// Measures all that this deployment of Redis is good for.
pub async fn measure(topology: Topology, dir: &Path) -> Result<Vec<Recovery>> {
    let path = dir.join("recovery.jsonl");
    let recording = Recording::begin(&path)?;
    let stage = Stage::set_up(topology).await?;
    let doors = stage.doors.iter().map(|door| door.port).collect();
    let floor = Floor::new(recording.recorder.clone(), doors);
    let show = Arc::new(Show { capacity: 1_000_000, ..Show::new("small".into(), false, 1) });
    create(&floor.doors, &show).await?;
    let callers = Callers { floor, show };
    let measured = match topology {
        Topology::Single => vec![
            server_killed(&stage, &callers).await?,
            postgres_restarted(&stage, &callers).await?,
        ]
        .into_iter()
        .chain(rebuilt(&stage, &callers).await?)
        .collect(),
        Topology::Sentinel | Topology::Cluster => {
            vec![redis_failed_over(&stage, &callers, topology).await?]
        }
    };
    stage.tear_down(false).await?;
    recording.end().await?;
    std::fs::remove_file(path)?;
    Ok(measured)
}

/// Clients that call again, at the other server, until they are served.
struct Callers {
    floor: Arc<Floor>,
    show: Arc<Show>,
}

impl Callers {
    /// One call, however often it has to be made; answers how long that took.
    async fn served(&self, event_id: &str, operation: &Operation) -> Result<Duration> {
        let caller = Caller::new(self.floor.clone(), 1);
        served(&caller, event_id, operation).await
    }

    /// Holds [`HELD`] seats, and sells every second hold's.
    async fn fill(&self, show: &Show) -> Result<()> {
        let mut orders = show.seat_ids[..HELD].chunks(SEATS_PER_HOLD).map(<[_]>::to_vec);
        let lots: Vec<Vec<_>> =
            (0..CALLERS).map(|_| orders.by_ref().take(LOTS_PER_CALLER).collect()).collect();
        let mut all = JoinSet::new();
        for (number, lots) in (0..).zip(lots) {
            let (caller, event_id) =
                (Caller::new(self.floor.clone(), number), show.event_id.clone());
            all.spawn(async move {
                for (i, seat_ids) in lots.into_iter().enumerate() {
                    let hold_id = Uuid::now_v7().to_string();
                    let holder_id = format!("holder-{number}");
                    let hold = Operation::Hold {
                        hold_id: hold_id.clone(),
                        holder_id: holder_id.clone(),
                        items: Items { seat_ids, areas: Vec::new() },
                        ttl_ms: Some(TTL_MS),
                    };
                    served(&caller, &event_id, &hold).await?;
                    if i % 2 == 0 {
                        let payment_reference = format!("pay-{hold_id}");
                        let confirm = Operation::Confirm { hold_id, holder_id, payment_reference };
                        served(&caller, &event_id, &confirm).await?;
                    }
                }
                anyhow::Ok(())
            });
        }
        all.join_all().await.into_iter().collect()
    }

    /// Many calls at the same time, one after the other for `time`; answers how
    /// long the slowest took.
    fn slowest(&self, time: Duration) -> tokio::task::JoinHandle<Result<Duration>> {
        let mut all = JoinSet::new();
        for number in 0..CALLERS {
            let caller = Caller::new(self.floor.clone(), number);
            let show = self.show.clone();
            let end = Instant::now() + time;
            all.spawn(async move {
                let mut slowest = Duration::ZERO;
                while Instant::now() < end {
                    let hold = hold_of_a_unit(&show);
                    slowest = slowest.max(served(&caller, &show.event_id, &hold).await?);
                    sleep(PAUSE).await;
                }
                Ok(slowest)
            });
        }
        tokio::spawn(async move {
            let each: Result<Vec<Duration>> = all.join_all().await.into_iter().collect();
            Ok(each?.into_iter().max().unwrap_or_default())
        })
    }
}

async fn served(caller: &Caller, event_id: &str, operation: &Operation) -> Result<Duration> {
    let begun = Instant::now();
    let mut server = 0;
    while begun.elapsed() < PATIENCE {
        let answer = caller.call(server, event_id, operation, TRY, None).await;
        if matches!(answer, Answer::Hold(_) | Answer::Order(_)) {
            return Ok(begun.elapsed());
        }
        server = (server + 1) % SERVERS;
        sleep(PAUSE).await;
    }
    anyhow::bail!("not served within {PATIENCE:?}: {operation:?}")
}

fn hold_of_a_unit(show: &Show) -> Operation {
    Operation::Hold {
        hold_id: Uuid::now_v7().to_string(),
        holder_id: "holder".into(),
        items: Items { seat_ids: Vec::new(), areas: vec![(show.area_id.clone(), 1)] },
        ttl_ms: Some(10_000),
    }
}

async fn server_killed(stage: &Stage, callers: &Callers) -> Result<Recovery> {
    let slowest = callers.slowest(Duration::from_secs(3));
    sleep(Duration::from_millis(500)).await;
    let mut server = stage.servers[0].lock().await;
    server.kill().await?;
    let slowest = slowest.await??;
    server.start().await?;
    server.ready().await?;
    Ok(Recovery::new("a server is killed: the slowest call with retries", slowest, SERVER_KILLED))
}

async fn postgres_restarted(stage: &Stage, callers: &Callers) -> Result<Recovery> {
    let event_id = &callers.show.event_id;
    let hold = hold_of_a_unit(&callers.show);
    callers.served(event_id, &hold).await?;
    let Operation::Hold { hold_id, holder_id, .. } = hold else { unreachable!("it is a Hold") };
    let payment_reference = format!("pay-{hold_id}");
    let confirm = Operation::Confirm { hold_id, holder_id, payment_reference };
    stage.postgres.kill().await?;
    let restart = async {
        stage.postgres.ensure().await?;
        anyhow::Ok(Instant::now())
    };
    let sale = async {
        callers.served(event_id, &confirm).await?;
        anyhow::Ok(Instant::now())
    };
    let (back, sold) = tokio::try_join!(restart, sale)?;
    let took = sold.saturating_duration_since(back);
    Ok(Recovery::new("Postgres is back: until a Confirm is OK", took, POSTGRES_RESTARTED))
}

/// Redis has forgotten a big event; a small one goes on.
async fn rebuilt(stage: &Stage, callers: &Callers) -> Result<[Recovery; 2]> {
    let big = Show { capacity: 1_000_000, ..Show::new("big".into(), false, BIG) };
    create(&callers.floor.doors, &big).await?;
    callers.fill(&big).await?;
    let mut redis = stage.redis.owner(&big.event_id).await?.connect().await?;
    let slowest = callers.slowest(Duration::from_secs(3));
    let mut forget = redis::cmd("DEL");
    for part in ["meta", "seats", "holds", "due", "areas", "holders", "log"] {
        forget.arg(key(&big.event_id, part));
    }
    forget.exec_async(&mut redis).await?;
    let took = callers.served(&big.event_id, &hold_of_a_unit(&big)).await?;
    let slowest = slowest.await??;
    Ok([
        Recovery::new(
            format!("Redis lost {BIG} seats, {HELD} held or sold: until a Hold is OK"),
            took,
            REBUILT,
        ),
        Recovery::new("meanwhile the slowest call of another event", slowest, BESIDE_A_REBUILD),
    ])
}

async fn redis_failed_over(
    stage: &Stage,
    callers: &Callers,
    topology: Topology,
) -> Result<Recovery> {
    let event_id = &callers.show.event_id;
    callers.served(event_id, &hold_of_a_unit(&callers.show)).await?;
    let old = stage.redis.owner_index(event_id).await?;
    stage.redis.nodes[old].kill().await?;
    let took = callers.served(event_id, &hold_of_a_unit(&callers.show)).await?;
    let is_other = async || {
        let owner = stage.redis.owner_index(event_id).await.ok()?;
        (owner != old).then_some(())
    };
    until("another master", PATIENCE, is_other).await?;
    let what = format!("Redis' master is killed ({}): until a Hold is OK", topology.name());
    Ok(Recovery::new(what, took, REDIS_FAILED_OVER))
}

//! StreamSeatUpdates beside tonic's default, and beside readers who stop reading.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::ensure;
use futures_util::future;
use holdfast::{holds::Holds, limits::FEED_TICK};
use tokio::time::sleep;

use super::{
    changes::{Made, make},
    crowd::{Crowd, Manner, Stalls},
    events,
    options::Scale,
    results::Results,
    stage::{Server, Stage},
    wire::SMALLEST_WINDOW,
};

/// Seats of the house that is watched; each is held once.
pub const HOUSE: usize = 6_000;
pub const CHANGES_PER_SECOND: usize = 500;
/// Between the first change that the crowd hears and the first that counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// What one server's stream costs, and how quick it is.
pub struct Cost {
    pub cpu_us_per_message: f64,
    pub kib_per_subscriber: f64,
    /// Ten where it keeps up: who lags sends fewer, and larger ones.
    pub messages_per_second: f64,
    pub p99_ms: f64,
}

/// Where changes come from: nowhere, for the bare server makes its own.
pub type Source = Option<(Arc<Holds>, Arc<str>)>;

/// Rows `stream_cpu`, `stream_memory`, `stream_p99`. Servers are fresh in each
/// round: memory that a server had once it keeps.
pub async fn run(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    for round in 0..rounds {
        println!("  stream, round {}", round + 1);
        let server = stage.serve(round, &[]).await?;
        let event_id = events::create(&server, "watched", HOUSE).await?;
        let source = Some((Arc::new(stage.raw(round)?), event_id));
        let ours = cost(stage, &server, source, scale).await?;
        tell(results, "StreamSeatUpdates", &ours);
        stage.end(server.pid).await?;

        let bare = stage.serve_bare().await?;
        let default = cost(stage, &bare, None, scale).await?;
        tell(results, "tonic's default", &default);
        stage.end(bare.pid).await?;

        let tick_ms = FEED_TICK.as_secs_f64() * 1_000.0;
        results.ratio("stream_cpu", ours.cpu_us_per_message / default.cpu_us_per_message)?;
        results.ratio("stream_memory", ours.kib_per_subscriber / default.kib_per_subscriber)?;
        results.ratio("stream_p99", ours.p99_ms / tick_ms)?;
    }
    Ok(())
}

fn tell(results: &mut Results, name: &str, cost: &Cost) {
    results.figure(&format!("{name}: CPU a message"), cost.cpu_us_per_message, "us");
    results.figure(&format!("{name}: memory a subscriber"), cost.kib_per_subscriber, "KiB");
    let messages = cost.messages_per_second;
    results.figure(&format!("{name}: messages a subscriber gets in a second"), messages, "");
    if cost.p99_ms > 0.0 {
        let name = format!("{name}: p99 from the newest change of a message to its arrival");
        results.figure(&name, cost.p99_ms, "ms");
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes and messages")]
pub async fn cost(
    stage: &Stage,
    server: &Server,
    source: Source,
    scale: Scale,
) -> anyhow::Result<Cost> {
    let watch = Duration::from_secs(scale.watch_s);
    let idle = watch / 2;
    let made = Made::new(HOUSE);
    let change = |first: usize, span: Duration| {
        let count = CHANGES_PER_SECOND * usize::try_from(span.as_millis()).unwrap_or(0) / 1_000;
        let (source, made) = (source.clone(), made.clone());
        tokio::spawn(async move {
            let Some((holds, event_id)) = source else { return Ok(()) };
            make(holds, event_id, first..first + count, CHANGES_PER_SECOND, made).await
        })
    };
    // 1. What the same changes cost where nobody watches.
    stage.settle().await?;
    let process = stage.process(server.pid)?;
    let before = process.cpu()?;
    let changes = change(0, idle);
    sleep(idle).await;
    let unwatched = (process.cpu()?.saturating_sub(before)).as_secs_f64() / idle.as_secs_f64();
    changes.await??;
    // 2. A crowd comes, and has the whole house.
    let memory = process.memory()?;
    let (subscribers, connections) = (scale.subscribers, scale.connections);
    let window = SMALLEST_WINDOW;
    let manner = Manner { subscribers, connections, stalls: None, comes_back: false, window };
    let mut crowd = Crowd::gather(&server.addr, "watched", manner, made.clone()).await?;
    // 3. It hears of changes.
    let first = HOUSE / 3;
    let changes = change(first, WARM_UP + watch + WARM_UP / 2);
    sleep(WARM_UP).await;
    let before = process.cpu()?;
    crowd.tally.count(true);
    sleep(watch).await;
    crowd.tally.count(false);
    let cpu = (process.cpu()?.saturating_sub(before)).as_secs_f64();
    let memory = process.memory()?.saturating_sub(memory);
    crowd.is_whole()?;
    changes.await??;
    let messages = crowd.tally.messages.load(Relaxed);
    ensure!(messages > 0, "no message came");
    let p99_ms = if source.is_some() { crowd.tally.delay(0.99)? } else { 0.0 };
    crowd.leave().await;
    stage.is_alive()?;
    Ok(Cost {
        cpu_us_per_message: (cpu - unwatched * watch.as_secs_f64()) * 1e6 / messages as f64,
        kib_per_subscriber: memory as f64 / 1_024.0 / subscribers as f64,
        messages_per_second: messages as f64 / subscribers as f64 / watch.as_secs_f64(),
        p99_ms,
    })
}

/// Rows `stream_siblings*`: one reader in ten of each connection stops reading at some
/// moment; the others take up again what they lose. All crowds are there at once, each
/// at an event of its own.
pub async fn siblings(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let server = stage.serve(0, &[]).await?;
    let holds = Arc::new(stage.raw(0)?);
    let span = Duration::from_secs(scale.sibling_s);
    let (subscribers, connections) = (scale.siblings, scale.sibling_connections);
    let stalls = Some(Stalls { one_in: 10, within: span / 2 });
    // Each stream's window, for all streams of a connection.
    let advised = SMALLEST_WINDOW * u32::try_from(subscribers / connections)?;
    for round in 0..rounds {
        println!("  siblings, round {}", round + 1);
        stage.settle().await?;
        let mut crowds = Vec::new();
        for (name, stalls, window) in [
            ("none stalled", None, SMALLEST_WINDOW),
            ("one reader in ten stalled", stalls, SMALLEST_WINDOW),
            ("the same, windows as advised", stalls, advised),
        ] {
            let manner = Manner { subscribers, connections, stalls, comes_back: true, window };
            let event_id = format!("watched-{round}-{}", crowds.len());
            crowds.push((name, Siblings::gather(&server, &event_id, manner, scale).await?));
        }
        let changing = crowds.iter().map(|(_, crowd)| crowd.change(holds.clone()));
        future::try_join_all(changing).await?;
        // What comes late has a while yet.
        sleep(2 * WARM_UP).await;
        let mut shares = Vec::new();
        for (name, mut crowd) in crowds {
            let share = crowd.shares()?;
            let says = format!("changes that reach healthy readers within 1 s, {name}");
            results.figure(&says, share.0 * 100.0, "%");
            shares.push(share);
            crowd.crowd.leave().await;
        }
        stage.is_alive()?;
        results.ratio("stream_siblings", shares[1].0 / shares[0].0)?;
        results.ratio("stream_siblings_late", shares[1].1 / shares[0].1)?;
        results.ratio("stream_siblings_advised", shares[2].0 / shares[0].0)?;
    }
    Ok(())
}

/// A crowd at an event of its own, and the changes that it is to hear of.
struct Siblings {
    crowd: Crowd,
    event_id: Arc<str>,
    made: Arc<Made>,
    count: usize,
}

impl Siblings {
    async fn gather(
        server: &Server,
        event_id: &str,
        manner: Manner,
        scale: Scale,
    ) -> anyhow::Result<Self> {
        let count = CHANGES_PER_SECOND * usize::try_from(scale.sibling_s)?;
        let event_id = events::create(server, event_id, count).await?;
        let made = Made::new(count);
        let crowd = Crowd::gather(&server.addr, &event_id, manner, made.clone()).await?;
        Ok(Self { crowd, event_id, made, count })
    }

    async fn change(&self, holds: Arc<Holds>) -> anyhow::Result<()> {
        self.crowd.tally.count(true);
        let (event_id, made) = (self.event_id.clone(), self.made.clone());
        make(holds, event_id, 0..self.count, CHANGES_PER_SECOND, made).await
    }

    /// How much of what healthy readers were to hear came in time, and at all.
    #[expect(clippy::cast_precision_loss, reason = "counts of changes")]
    fn shares(&mut self) -> anyhow::Result<(f64, f64)> {
        self.crowd.is_whole()?;
        let all = (self.count * self.crowd.healthy) as f64;
        let tally = &self.crowd.tally;
        let of_all = |count: &AtomicU64| count.load(Relaxed) as f64 / all;
        Ok((of_all(&tally.changes_in_time), of_all(&tally.changes)))
    }
}

//! What a Hold, a Confirm and a message cost each process, and how many nodes that
//! takes: `docs/CAPACITY.md`.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use anyhow::ensure;
use holdfast::{
    domain::Epoch,
    holds::{HoldReply, Reply},
    limits::MAX_SUBSCRIBERS,
};
use tokio::time::sleep;

use super::{
    cluster,
    events::{self, area_bodies, confirm_bodies, places, raw_holds},
    hold::{Called, call_of, hold},
    load::{Done, in_flight},
    options::Scale,
    results::short,
    stage::{RAW, Server, Spent, Stage},
    stream::{self, HOUSE},
    wire::{CONFIRM, HOLD},
};

const MANY: usize = 512;
const FEW: usize = 64;
const EVENTS: usize = 100;
/// Calls of the script under way at a time: enough that Redis never waits.
const CALLS: usize = 4;
/// Until each job has seen what was done.
const JOBS_PERIOD: Duration = Duration::from_millis(1_200);
const BATCHES: [usize; 5] = [1, 8, 16, 64, 128];

/// One hot on-sale, at its peak.
const WATCHERS: f64 = 60_000.0;
const HOLDS: f64 = 3_000.0;
const CONFIRMS: f64 = 900.0;
/// Messages a second to each who watches.
const MESSAGES: f64 = 10.0;
/// The share of a core that is planned with.
const SHARE: f64 = 0.6;
const SERVER_CORES: f64 = 8.0;
const POSTGRES_CORES: f64 = 16.0;

/// CPU time, in microseconds.
struct Costs {
    hold: Spent,
    confirm: Spent,
    message: f64,
}

/// Measures, and computes the plan; in Markdown.
pub async fn run(stage: &mut Stage, scale: Scale) -> anyhow::Result<String> {
    let mut text = batches(stage, scale).await?;
    text.push_str(&cluster(stage, scale).await?);
    let costs = costs(stage, scale).await?;
    text.push_str(&costs.markdown());
    text.push_str(&costs.plan());
    println!("{text}");
    Ok(text)
}

/// What one script call that carries so many holds of one event costs Redis.
async fn batches(stage: &Stage, scale: Scale) -> anyhow::Result<String> {
    let raw = Arc::new(stage.raw(RAW)?);
    let mut text = "| holds of one call | CPU of Redis, a Hold, us | Holds/s | a thread's ceiling \
        |\n|---|---|---|---|\n"
        .to_owned();
    for batch in BATCHES {
        let event_id = events::load_raw(&raw, &format!("batch-{batch}"), scale.holds).await?;
        let holds = raw_holds(&places(&[event_id], 0, scale.holds))?;
        let calls = scale.holds / batch;
        let before = stage.redis_spent();
        let raw = raw.clone();
        let done = in_flight(calls, CALLS, move |_, i| -> Called {
            let (raw, holds) = (raw.clone(), holds.clone());
            Box::pin(async move {
                let some = &holds[i * batch..(i + 1) * batch];
                let args = some.iter().map(|hold| hold.args.clone()).collect();
                let reply = raw.hold_now(&some[0].event_id, Epoch(1), args).await?;
                let Reply::Done(replies) = &reply else { anyhow::bail!("{reply:?}") };
                let is_held = |reply: &HoldReply| matches!(reply, HoldReply::Held(_));
                ensure!(replies.iter().all(is_held), "{reply:?}");
                Ok(())
            })
        })
        .await?;
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let (each, rate) = (
            (stage.redis_spent() - before) * 1e6 / (calls * batch) as f64,
            done.rate * batch as f64,
        );
        let (each, rate, most) = (short(each), short(rate), short(1e6 / each));
        let _ = writeln!(text, "| {batch} | {each} | {rate} | {most} |");
    }
    Ok(text + "\n")
}

/// Holds over many events, on one Redis and on three masters.
async fn cluster(stage: &mut Stage, scale: Scale) -> anyhow::Result<String> {
    let one = stage.serve(0, &[]).await?;
    let cluster = cluster::start(stage).await?;
    let three = stage.serve_on("on_cluster", &cluster.url, &[]).await?;
    let mut text = "| Redis | Hold, 100 events, 512 in flight, calls/s | CPU of the server, a \
        Hold, us | CPU of the busiest Redis, us | of all Redis, us |\n|---|---|---|---|---|\n"
        .to_owned();
    for (name, server) in [("one", &one), ("Cluster of three masters", &three)] {
        let all = events::create_many(server, "spread-", EVENTS, 1).await?;
        stage.settle().await?;
        let of_redis = |stage: &Stage| -> anyhow::Result<Vec<f64>> {
            match name {
                "one" => Ok(vec![stage.redis_spent()]),
                _ => {
                    let cpu = |pid: &u32| Ok(stage.process(*pid)?.cpu()?.as_secs_f64());
                    cluster.pids.iter().map(cpu).collect()
                }
            }
        };
        let (before, redis_before) = (stage.spent(server)?, of_redis(stage)?);
        let call = call_of(server, HOLD, area_bodies(&all))?;
        let done = in_flight(scale.holds, MANY, call).await?;
        let spent = stage.spent(server)?.us_for_each(before, scale.holds);
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let each = |(now, before): (f64, f64)| (now - before) * 1e6 / scale.holds as f64;
        let redis: Vec<f64> = of_redis(stage)?.into_iter().zip(redis_before).map(each).collect();
        let busiest = redis.iter().copied().fold(0.0, f64::max);
        let all = redis.iter().sum();
        let figures = [done.rate, spent.server, busiest, all].map(short).join(" | ");
        let _ = writeln!(text, "| {name} | {figures} |");
    }
    stage.end(three.pid).await?;
    for pid in cluster.pids {
        stage.end(pid).await?;
    }
    stage.end(one.pid).await?;
    Ok(text + "\n")
}

/// What calls cost, with all that is done for them afterwards.
async fn costs(stage: &mut Stage, scale: Scale) -> anyhow::Result<Costs> {
    let server = stage.serve(1, &[]).await?;
    let hot = events::create(&server, "hot", scale.holds).await?;
    let hot = places(&[hot], 0, scale.holds);
    let hold = spent_on(stage, &server, scale.holds, hold(&server, &hot, MANY)).await?;
    let sold = &hot[..scale.confirms];
    let call = call_of(&server, CONFIRM, confirm_bodies(sold))?;
    let confirm = in_flight(sold.len(), FEW, call);
    let confirm = spent_on(stage, &server, sold.len(), confirm).await?;
    stage.end(server.pid).await?;

    let server = stage.serve(2, &[]).await?;
    let event_id = events::create(&server, "watched", HOUSE).await?;
    let source = Some((Arc::new(stage.raw(2)?), event_id));
    let stream = stream::cost(stage, &server, source, scale).await?;
    stage.end(server.pid).await?;
    Ok(Costs { hold, confirm, message: stream.cpu_us_per_message })
}

async fn spent_on(
    stage: &Stage,
    server: &Server,
    calls: usize,
    work: impl Future<Output = anyhow::Result<Done>>,
) -> anyhow::Result<Spent> {
    stage.settle().await?;
    let before = stage.spent(server)?;
    work.await?;
    // Jobs begin their part within a second.
    sleep(JOBS_PERIOD).await;
    stage.settle().await?;
    Ok(stage.spent(server)?.us_for_each(before, calls))
}

impl Costs {
    fn markdown(&self) -> String {
        let line = |name: &str, spent: Spent| {
            let figures = [spent.server, spent.redis, spent.postgres].map(short).join(" | ");
            format!("| {name} | {figures} |\n")
        };
        let message = Spent { server: self.message, redis: 0.0, postgres: 0.0 };
        let head = "| CPU, us | server | Redis | Postgres |\n|---|---|---|---|\n";
        let hold = line("a Hold of a hot event, and its journal", self.hold);
        let confirm = line("a Confirm, and what follows it", self.confirm);
        format!("{head}{hold}{confirm}{}\n", line("a message of a stream", message))
    }

    /// What an on-sale takes of each, and the nodes for some at once.
    fn plan(&self) -> String {
        let cores =
            |of: fn(&Spent) -> f64| (HOLDS * of(&self.hold) + CONFIRMS * of(&self.confirm)) / 1e6;
        let server = cores(|spent| spent.server) + WATCHERS * MESSAGES * self.message / 1e6;
        let (redis, postgres) = (cores(|spent| spent.redis), cores(|spent| spent.postgres));
        let mut text = format!(
            "One on-sale takes {} cores of servers, {} of a Redis thread and {} cores of \
             Postgres.\n\n| on-sales at once | server nodes | Redis masters | Postgres primaries \
             |\n|---|---|---|---|\n",
            short(server),
            short(redis),
            short(postgres)
        );
        for count in [1.0, 10.0, 100.0] {
            #[expect(clippy::cast_precision_loss, reason = "some thousands")]
            let for_streams = (count * WATCHERS / MAX_SUBSCRIBERS as f64).ceil();
            let for_cpu = (count * server / SHARE / SERVER_CORES).ceil();
            // One event is one thread's: masters hold whole on-sales.
            let of_a_master = (SHARE / redis).floor().max(1.0);
            let masters = (count / of_a_master).ceil();
            let primaries = (count * postgres / SHARE / POSTGRES_CORES).ceil();
            let servers = for_cpu.max(for_streams) + 1.0;
            let _ = writeln!(text, "| {count} | {servers} | {masters} | {primaries} |");
        }
        text
    }
}

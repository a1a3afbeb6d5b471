//! Larger and larger houses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use holdfast::proto::{GetSeatMapRequest, SnapshotFormat};

use super::{
    super::{
        changes::Made,
        crowd::{Crowd, Manner},
        events::{self, area_bodies, places},
        hold::{call_of, hold},
        load::in_flight,
        options::Scale,
        stage::{Server, Stage},
        wire::{GET_SEAT_MAP, HOLD, SMALLEST_WINDOW, frame},
    },
    audit,
    series::{
        Column, Series,
        Should::{Follow, Hold, Stay},
        column,
    },
};

const COLUMNS: &[Column] = &[
    column("Hold, 512 in flight", "calls/s", Hold),
    column("CPU of server and Redis, a Hold", "us", Stay),
    column("GetSeatMap of a picture that is new", "ms", Follow),
    column("GetSeatMap, packed", "ms", Follow),
    column("100 new subscribers have their snapshot", "ms", Follow),
    column("Redis lost the event, all seats held: first Hold", "ms", Follow),
    column("the longest that Redis stands still for that", "ms", Follow),
    column("the longest that it does for an audit", "ms", Follow),
];

const IN_FLIGHT: usize = 512;
const MAPS: usize = 20;

pub async fn run(stage: &mut Stage, scale: Scale) -> anyhow::Result<Series> {
    let mut series = Series::new("seats", "seats of an event", COLUMNS);
    let server = stage.serve(0, &[]).await?;
    let raw = stage.raw(0)?;
    for seats in [scale.due / 100, scale.due / 5, scale.due * 3 / 5, scale.due] {
        // As many houses as the holds take, each half full.
        let half = seats / 2;
        let name = format!("house-{seats}-");
        let houses = events::create_many(&server, &name, scale.holds.div_ceil(half), seats).await?;
        let all = houses.iter().flat_map(|house| places(std::slice::from_ref(house), 0, half));
        let all: Vec<_> = all.take(scale.holds).collect();
        stage.settle().await?;
        let before = stage.spent(&server)?;
        let done = hold(&server, &all, IN_FLIGHT).await?;
        let spent = stage.spent(&server)?.us_for_each(before, all.len());
        // The first of them is to be full in the end.
        let house = &houses[..1];
        let held = half.min(scale.holds);
        let rest = places(house, held, seats - held);
        let (now, later) = rest.split_at(half - held);
        events::fill(&raw, now, |_| Ok(None)).await?;

        let named = seat_map(&server, house, SnapshotFormat::Named).await?;
        let packed = seat_map(&server, house, SnapshotFormat::Packed).await?;
        let snapshot = snapshot(&server, &house[0]).await?;
        events::fill(&raw, later, |_| Ok(None)).await?;
        stage.settle().await?;
        let (load, still) = longest_script(stage, load(stage, &server, house)).await?;
        let (_, audited) = longest_script(stage, audit(stage, 0)).await?;
        let ms =
            [named, packed, snapshot, load, still, audited].map(|took| took.as_secs_f64() * 1e3);
        series.push(seats, [&[done.rate, spent.server + spent.redis][..], &ms].concat());
    }
    Ok(series)
}

/// Asks for the map again and again, each time after a change; the median.
async fn seat_map(
    server: &Server,
    house: &[Arc<str>],
    format: SnapshotFormat,
) -> anyhow::Result<Duration> {
    let request =
        GetSeatMapRequest { event_id: house[0].to_string(), snapshot_format: format.into() };
    let body: Bytes = frame(&request);
    let (map, change) = (server.wires[0].head(GET_SEAT_MAP)?, server.wires[0].head(HOLD)?);
    let changes = area_bodies(house);
    let mut took = Vec::new();
    for _ in 0..MAPS {
        server.wires[0].call(&change, changes[0].clone()).await?;
        let begun = Instant::now();
        server.wires[0].call(&map, body.clone()).await?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took[MAPS / 2])
}

async fn snapshot(server: &Server, house: &Arc<str>) -> anyhow::Result<Duration> {
    let (subscribers, connections, window) = (100, 4, SMALLEST_WINDOW);
    let manner = Manner { subscribers, connections, stalls: None, comes_back: false, window };
    let begun = Instant::now();
    let crowd = Crowd::gather(&server.addr, house, manner, Made::new(0)).await?;
    let took = begun.elapsed();
    crowd.leave().await;
    Ok(took)
}

/// Takes the event from Redis; answers how long the next Hold takes, for which it
/// is built anew.
async fn load(stage: &Stage, server: &Server, house: &[Arc<str>]) -> anyhow::Result<Duration> {
    let mut redis = stage.redis_connection(0).await?;
    let meta = format!("hf:{{{}}}:meta", house[0]);
    let () = redis::cmd("DEL").arg(meta).query_async(&mut redis).await?;
    let begun = Instant::now();
    in_flight(1, 1, call_of(server, HOLD, area_bodies(house))?).await?;
    Ok(begun.elapsed())
}

/// The longest script while this is done.
async fn longest_script<T>(
    stage: &Stage,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Duration)> {
    let mut redis = stage.redis_connection(0).await?;
    let set = ["SET", "slowlog-log-slower-than", "1000"];
    let () = redis::cmd("CONFIG").arg(&set).query_async(&mut redis).await?;
    let () = redis::cmd("SLOWLOG").arg("RESET").query_async(&mut redis).await?;
    let done = work.await?;
    let slow: Vec<Vec<redis::Value>> =
        redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(&mut redis).await?;
    // Each has its number, its time, and how many microseconds it took.
    let took = slow.iter().filter_map(|entry| match entry.get(2) {
        Some(redis::Value::Int(us)) => u64::try_from(*us).ok(),
        _ => None,
    });
    Ok((done, Duration::from_micros(took.max().unwrap_or(0))))
}

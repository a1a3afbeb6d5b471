//! Hold beside raw EVALSHA of its script, a bare echo of its messages, and
//! itself without coalescing.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use holdfast::{holds::Holds, proto::reservation_service_client::ReservationServiceClient};
use tokio_util::sync::CancellationToken;

use super::{
    events::{self, Place, RawHold, hold_bodies, hold_raw, hold_request, places, raw_holds},
    load::{Done, Latencies, Pace, in_flight, paced},
    options::Scale,
    redis_benchmark,
    results::Results,
    stage::{RAW, Server, Stage},
    wire::{CONNECTIONS, HOLD},
};

const MANY: usize = 512;
const FEW: usize = 64;
const EVENTS: usize = 100;
const RATE: &str = "calls/s";

/// Rows `hold_*`.
pub async fn run(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let server = stage.serve(0, &[]).await?;
    let bare = stage.serve_bare().await?;
    let raw = Arc::new(stage.raw(RAW)?);
    let seats = rounds as usize * scale.holds.div_ceil(EVENTS);
    let hundred = events::create_many(&server, "of-100-", EVENTS, seats).await?;
    for event_id in &hundred {
        events::load_raw(&raw, event_id, seats).await?;
    }
    for round in 0..rounds as usize {
        println!("  hold, round {}", round + 1);
        let hot = events::create(&server, &format!("hot-{round}"), scale.holds).await?;
        events::load_raw(&raw, &hot, scale.holds).await?;
        let hot = places(&[hot], 0, scale.holds);
        let first = round * scale.holds.div_ceil(EVENTS);
        let spread = places(&hundred, first, scale.holds);

        stage.settle().await?;
        let evalsha = evalsha(&raw, &hot, MANY).await?.rate;
        results.figure("raw EVALSHA, one hot event, 512 in flight", evalsha, RATE);
        stage.settle().await?;
        let held = hold(&server, &hot, MANY).await?.rate;
        results.figure("Hold, one hot event, 512 in flight", held, RATE);
        stage.settle().await?;
        let echoed = hold(&bare, &hot, MANY).await?.rate;
        results.figure("tonic echo of the same messages, 512 in flight", echoed, RATE);
        let again = events::create(&server, &format!("again-{round}"), scale.holds).await?;
        let again = places(&[again], 0, scale.holds);
        stage.settle().await?;
        let held_by_tonic = hold_by_tonic(&server, &again, MANY).await?;
        results.figure(
            "Hold, one hot event, 512 in flight, by tonic's client",
            held_by_tonic,
            RATE,
        );
        stage.settle().await?;
        let echoed_by_tonic = hold_by_tonic(&bare, &again, MANY).await?;
        results.figure("tonic echo, 512 in flight, by tonic's client", echoed_by_tonic, RATE);
        stage.settle().await?;
        let evalsha_100 = self::evalsha(&raw, &spread, MANY).await?.rate;
        results.figure("raw EVALSHA, 100 events, 512 in flight", evalsha_100, RATE);
        stage.settle().await?;
        let held_100 = hold(&server, &spread, MANY).await?.rate;
        results.figure("Hold, 100 events, 512 in flight", held_100, RATE);
        stage.settle().await?;
        redis_benchmark::run(stage, &raw, scale, results).await?;

        results.ratio("hold_hot_to_evalsha", held / evalsha)?;
        results.ratio("hold_hot_to_echo", held / echoed)?;
        results.ratio("hold_by_tonic_to_echo", held_by_tonic / echoed_by_tonic)?;
        results.ratio("hold_100_to_evalsha", held_100 / evalsha_100)?;
    }
    Ok(())
}

/// Rows `hold_coalesced_*`: two servers, one of which sends each hold by itself.
pub async fn coalescing(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let contenders = stage.serve_both().await?;
    let each = scale.holds_of_few.div_ceil(EVENTS);
    for (_, server) in &contenders {
        events::create_many(server, "of-100-", EVENTS, rounds as usize * each).await?;
        let seats = rounds as usize * scale.holds_of_few;
        events::create(server, "hot", seats.min(holdfast::limits::MAX_SEATS)).await?;
    }
    let hundred: Vec<Arc<str>> = (0..EVENTS).map(|i| format!("of-100-{i}").into()).collect();
    for round in 0..rounds as usize {
        println!("  coalescing, round {}", round + 1);
        let one = places(&["hot".into()], round * scale.holds_of_few, scale.holds_of_few);
        let spread = places(&hundred, round * each, scale.holds_of_few);
        for (row, events, places) in
            [("hold_coalesced_1", "1 event", one), ("hold_coalesced_100", "100 events", spread)]
        {
            let mut rates = Vec::new();
            for (name, server) in &contenders {
                stage.settle().await?;
                let rate = hold(server, &places, FEW).await?.rate;
                results.figure(&format!("Hold {name}, {events}, 64 in flight"), rate, RATE);
                rates.push(rate);
            }
            results.ratio(row, rates[0] / rates[1])?;
        }
    }
    Ok(())
}

/// Rows `hold_p99_*`: calls at a fixed rate.
pub async fn latency(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let server = stage.serve(0, &[]).await?;
    let raw = Arc::new(stage.raw(RAW)?);
    for round in 0..rounds {
        println!("  latency, round {}", round + 1);
        let hot = events::create(&server, &format!("highest-{round}"), scale.holds).await?;
        stage.settle().await?;
        let highest = hold(&server, &places(&[hot], 0, scale.holds), MANY).await?.rate;
        let rate = highest / 2.0;
        results.figure("the rate of both: half the highest of Hold", rate, RATE);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some ten thousand calls a second"
        )]
        let calls = (rate as usize * scale.paced_s as usize).min(holdfast::limits::MAX_SEATS);
        let event_id = events::create(&server, &format!("paced-{round}"), calls).await?;
        events::load_raw(&raw, &event_id, calls).await?;
        let places = places(&[event_id], 0, calls);

        let pace = || Pace { rate, calls, warm_up: calls / 5 };
        let stop = CancellationToken::new();
        stage.settle().await?;
        let holds = raw_holds(&places)?;
        let call = evalsha_call(&raw, &holds);
        let evalsha = paced(pace(), &stop, move |i| call(0, i)).await?;
        tell(results, "raw EVALSHA at that rate", &evalsha)?;
        stage.settle().await?;
        let call = call_of(&server, HOLD, hold_bodies(&places))?;
        let held = paced(pace(), &stop, move |i| call(i, i)).await?;
        tell(results, "Hold at that rate", &held)?;

        let p99 = held.quantile(0.99)?;
        results.ratio("hold_p99_in_round_trips", p99 / evalsha.quantile(0.5)?)?;
        results.ratio("hold_p99_to_p99", p99 / evalsha.quantile(0.99)?)?;
    }
    Ok(())
}

fn tell(results: &mut Results, name: &str, took: &Latencies) -> anyhow::Result<()> {
    results.figure(&format!("{name}: p50"), took.quantile(0.5)?, "ms");
    results.figure(&format!("{name}: p99"), took.quantile(0.99)?, "ms");
    Ok(())
}

/// Holds these places through gRPC.
pub async fn hold(server: &Server, places: &[Place], workers: usize) -> anyhow::Result<Done> {
    in_flight(places.len(), workers, call_of(server, HOLD, hold_bodies(places))?).await
}

pub type Called = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// As [`hold`], by the client that a service would use.
async fn hold_by_tonic(server: &Server, places: &[Place], workers: usize) -> anyhow::Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let url = format!("http://{}", server.addr);
        clients.push(ReservationServiceClient::connect(url).await?);
    }
    let clients: Arc<[_]> = clients.into();
    let requests: Arc<[_]> = places.iter().map(hold_request).collect();
    let call = move |worker: usize, i: usize| -> Called {
        let (mut client, request) = (clients[worker % clients.len()].clone(), requests[i].clone());
        Box::pin(async move {
            client.hold(request).await?;
            Ok(())
        })
    };
    Ok(in_flight(places.len(), workers, call).await?.rate)
}

/// Calls of a server, by worker and number; after the last body the first comes
/// again.
pub fn call_of(
    server: &Server,
    method: &str,
    bodies: Arc<Vec<Bytes>>,
) -> anyhow::Result<impl Fn(usize, usize) -> Called + Clone + use<>> {
    let head = Arc::new(server.wires[0].head(method)?);
    let wires: Arc<[_]> = server.wires.as_slice().into();
    Ok(move |worker: usize, i: usize| -> Called {
        let (wires, head, bodies) = (wires.clone(), head.clone(), bodies.clone());
        Box::pin(async move {
            let body = bodies[i % bodies.len()].clone();
            wires[worker % wires.len()].call(&head, body).await
        })
    })
}

async fn evalsha(raw: &Arc<Holds>, places: &[Place], workers: usize) -> anyhow::Result<Done> {
    let holds = raw_holds(places)?;
    in_flight(places.len(), workers, evalsha_call(raw, &holds)).await
}

fn evalsha_call(
    raw: &Arc<Holds>,
    holds: &Arc<Vec<RawHold>>,
) -> impl Fn(usize, usize) -> Called + Clone + use<> {
    let (raw, holds) = (raw.clone(), holds.clone());
    move |_, i| {
        let (raw, holds) = (raw.clone(), holds.clone());
        Box::pin(async move { hold_raw(&raw, &holds[i]).await })
    }
}

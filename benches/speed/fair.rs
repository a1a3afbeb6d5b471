//! What an event pays for the crowd at another, and who is alone for coalescing.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    events::{self, area_bodies, places},
    hold::{call_of, hold},
    load::{Latencies, Pace, gather, keep_in_flight, paced},
    options::Scale,
    results::Results,
    stage::{Server, Stage},
    wire::HOLD,
};

/// Events at which little happens. Four connections lead to Redis: some of these
/// share the hot one's, most do not.
const COLD: usize = 8;
const COLD_PER_SECOND: f64 = 400.0;
/// Calls in flight of all others together.
const OTHERS_IN_FLIGHT: usize = 512;
/// Events over which the same crowd is spread, for comparison.
const SPREAD: usize = 100;
/// From when the crowd is there to the first call that counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// Rows `fair_*`.
pub async fn run(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let server = stage.serve(0, &[]).await?;
    let cold = events::create_many(&server, "cold-", COLD, 1).await?;
    let spread = events::create_many(&server, "spread-", SPREAD, 1).await?;
    for round in 0..rounds {
        println!("  fairness, round {}", round + 1);
        let hot = events::create(&server, &format!("hot-{round}"), 1).await?;
        let mut p99s = Vec::new();
        for (name, others) in [
            ("nothing else happens", &[][..]),
            ("512 calls in flight at 100 others", &spread),
            ("512 calls in flight at one other", &[hot]),
        ] {
            stage.settle().await?;
            let cold = cold_beside(&server, &cold, others, scale).await?;
            let p99 = cold.quantile(0.99)?;
            results.figure(&format!("p99 of Hold at cold events, {name}"), p99, "ms");
            p99s.push(p99);
        }
        results.ratio("fair_hot_to_spread", p99s[2] / p99s[1])?;
        results.ratio("fair_hot_to_alone", p99s[2] / p99s[0])?;
    }
    Ok(())
}

/// Holds at cold events, while others are as busy as they can be.
async fn cold_beside(
    server: &Server,
    cold: &[Arc<str>],
    others: &[Arc<str>],
    scale: Scale,
) -> anyhow::Result<Latencies> {
    let stop = CancellationToken::new();
    let workers = if others.is_empty() { 0 } else { OTHERS_IN_FLIGHT };
    let crowd = call_of(server, HOLD, area_bodies(others))?;
    let crowd = keep_in_flight(usize::MAX, workers, &stop, crowd);
    sleep(WARM_UP).await;
    let call = call_of(server, HOLD, area_bodies(cold))?;
    let calls = 400 * usize::try_from(scale.paced_s)?;
    let pace = Pace { rate: COLD_PER_SECOND, calls, warm_up: 0 };
    let took = paced(pace, &stop, move |i| call(i, i)).await?;
    stop.cancel();
    gather(crowd).await?;
    Ok(took)
}

/// Row `idle_p50`: one caller, who never has anybody to share a script call with.
pub async fn idle(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    /// Turns of each within a round, so that both see the same moments.
    const TURNS: usize = 4;
    let contenders = stage.serve_both().await?;
    let each = scale.holds_of_few / 20;
    let seats = rounds as usize * TURNS * each;
    for (_, server) in &contenders {
        events::create(server, "quiet", seats).await?;
    }
    for round in 0..rounds as usize {
        println!("  idle, round {}", round + 1);
        stage.settle().await?;
        let mut took = [Vec::new(), Vec::new()];
        for turn in 0..TURNS {
            let first = (round * TURNS + turn) * each;
            // Who goes first changes, too.
            for which in [turn % 2, 1 - turn % 2] {
                let places = places(&["quiet".into()], first, each);
                let done = hold(&contenders[which].1, &places, 1).await?;
                took[which].extend(done.took.micros());
            }
        }
        let mut p50s = Vec::new();
        for ((name, _), took) in contenders.iter().zip(took) {
            let p50 = Latencies::new(took).quantile(0.5)?;
            results.figure(&format!("Hold {name}, one in flight: p50"), p50, "ms");
            p50s.push(p50);
        }
        results.ratio("idle_p50", p50s[0] / p50s[1])?;
    }
    Ok(())
}

//! Calls in flight: as many as ever come through, or at a fixed rate.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{runtime::Handle, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long all calls together may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Calls that were made, and answered OK.
pub struct Done {
    /// Calls a second.
    pub rate: f64,
    pub took: Latencies,
}

/// Makes the calls 0 to `calls`, so many of them in flight. `call` is told which
/// worker makes it, too.
pub async fn in_flight<F>(
    calls: usize,
    workers: usize,
    call: impl Fn(usize, usize) -> F + Clone + Send + Sync + 'static,
) -> anyhow::Result<Done>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let begun = Instant::now();
    let all = gather(keep_in_flight(calls, workers, &CancellationToken::new(), call));
    let took = timeout(PATIENCE, all).await.context("the calls take too long")??;
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    Ok(Done { rate: calls as f64 / begun.elapsed().as_secs_f64(), took })
}

/// Workers that make calls until they are told to stop; each answers how long its
/// calls took.
pub type Workers = JoinSet<anyhow::Result<Vec<u32>>>;

/// As [`in_flight`], until told to stop.
pub fn keep_in_flight<F>(
    calls: usize,
    workers: usize,
    stop: &CancellationToken,
    call: impl Fn(usize, usize) -> F + Clone + Send + Sync + 'static,
) -> Workers
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut working = JoinSet::new();
    for worker in 0..workers {
        let (next, call, stop) = (next.clone(), call.clone(), stop.clone());
        working.spawn(async move {
            let mut took = Vec::new();
            while !stop.is_cancelled() {
                let i = next.fetch_add(1, Relaxed);
                if i >= calls {
                    break;
                }
                let begun = Instant::now();
                call(worker, i).await?;
                took.push(micros_since(begun));
            }
            Ok(took)
        });
    }
    working
}

/// What all of them took, once they have ended.
pub async fn gather(mut working: Workers) -> anyhow::Result<Latencies> {
    let mut all = Vec::new();
    while let Some(took) = working.join_next().await {
        all.extend(took??);
    }
    Ok(Latencies::new(all))
}

fn micros_since(begun: Instant) -> u32 {
    u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// How long calls took, in microseconds, in ascending order.
pub struct Latencies(Vec<u32>);

impl Latencies {
    pub fn new(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        Self(micros)
    }

    pub fn micros(&self) -> &[u32] {
        &self.0
    }

    /// The time within which this share of the calls was answered, in ms.
    pub fn quantile(&self, share: f64) -> anyhow::Result<f64> {
        ensure!(!self.0.is_empty(), "nothing was measured");
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of calls"
        )]
        let at = (share * (self.0.len() - 1) as f64).round() as usize;
        Ok(f64::from(self.0[at]) / 1_000.0)
    }
}

/// Calls at a fixed rate.
pub struct Pace {
    /// A second.
    pub rate: f64,
    pub calls: usize,
    /// So many at first do not count.
    pub warm_up: usize,
}

/// Makes calls at a fixed rate, whatever becomes of those before, until told to
/// stop: each is measured from the moment at which it was due.
pub async fn paced<F>(
    pace: Pace,
    stop: &CancellationToken,
    call: impl Fn(usize) -> F + Send + Sync + 'static,
) -> anyhow::Result<Latencies>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let Pace { rate, calls, warm_up } = pace;
    let (stop, runtime) = (stop.clone(), Handle::current());
    // A thread of its own: the runtime's timer is no finer than a millisecond.
    let pacing = tokio::task::spawn_blocking(move || {
        let mut working = Vec::new();
        let begun = Instant::now();
        for i in 0..calls {
            #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
            let due = begun + Duration::from_secs_f64(i as f64 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.is_cancelled() {
                break;
            }
            let answer = call(i);
            working.push(runtime.spawn(async move {
                answer.await?;
                anyhow::Ok(micros_since(due))
            }));
        }
        working
    });
    let working = pacing.await?;
    let all = async {
        let mut took = Vec::with_capacity(working.len());
        for call in working {
            took.push(call.await??);
        }
        anyhow::Ok(took)
    };
    let mut took = timeout(PATIENCE, all).await.context("the calls take too long")??;
    took.drain(..warm_up.min(took.len()));
    Ok(Latencies::new(took))
}

//! Calls in flight: as many as ever come through, or at a fixed rate.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{runtime::Handle, task::JoinSet, time::timeout};

/// How long all calls together may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes the calls 0 to `calls`, so many of them in flight; answers how many a
/// second. `call` is told which worker makes it, too.
pub async fn in_flight<F>(
    calls: usize,
    workers: usize,
    call: impl Fn(usize, usize) -> F + Clone + Send + Sync + 'static,
) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut working = JoinSet::new();
    let begun = Instant::now();
    for worker in 0..workers {
        let (next, call) = (next.clone(), call.clone());
        working.spawn(async move {
            loop {
                let i = next.fetch_add(1, Relaxed);
                if i >= calls {
                    return anyhow::Ok(());
                }
                call(worker, i).await?;
            }
        });
    }
    let all = async {
        while let Some(ended) = working.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, all).await.context("the calls take too long")??;
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    Ok(calls as f64 / begun.elapsed().as_secs_f64())
}

/// How long calls took, in microseconds, in ascending order.
pub struct Latencies(Vec<u32>);

impl Latencies {
    pub fn new(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        Self(micros)
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

/// Makes calls at a fixed rate, whatever becomes of those before: each is
/// measured from the moment at which it was due. The first fifth warms up.
pub async fn paced<F>(
    rate: f64,
    calls: usize,
    call: impl Fn(usize) -> F + Send + Sync + 'static,
) -> anyhow::Result<Latencies>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let micros: Arc<Vec<AtomicU32>> = Arc::new((0..calls).map(|_| AtomicU32::new(0)).collect());
    let (took, runtime) = (micros.clone(), Handle::current());
    // A thread of its own: the runtime's timer is no finer than a millisecond.
    let pace = tokio::task::spawn_blocking(move || {
        let mut working = Vec::with_capacity(calls);
        let begun = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let due = |i: usize| begun + Duration::from_secs_f64(i as f64 / rate);
        for i in 0..calls {
            while Instant::now() < due(i) {
                thread::sleep(Duration::from_micros(20));
            }
            let (answer, took, due) = (call(i), took.clone(), due(i));
            working.push(runtime.spawn(async move {
                answer.await?;
                let micros = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
                took[i].store(micros.max(1), Relaxed);
                anyhow::Ok(())
            }));
        }
        working
    });
    let working = pace.await?;
    let all = async {
        for call in working {
            call.await??;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, all).await.context("the calls take too long")??;
    let micros = micros.iter().skip(calls / 5).map(|micros| micros.load(Relaxed)).collect();
    Ok(Latencies::new(micros))
}

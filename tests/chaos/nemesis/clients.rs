//! Clients that hang up.

use std::{sync::atomic::Ordering, time::Duration};

use rand::{Rng, rngs::StdRng};
use tokio::time::sleep;

use super::Harm;
use crate::workload::Floor;

const HANGING_UP_MS: std::ops::Range<u64> = 300..1_000;

/// For a while, every second call is given up within 20 ms.
pub async fn hang_up(floor: &Floor, random: &mut StdRng) -> anyhow::Result<Option<Harm>> {
    let before = floor.cancelled.load(Ordering::Relaxed);
    floor.cancels.store(true, Ordering::Relaxed);
    sleep(Duration::from_millis(random.random_range(HANGING_UP_MS))).await;
    floor.cancels.store(false, Ordering::Relaxed);
    let calls = floor.cancelled.load(Ordering::Relaxed) - before;
    Ok((calls > 0).then(|| Harm::new("clients", format!("{calls} calls cancelled within 20 ms"))))
}

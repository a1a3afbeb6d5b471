//! When those who were refused shall call again.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::limits::{MAX_RETRY_DELAY, RETRY_DELAY};

/// Counts refusals of this second and the last one: the more there are, the longer each
/// waits, so that those who come back are no more than a server can serve.
pub struct Pace {
    began: Instant,
    /// Calls in flight that a server can have: a refusal for each of them, in a second,
    /// doubles the wait.
    room: u32,
    second: AtomicU64,
    this: AtomicU64,
    last: AtomicU64,
}

impl Pace {
    pub fn new(room: u32) -> Self {
        let zero = || AtomicU64::new(0);
        Self { began: Instant::now(), room, second: zero(), this: zero(), last: zero() }
    }

    /// Notes a refusal; how long its caller shall wait.
    pub fn wait(&self) -> Duration {
        self.wait_at(self.began.elapsed().as_secs())
    }

    fn wait_at(&self, second: u64) -> Duration {
        let before = self.second.swap(second, Relaxed);
        if before != second {
            let count = self.this.swap(0, Relaxed);
            self.last.store(if before + 1 == second { count } else { 0 }, Relaxed);
        }
        let count = self.this.fetch_add(1, Relaxed);
        let refused = count.max(self.last.load(Relaxed));
        let times = u32::try_from(refused / u64::from(self.room)).unwrap_or(u32::MAX);
        let wait = RETRY_DELAY.saturating_mul(times.saturating_add(1));
        spread(wait.min(MAX_RETRY_DELAY), count)
    }
}

/// When to call again where nobody was over a limit.
pub fn apart() -> Duration {
    static TOLD: AtomicU64 = AtomicU64::new(0);
    spread(RETRY_DELAY, TOLD.fetch_add(1, Relaxed))
}

/// From half to one and a half of a time: the waits of those who come one after the other
/// lie apart, and evenly (multiples of the golden ratio; Knuth, The Art of Computer
/// Programming, vol. 3, 6.4).
fn spread(wait: Duration, number: u64) -> Duration {
    let part = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
    wait / 2 + wait * u32::try_from(part).unwrap_or_default() / (1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_lie_apart_between_half_and_one_and_a_half() {
        let wait = Duration::from_millis(200);
        let waits: Vec<_> = (0..1_000).map(|number| spread(wait, number)).collect();
        assert!(waits.iter().all(|&it| it >= wait / 2 && it < wait * 3 / 2));
        for tenth in 0..10 {
            let from = wait / 2 + wait / 10 * tenth;
            let within = waits.iter().filter(|&&it| it >= from && it < from + wait / 10).count();
            assert!((80..=120).contains(&within), "{within} in the tenth from {from:?}");
        }
    }

    #[test]
    fn the_more_are_refused_the_longer_each_waits() {
        let pace = Pace::new(10);
        let longest = |second, count| (0..count).map(|_| pace.wait_at(second)).max().unwrap();
        assert!(longest(0, 10) < RETRY_DELAY * 3 / 2);
        assert!(longest(0, 40) > RETRY_DELAY * 3);
        assert!(longest(1, 1) > RETRY_DELAY * 2, "the last second is remembered");
        assert!(longest(9, 1) < RETRY_DELAY, "until it is long ago");
        assert!(longest(9, 10_000) <= MAX_RETRY_DELAY * 3 / 2);
    }
}

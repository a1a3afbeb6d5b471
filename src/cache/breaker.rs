//! Keeps callers from waiting for a Redis that has just failed: for a moment it is not
//! asked, and then by one caller first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits::CACHE_PAUSE;

/// See the module.
#[derive(Debug, Default)]
pub struct Breaker {
    /// From when on Redis may be asked again; `None` while it answers.
    open_until: Mutex<Option<Instant>>,
}

impl Breaker {
    /// Whether to ask now.
    pub fn lets_through(&self) -> bool {
        let (mut open_until, now) = (self.lock(), Instant::now());
        match *open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                *open_until = Some(now + CACHE_PAUSE);
                true
            }
        }
    }

    /// Notes how it went.
    pub fn note(&self, is_well: bool) {
        let mut open_until = self.lock();
        match (is_well, *open_until) {
            (true, Some(_)) => {
                tracing::info!("the caches are used again");
                *open_until = None;
            }
            (true, None) => {}
            (false, _) => *open_until = Some(Instant::now() + CACHE_PAUSE),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_asks_after_a_pause_and_the_others_if_it_went_well() {
        let breaker = Breaker::default();
        assert!(breaker.lets_through());
        breaker.note(false);
        assert!(!breaker.lets_through());
        tokio::time::advance(CACHE_PAUSE).await;
        assert!(breaker.lets_through());
        assert!(!breaker.lets_through());
        breaker.note(true);
        assert!(breaker.lets_through() && breaker.lets_through());
    }
}

//! Whose turn it is: how many calls there are, until when, and on which schedule.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// Hands out turns to workers. One that takes the next turn as soon as its last one
/// is over makes a closed loop; with a rate, turns come on schedule.
#[derive(Debug)]
pub struct Turns {
    begun: Instant,
    claimed: AtomicU64,
    next: AtomicU64,
    calls: u64,
    until: Option<Instant>,
    stopped: AtomicBool,
    schedule: Option<Schedule>,
}

#[derive(Debug)]
struct Schedule {
    /// Turns a second.
    rate: u32,
    /// Turns whose time has come.
    due: Semaphore,
}

/// One call to make.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    pub number: u64,
    /// What its time counts from: when it should have begun, however late it is
    /// ("coordinated omission", Gil Tene), or now where there is no schedule.
    pub begins: Instant,
}

impl Turns {
    /// So many calls, for so long, whichever ends first; `rate` calls a second.
    pub fn new(calls: Option<u64>, time: Option<Duration>, rate: Option<u32>) -> Arc<Self> {
        let begun = Instant::now();
        let turns = Arc::new(Self {
            begun,
            claimed: AtomicU64::new(0),
            next: AtomicU64::new(0),
            calls: calls.unwrap_or(u64::MAX),
            until: time.map(|time| begun + time),
            stopped: AtomicBool::new(false),
            schedule: rate.map(|rate| Schedule { rate, due: Semaphore::new(0) }),
        });
        if turns.schedule.is_some() {
            let turns = turns.clone();
            thread::spawn(move || turns.keep_time());
        }
        turns
    }

    /// The next turn, when it has come; none at the end.
    pub async fn next(&self) -> Option<Turn> {
        if self.claim() { self.due().await } else { None }
    }

    /// Claims a turn: who has something to prepare does so before it is due. False at
    /// the end.
    pub fn claim(&self) -> bool {
        let is_over = self.schedule.is_none() && self.ends_before(Instant::now());
        !is_over
            && !self.stopped.load(Ordering::Relaxed)
            && self.claimed.fetch_add(1, Ordering::Relaxed) < self.calls
    }

    /// A turn that was claimed, when it has come; none where time is over before. A
    /// turn of a schedule is made however late it is.
    pub async fn due(&self) -> Option<Turn> {
        if let Some(schedule) = &self.schedule {
            schedule.due.acquire().await.ok()?.forget();
        }
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(schedule) = &self.schedule else {
            return Some(Turn { number, begins: Instant::now() });
        };
        let begins = self.begins(schedule, number);
        (!self.ends_before(begins)).then_some(Turn { number, begins })
    }

    /// No turn comes any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether time is over, or somebody has stopped the run.
    pub fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.ends_before(Instant::now())
    }

    /// Turns handed out so far.
    pub fn handed_out(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.calls)
    }

    /// How much of the run is over, in so many parts.
    pub fn parts_over(&self, parts: u64) -> u64 {
        let of_calls = match self.calls {
            u64::MAX => 0,
            calls => parts * self.handed_out() / calls,
        };
        let of_time = self.until.map_or(0, |until| {
            let all_ms = (until - self.begun).as_millis().max(1);
            let over = u128::from(parts) * self.begun.elapsed().as_millis() / all_ms;
            u64::try_from(over).unwrap_or(parts)
        });
        of_calls.max(of_time).min(parts)
    }

    fn ends_before(&self, at: Instant) -> bool {
        self.until.is_some_and(|until| at >= until)
    }

    fn begins(&self, schedule: &Schedule, number: u64) -> Instant {
        let ns = u128::from(number) * 1_000_000_000 / u128::from(schedule.rate);
        self.begun + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// A thread of its own: a timer of the runtime is a millisecond late.
    fn keep_time(&self) {
        #[cfg(target_os = "linux")]
        // By default a sleep may be 50 us longer than asked for. Where it cannot be
        // changed it stays so, and is part of the times that are measured.
        let _ = nix::sys::prctl::set_timerslack(1);
        let Some(schedule) = &self.schedule else { return };
        let mut number = 0;
        loop {
            let now = Instant::now();
            let mut due = 0;
            while number < self.calls && self.begins(schedule, number) <= now {
                (number, due) = (number + 1, due + 1);
            }
            schedule.due.add_permits(due);
            if number >= self.calls || self.ends_before(now) || self.stopped.load(Ordering::Relaxed)
            {
                // Everybody who waits learns that there is no more.
                return schedule.due.add_permits(Semaphore::MAX_PERMITS / 2);
            }
            thread::sleep(self.begins(schedule, number).saturating_duration_since(Instant::now()));
        }
    }
}

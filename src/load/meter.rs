//! How many calls, how long they took, what they came to.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use tonic::{Response, Status};

use super::client::{No, told};
use crate::limits::LOAD_MAX_LATENCY;

/// Shards: workers that do not share one never wait for each other.
const SHARDS: usize = 16;
/// Significant digits of a time: three in the end, two in each step of a plot.
const DIGITS: u8 = 3;
const STEP_DIGITS: u8 = 2;

/// Counts what all workers do.
#[derive(Debug)]
pub struct Meter {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug)]
struct Shard {
    tally: Tally,
    /// Of the calls since the last look.
    step: Step,
}

/// Times of one step of a plot, in microseconds.
pub type Step = Histogram<u32>;

/// Calls, by what they came to.
#[derive(Debug, Clone)]
pub struct Tally {
    pub ok: u64,
    /// Definite noes, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Other errors, by code.
    pub errors: BTreeMap<String, u64>,
    /// Of every call, in microseconds.
    pub took: Histogram<u64>,
}

impl Default for Meter {
    fn default() -> Self {
        let shard = || Mutex::new(Shard { tally: Tally::default(), step: no_step() });
        Self { shards: std::array::from_fn(|_| shard()) }
    }
}

impl Meter {
    /// Notes a call's answer, and answers it.
    pub fn note<T>(
        &self,
        worker: usize,
        took: Duration,
        answer: Result<Response<T>, Status>,
    ) -> Result<T, No> {
        let answer = told(answer);
        self.count(worker, took, &answer);
        answer
    }

    /// Notes what a call came to.
    pub fn count<T>(&self, worker: usize, took: Duration, answer: &Result<T, No>) {
        let took_us = micros(took);
        let mut shard = lock(&self.shards[worker % SHARDS]);
        shard.step.saturating_record(took_us);
        shard.tally.took.saturating_record(took_us);
        match answer {
            Ok(_) => shard.tally.ok += 1,
            Err(No::Refused(reason)) => count(&mut shard.tally.refusals, reason),
            Err(No::Failed(code)) => count(&mut shard.tally.errors, code),
        }
    }

    /// Notes times that are no calls', in microseconds; answers how many.
    pub fn note_times(&self, worker: usize, took_us: impl Iterator<Item = u64>) -> u64 {
        let mut shard = lock(&self.shards[worker % SHARDS]);
        let mut count = 0;
        for took_us in took_us {
            shard.step.saturating_record(took_us);
            shard.tally.took.saturating_record(took_us);
            count += 1;
        }
        count
    }

    /// The calls since the last look.
    pub fn step(&self) -> Step {
        let mut sum = no_step();
        for shard in &self.shards {
            let step = &mut lock(shard).step;
            sum.add(&*step).expect("all have the same bounds");
            step.reset();
        }
        sum
    }

    /// All calls so far.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for shard in &self.shards {
            sum.add(&lock(shard).tally);
        }
        sum
    }
}

impl Default for Tally {
    fn default() -> Self {
        let took = Histogram::new_with_bounds(1, max_us(), DIGITS).expect("the bounds are good");
        Self { ok: 0, refusals: BTreeMap::new(), errors: BTreeMap::new(), took }
    }
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.took.add(&other.took).expect("all have the same bounds");
        let sums = [(&mut self.refusals, &other.refusals), (&mut self.errors, &other.errors)];
        for (sum, more) in sums {
            for (name, more) in more {
                *sum.entry(name.clone()).or_default() += more;
            }
        }
    }

    /// Calls that were answered, or came to an error.
    pub fn calls(&self) -> u64 {
        self.ok + self.refusals.values().sum::<u64>() + self.errors.values().sum::<u64>()
    }
}

/// Times of no call.
pub fn no_step() -> Step {
    Histogram::new_with_bounds(1, max_us(), STEP_DIGITS).expect("the bounds are good")
}

fn max_us() -> u64 {
    micros(LOAD_MAX_LATENCY)
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => _ = counts.insert(name.to_owned(), 1),
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What a run tells: its faults, and its verdict as one line.

use serde::Serialize;

use crate::{
    nemesis::{Points, Toll},
    round::Outcome,
};

/// Below so many sales a run says nothing.
const FEWEST_CONFIRMED: u64 = 100;
/// Nor does it if more of its answers are not known, in percent.
const MOST_UNKNOWN: u64 = 30;
/// Violations that are printed; the histories have them all.
const MOST_PRINTED: usize = 20;

/// The last line of a run.
#[derive(Debug, Serialize)]
struct Verdict {
    seed: u64,
    operations: u64,
    faults: u32,
    kinds: usize,
    confirmed: u64,
    unknown: u64,
    violations: usize,
}

/// A run, as far as it is.
#[derive(Default)]
pub struct Report {
    seed: u64,
    operations: u64,
    confirmed: u64,
    unknown: u64,
    violations: Vec<String>,
}

impl Report {
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    pub fn add(&mut self, outcome: Outcome) {
        self.operations += outcome.operations;
        self.confirmed += outcome.confirmed;
        self.unknown += outcome.unknown;
        self.violations.extend(outcome.violations);
    }

    /// Something that broke a promise, or the run itself.
    pub fn violation(&mut self, text: String) {
        self.violations.push(text);
    }

    pub fn has_violations(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Prints everything; answers whether the run is clean, and says something.
    pub fn print(&self, toll: &Toll, points: &Points) -> bool {
        let counts = toll.counts();
        println!("\n{:<32} {:>6}", "fault", "times");
        for (kind, count) in &counts {
            println!("{kind:<32} {count:>6}");
        }
        let points = points.counts();
        if !points.is_empty() {
            println!("\n{:<32} {:>6} {:>6}", "failpoint", "armed", "fired");
        }
        for (name, armed, fired) in &points {
            println!("{name:<32} {armed:>6} {fired:>6}");
        }
        for violation in self.violations.iter().take(MOST_PRINTED) {
            println!("\nviolation: {violation}");
        }
        let vacuous = self.vacuous();
        if let Some(why) = &vacuous {
            println!("\nvacuous: {why}");
        }
        let verdict = Verdict {
            seed: self.seed,
            operations: self.operations,
            faults: counts.iter().map(|(_, count)| count).sum(),
            kinds: counts.len(),
            confirmed: self.confirmed,
            unknown: self.unknown,
            violations: self.violations.len(),
        };
        println!("\n{}", serde_json::to_string(&verdict).unwrap_or_default());
        vacuous.is_none() && self.violations.is_empty()
    }

    /// Why a clean run would say nothing.
    fn vacuous(&self) -> Option<String> {
        if self.confirmed < FEWEST_CONFIRMED {
            return Some(format!("{} sales, fewer than {FEWEST_CONFIRMED}", self.confirmed));
        }
        let unknown = self.unknown * 100 / self.operations.max(1);
        (unknown > MOST_UNKNOWN).then(|| format!("{unknown} % of all answers are not known"))
    }
}

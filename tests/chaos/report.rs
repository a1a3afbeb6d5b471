//! What a run tells: its faults, and its verdict as one line.

use serde::Serialize;

use crate::{
    nemesis::{Kind, Points, Toll},
    options::Options,
    recovery::Recovery,
    round::Outcome,
};

/// Below so many sales a run says nothing.
const FEWEST_CONFIRMED: u64 = 100;
/// Nor does it if more of its answers are not known, in percent.
const MOST_UNKNOWN: u64 = 30;
/// The shortest run, of a minute and a half, has so many.
const FEWEST_OPERATIONS: u64 = 20_000;
const FEWEST_KINDS: usize = 6;
/// 300 in 45 minutes, and each kind 15 times.
const FAULTS_PER_MINUTE: f64 = 300.0 / 45.0;
const EACH_KIND_PER_MINUTE: f64 = 15.0 / 45.0;
/// From here on every failpoint must have fired.
const FULL_MINUTES: f64 = 45.0;
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
    recoveries: Vec<Recovery>,
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

    /// How long something took; too long is a violation.
    pub fn recovery(&mut self, recovery: Recovery) {
        if !recovery.is_in_time() {
            self.violations.push(format!("too late: {recovery}"));
        }
        self.recoveries.push(recovery);
    }

    /// Something that broke a promise, or the run itself.
    pub fn violation(&mut self, text: String) {
        self.violations.push(text);
    }

    /// Whether less was called than a run must.
    pub fn is_short(&self) -> bool {
        self.operations < FEWEST_OPERATIONS || self.confirmed < FEWEST_CONFIRMED
    }

    pub fn has_violations(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Prints everything; answers whether the run is clean, and says something.
    pub fn print(&self, options: &Options, toll: &Toll, points: &Points) -> bool {
        let counts = toll.counts();
        println!("\n{:<32} {:>6}", "fault", "times");
        for (kind, count) in &counts {
            println!("{kind:<32} {count:>6}");
        }
        print_points(points);
        if !self.recoveries.is_empty() {
            println!("\n{:<60} {:>8} {:>8}", "recovery", "took", "allowed");
        }
        for recovery in &self.recoveries {
            println!("{recovery}");
        }
        for violation in self.violations.iter().take(MOST_PRINTED) {
            println!("\nviolation: {violation}");
        }
        let faults = counts.iter().map(|(_, count)| count).sum();
        let vacuous = match options.recovery {
            true => None,
            false => self.vacuous().or_else(|| self.missing(options, faults, &counts, points)),
        };
        if let Some(why) = &vacuous {
            println!("\nvacuous: {why}");
        }
        let verdict = Verdict {
            seed: self.seed,
            operations: self.operations,
            faults,
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

    /// What a run of its length should have done and did not, unless it was
    /// asked for some faults only.
    fn missing(
        &self,
        options: &Options,
        faults: u32,
        counts: &Counts,
        points: &Points,
    ) -> Option<String> {
        if !options.fault.is_empty() {
            return None;
        }
        if self.operations < FEWEST_OPERATIONS {
            return Some(format!("{} operations, of {FEWEST_OPERATIONS}", self.operations));
        }
        let expected = (options.minutes * FAULTS_PER_MINUTE).floor();
        if f64::from(faults) < expected || counts.len() < FEWEST_KINDS {
            return Some(format!("{faults} faults of {} kinds, of {expected}", counts.len()));
        }
        let each = (options.minutes * EACH_KIND_PER_MINUTE).floor();
        let count =
            |name: &str| counts.iter().find(|(kind, _)| *kind == name).map_or(0, |(_, n)| *n);
        let kinds = options.topologies().into_iter().flat_map(|t| Kind::all(t, false, &[]));
        let mut rare = kinds.map(Kind::name).filter(|name| f64::from(count(name)) < each);
        if let Some(name) = rare.next() {
            return Some(format!("{} times {name}, of {each}", count(name)));
        }
        let mut points = points.counts().into_iter();
        let idle = points.find(|&(.., fired)| fired == 0 && options.minutes >= FULL_MINUTES);
        idle.map(|(name, ..)| format!("failpoint {name} never fired"))
    }
}

type Counts = Vec<(&'static str, u32)>;

fn print_points(points: &Points) {
    let points = points.counts();
    if !points.is_empty() {
        println!("\n{:<32} {:>6} {:>6}", "failpoint", "armed", "fired");
    }
    for (name, armed, fired) in &points {
        println!("{name:<32} {armed:>6} {fired:>6}");
    }
}

//! What the checker found.

use std::fmt;

/// Fewer confirmed orders prove nothing.
pub const MIN_CONFIRMED: usize = 100;
/// A greater share of unknown answers proves nothing.
pub const MAX_UNKNOWN_PERCENT: usize = 30;

/// What was promised; `docs/ARCHITECTURE.md` says by which means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    SoldOnce,
    YesIsDurable,
    NoIsHonest,
    Exclusion,
    OneOutcome,
    Stream,
    Idempotent,
    Quantity,
    Rebuildable,
    Money,
    InTime,
    /// Every answer is one that the contract has, and that something justifies.
    Answers,
}

impl Promise {
    pub fn name(self) -> &'static str {
        match self {
            Self::SoldOnce => "I1",
            Self::YesIsDurable => "I2",
            Self::NoIsHonest => "I2'",
            Self::Exclusion => "I3",
            Self::OneOutcome => "I4",
            Self::Stream => "I5",
            Self::Idempotent => "I6",
            Self::Quantity => "I7",
            Self::Rebuildable => "I8",
            Self::Money => "I9",
            Self::InTime => "I10",
            Self::Answers => "answers",
        }
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub promise: Promise,
    pub event_id: String,
    /// What happened, in a sentence.
    pub what: String,
    /// The calls and entries that prove it.
    pub proof: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, event_id, what, proof } = self;
        write!(f, "{}: event {event_id}: {what}", promise.name())?;
        proof.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// All that a history shows.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub operations: usize,
    /// Orders that Postgres has in the end.
    pub confirmed: usize,
    /// Calls that were answered neither yes nor no.
    pub unknown: usize,
    /// Why the run proves nothing, if it does not.
    pub vacuous: Option<String>,
    pub violations: Vec<Violation>,
    /// What is worth knowing and breaks no promise.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Whether every promise was kept, in a run that could have shown otherwise.
    pub fn passes(&self) -> bool {
        self.violations.is_empty() && self.vacuous.is_none()
    }

    /// Why so few orders, or so many unknown answers, prove nothing.
    pub fn vacuous(confirmed: usize, unknown: usize, operations: usize) -> Option<String> {
        if confirmed < MIN_CONFIRMED {
            Some(format!("only {confirmed} orders were confirmed, of {MIN_CONFIRMED} at least"))
        } else if unknown * 100 > operations * MAX_UNKNOWN_PERCENT {
            Some(format!("{unknown} of {operations} answers are unknown"))
        } else {
            None
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if let Some(why) = &self.vacuous {
            writeln!(f, "vacuous: {why}")?;
        }
        let Self { operations, confirmed, unknown, violations, .. } = self;
        write!(
            f,
            "{operations} operations, {confirmed} confirmed, {unknown} unknown, {} violations",
            violations.len()
        )
    }
}

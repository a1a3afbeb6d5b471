//! The total order: an event's log by (epoch, seq), and how it lies in real time.
//!
//! An entry took effect before the rig read it, and after the first call began
//! that can have caused it or an earlier one of its epoch. Expiry is decided by
//! the entries' own clock, which is Redis'.

use std::collections::{BTreeMap, HashMap};

use crate::history::{Call, Fault, Log, Operation};

/// The state of an event after `seq` changes in this epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub epoch: u64,
    pub seq: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl Position {
    /// Of a resume token, `<epoch>-<seq>-<seal>`.
    pub fn of_token(token: &str) -> Option<Self> {
        let (position, _seal) = token.rsplit_once('-')?;
        let (epoch, seq) = position.split_once('-')?;
        Some(Self { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
    }

    pub fn next(self) -> Self {
        Self { seq: self.seq + 1, ..self }
    }
}

/// A change, and the earliest moment at which it can have been made.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub at: Position,
    pub log: &'a Log,
    pub earliest_us: u64,
}

impl Entry<'_> {
    pub fn proof(&self) -> String {
        format!(
            "log {}, read at {} us, Redis' clock {} ms",
            self.at, self.log.at_us, self.log.at_ms
        )
    }
}

/// The log of an event in its order; and entries of one position that differ.
pub fn in_order<'a>(
    log: &[&'a Log],
    calls_of: &HashMap<&str, Vec<&Call>>,
) -> (Vec<Entry<'a>>, Vec<[&'a Log; 2]>) {
    let mut by_position: BTreeMap<Position, &'a Log> = BTreeMap::new();
    let mut differ = Vec::new();
    for &log in log {
        let at = Position { epoch: log.epoch, seq: log.seq };
        match by_position.get(&at) {
            Some(known) if !is_same(known, log) => differ.push([*known, log]),
            Some(_) => {}
            None => {
                by_position.insert(at, log);
            }
        }
    }
    let mut entries: Vec<Entry<'a>> = Vec::with_capacity(by_position.len());
    for (at, log) in by_position {
        let before = entries.last().filter(|entry| entry.at.epoch == at.epoch);
        let before_us = before.map_or(0, |entry| entry.earliest_us);
        let earliest_us = before_us.max(first_cause_us(log, calls_of));
        entries.push(Entry { at, log, earliest_us });
    }
    (entries, differ)
}

fn is_same(one: &Log, other: &Log) -> bool {
    *one == Log { at_us: one.at_us, ..other.clone() }
}

/// When the first call began without which this entry would not be.
fn first_cause_us(log: &Log, calls_of: &HashMap<&str, Vec<&Call>>) -> u64 {
    let first_hold_us = |hold_id: &str| {
        let calls = calls_of.get(hold_id)?.iter();
        let holds = calls.filter(|call| matches!(call.operation, Operation::Hold { .. }));
        holds.map(|call| call.start_us).min()
    };
    log.holds.iter().filter_map(|hold| first_hold_us(&hold.hold_id)).max().unwrap_or(0)
}

/// How Redis' clock lies to the rig's: Redis' µs minus the rig's are in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    lowest_us: i64,
    highest_us: i64,
}

impl Clock {
    /// `None` where the clock was moved, or nothing tells.
    pub fn of(entries: &[Entry<'_>], faults: &[&Fault]) -> Option<Self> {
        if faults.iter().any(|fault| moves_clock(fault)) {
            return None;
        }
        let us = |entry: &Entry<'_>| entry.log.at_ms * 1_000;
        let lowest_us = entries.iter().map(|e| us(e) - signed(e.log.at_us)).max()?;
        let caused = entries.iter().filter(|entry| entry.earliest_us > 0);
        let highest_us = caused.map(|e| us(e) + 999 - signed(e.earliest_us)).min()?;
        (lowest_us <= highest_us).then_some(Self { lowest_us, highest_us })
    }

    /// Whether Redis' clock had certainly not come to `ms` by `at_us`.
    pub fn is_before(self, at_us: u64, ms: i64) -> bool {
        signed(at_us) + self.highest_us < ms * 1_000
    }

    /// From when on Redis' clock had certainly passed `ms`.
    pub fn passed_us(self, ms: i64) -> u64 {
        u64::try_from(ms * 1_000 - self.lowest_us + 1_000).unwrap_or(0)
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

pub fn moves_clock(fault: &Fault) -> bool {
    mentions(fault, &["clock", "skew"])
}

pub fn mentions(fault: &Fault, words: &[&str]) -> bool {
    let text = format!("{} {} {}", fault.kind, fault.target, fault.detail).to_lowercase();
    words.iter().any(|word| text.contains(word))
}

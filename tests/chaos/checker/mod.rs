//! Whether a run kept every promise, by its history alone.
//!
//! A violation is told only where no order of effects that real time, the log
//! and the stores at rest allow could explain what was seen.

mod facts;
mod free;
mod order;
mod picture;
mod promises;
mod replay;
mod second_opinion;
mod verdict;

use std::{fs, path::PathBuf, process::ExitCode};

use facts::Facts;
use replay::Replay;

use crate::history::{Answer, Line};
pub use verdict::Verdict;

/// One event: what is known of it, and its log replayed.
struct Told<'a> {
    facts: Facts<'a>,
    replay: Replay<'a>,
}

/// Judges a history.
pub fn check(lines: &[Line]) -> Verdict {
    let facts = Facts::of_all(lines).into_iter();
    let events: Vec<Told> = facts.map(|facts| Told { replay: Replay::of(&facts), facts }).collect();
    let mut violations = Vec::new();
    for event in &events {
        for promise in promises::OF_AN_EVENT {
            violations.extend(promise(event));
        }
    }
    violations.extend(promises::money(&events));
    let opinion = second_opinion::of_all(&events);
    violations.extend(opinion.violations);
    let notes = vec![opinion.note, promises::settled(&events)];

    let calls = || events.iter().flat_map(|event| &event.facts.calls);
    let operations = calls().count();
    let unknown = calls().filter(|call| matches!(call.answer, Answer::Unknown { .. })).count();
    let confirmed = events.iter().map(|event| event.facts.orders().len()).sum();
    let no_rest = events.iter().find(|event| event.facts.rest.is_none());
    let no_rest =
        no_rest.map(|event| format!("event {} has no state at rest", event.facts.event.event_id));
    let vacuous = no_rest.or_else(|| Verdict::vacuous(confirmed, unknown, operations));
    Verdict { operations, confirmed, unknown, vacuous, violations, notes }
}

/// Judges histories from files, a JSON line each, and prints the verdicts.
pub fn check_files(paths: &[PathBuf]) -> ExitCode {
    let mut all_pass = !paths.is_empty();
    for path in paths {
        let verdict = fs::read_to_string(path).map_err(anyhow::Error::from).and_then(|text| {
            let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>();
            Ok(check(&lines?))
        });
        match verdict {
            Ok(verdict) => {
                println!("{}: {verdict}", path.display());
                all_pass &= verdict.passes();
            }
            Err(error) => {
                println!("{}: {error}", path.display());
                all_pass = false;
            }
        }
    }
    if all_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

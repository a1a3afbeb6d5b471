//! The checker on files, as `chaos check FILE...` runs it.

use std::{fs, path::PathBuf, process::ExitCode};

use crate::{checker, history::Line, story::story};

/// The story in many events, a line each.
fn many_stories(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        for line in story() {
            let line = serde_json::to_string(&line).unwrap();
            let line = line.replace("\"event_id\":\"e\"", &format!("\"event_id\":\"e{n}\""));
            let line = line.replace("\"p1\"", &format!("\"p1-{n}\""));
            text += &line.replace("\"p5\"", &format!("\"p5-{n}\""));
            text.push('\n');
        }
    }
    text
}

fn code_of(text: &str) -> ExitCode {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("history.jsonl");
    fs::write(&path, text).unwrap();
    checker::check_files(&[path])
}

#[test]
fn a_history_passes_if_it_proves_something() {
    assert_eq!(code_of(&many_stories(50)), ExitCode::SUCCESS);
    assert_eq!(code_of(&many_stories(49)), ExitCode::FAILURE, "98 orders prove nothing");
    assert_eq!(code_of("no history\n"), ExitCode::FAILURE);
    assert_eq!(checker::check_files(&[]), ExitCode::FAILURE);
    assert_eq!(checker::check_files(&["no such file".into()]), ExitCode::FAILURE);
}

#[test]
fn a_run_with_too_many_unknown_answers_is_vacuous() {
    let lines = many_stories(50);
    let mut lines: Vec<Line> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(checker::check(&lines).passes());
    for line in &mut lines {
        if let Line::Call(call) = line {
            // Of nine calls the refused one, the map, and one that was released.
            if [2, 5, 8].contains(&call.id) {
                call.answer = crate::history::Answer::Unknown {
                    code: "UNAVAILABLE".into(),
                    reason: "OUTCOME_UNKNOWN".into(),
                };
            }
        }
    }
    let verdict = checker::check(&lines);
    assert_eq!(verdict.violations, []);
    assert_eq!(verdict.vacuous.as_deref(), Some("150 of 450 answers are unknown"));
    assert!(!verdict.passes());
}

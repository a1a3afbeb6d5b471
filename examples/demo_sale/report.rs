//! What is printed: a line for each case as it ends, and all of them as JSON at last.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

/// What was done, and how it ended.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub case: &'static str,
    pub done: String,
    #[serde(flatten)]
    pub end: Value,
    pub ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
}

#[derive(Default)]
pub struct Report(Mutex<Vec<Line>>);

#[derive(Serialize)]
struct All<'a> {
    cases: &'a [Line],
    ok: bool,
}

impl Line {
    /// Of something that is told in a sentence.
    pub fn summed_up(
        case: &'static str,
        done: impl Into<String>,
        summary: impl Into<String>,
        wrong: Vec<String>,
    ) -> Self {
        let end = json!({ "summary": summary.into() });
        Self { case, done: done.into(), end, ok: wrong.is_empty(), wrong }
    }
}

impl Report {
    /// Prints a case that has ended.
    pub fn tell(&self, line: Line) {
        let told = ["order", "payments", "refunds", "seats", "ipn", "given_back", "mails"];
        let told = told.iter().filter_map(|name| {
            let text = short(&line.end[name]);
            (!text.is_empty()).then(|| format!("{name} {text}"))
        });
        let told: Vec<String> = match &line.end["summary"] {
            Value::String(summary) => vec![summary.clone()],
            _ => told.collect(),
        };
        let mark = if line.ok { "ok  " } else { "FAIL" };
        println!("{mark} {:<16} {}\n     {:<16} -> {}", line.case, line.done, "", told.join("; "));
        for wrong in &line.wrong {
            println!("     {:<16} !! {wrong}", "");
        }
        self.lines(|lines| lines.push(line));
    }

    /// Corrects a line that was told.
    pub fn amend(&self, line: Line) {
        println!("FAIL {:<16} {}", line.case, line.wrong.join("; "));
        self.lines(|lines| {
            lines.retain(|other| other.case != line.case);
            lines.push(line);
        });
    }

    /// Prints all of it as one line; answers whether all is as it should be.
    pub fn end(&self) -> anyhow::Result<bool> {
        self.lines(|lines| {
            let ok = !lines.is_empty() && lines.iter().all(|line| line.ok);
            println!("{}", serde_json::to_string(&All { cases: lines, ok })?);
            Ok(ok)
        })
    }

    fn lines<T>(&self, look: impl FnOnce(&mut Vec<Line>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(short).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

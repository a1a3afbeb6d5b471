//! What is told at the end: a table for people, or one line of JSON.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::meter::Tally;

/// What a scenario came to, beside its calls.
#[derive(Debug)]
pub struct Played {
    pub scenario: &'static str,
    pub took: Duration,
    /// What this scenario tells besides, in this order.
    more: Vec<(&'static str, Value)>,
    /// The same calls by what they were, where they were several kinds.
    pub verbs: Vec<(&'static str, Tally)>,
    /// What should not have been.
    pub violations: Vec<String>,
}

impl Played {
    pub fn new(scenario: &'static str, took: Duration) -> Self {
        Self { scenario, took, more: Vec::new(), verbs: Vec::new(), violations: Vec::new() }
    }

    /// Tells one thing more.
    pub fn tell(&mut self, name: &'static str, value: impl Into<Value>) {
        self.more.push((name, value.into()));
    }
}

/// All that is told.
#[derive(Debug)]
pub struct Report<'a> {
    pub played: &'a Played,
    pub tally: &'a Tally,
    /// What the check found; none where nothing was checked.
    pub violations: Option<usize>,
}

impl Report<'_> {
    /// Calls a second that went well.
    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let ok = self.tally.ok as f64;
        let seconds = self.played.took.as_secs_f64();
        if seconds > 0.0 { ok / seconds } else { 0.0 }
    }

    /// One object, as it is told to machines. Times are in microseconds.
    pub fn json(&self) -> Value {
        let Self { played, tally, violations } = self;
        let mut object = Map::new();
        object.insert("scenario".into(), played.scenario.into());
        object.extend(of_tally(tally));
        object.insert("seconds".into(), rounded(played.took.as_secs_f64(), 1e6));
        object.insert("rate".into(), rounded(self.rate(), 10.0));
        let verbs =
            played.verbs.iter().map(|(name, tally)| ((*name).into(), of_tally(tally).into()));
        if !played.verbs.is_empty() {
            object.insert("verbs".into(), Value::Object(verbs.collect()));
        }
        object.insert("violations".into(), (*violations).into());
        for (name, value) in &played.more {
            object.insert((*name).into(), value.clone());
        }
        Value::Object(object)
    }

    /// The same for people.
    pub fn table(&self) -> String {
        let Self { played, tally, .. } = self;
        let mut rows = vec![
            ("scenario".to_owned(), played.scenario.to_owned()),
            ("calls".into(), tally.calls().to_string()),
            ("ok".into(), tally.ok.to_string()),
            ("time".into(), format!("{:.2} s", played.took.as_secs_f64())),
            ("rate".into(), format!("{:.0} /s", self.rate())),
        ];
        for (name, took_us) in quantiles(&tally.took) {
            rows.push((name.replace("p999", "p99.9"), time(took_us)));
        }
        rows.extend(played.verbs.iter().map(|(name, tally)| ((*name).to_owned(), in_short(tally))));
        for (what, counts) in [("refused", &tally.refusals), ("error", &tally.errors)] {
            rows.extend(each(what, counts));
        }
        let more = played.more.iter().filter(|(_, value)| !value.is_null());
        rows.extend(more.map(|(name, value)| shown(name, value)));
        if let Some(violations) = self.violations {
            rows.push(("violations".into(), violations.to_string()));
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for (name, value) in rows {
            let _ = writeln!(table, "{name:width$}  {value:>14}");
        }
        table
    }
}

fn of_tally(tally: &Tally) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("calls".into(), tally.calls().into());
    object.insert("ok".into(), tally.ok.into());
    for (name, took_us) in quantiles(&tally.took) {
        object.insert(format!("{name}_us"), took_us.into());
    }
    object.insert("refusals".into(), json!(tally.refusals));
    object.insert("errors".into(), json!(tally.errors));
    object
}

fn in_short(tally: &Tally) -> String {
    let [p50, p99] = [0.5, 0.99].map(|part| time(tally.took.value_at_quantile(part)));
    format!("{} of {} ok, p50 {p50}, p99 {p99}", tally.ok, tally.calls())
}

/// The times that are told, in microseconds.
pub fn quantiles(took: &Histogram<u64>) -> [(&'static str, u64); 4] {
    [
        ("p50", took.value_at_quantile(0.5)),
        ("p99", took.value_at_quantile(0.99)),
        ("p999", took.value_at_quantile(0.999)),
        ("max", took.max()),
    ]
}

/// A time for people.
pub fn time(took_us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown to people")]
    let ms = took_us as f64 / 1_000.0;
    if ms < 1_000.0 { format!("{ms:.2} ms") } else { format!("{:.2} s", ms / 1_000.0) }
}

fn each(what: &str, counts: &BTreeMap<String, u64>) -> Vec<(String, String)> {
    counts.iter().map(|(name, count)| (format!("{what} {name}"), count.to_string())).collect()
}

fn shown(name: &str, value: &Value) -> (String, String) {
    match (name.strip_suffix("_us"), value.as_u64()) {
        (Some(name), Some(took_us)) => (name.replace('_', " "), time(took_us)),
        _ => (name.replace('_', " "), value.to_string()),
    }
}

/// A number with as many digits as mean something.
pub fn rounded(value: f64, parts: f64) -> Value {
    ((value * parts).round() / parts).into()
}

//! What was measured, and how it is told.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Context as _;
use serde::Serialize;

use super::{
    scale::Series,
    table::{ROWS, Row, row_of},
};

/// Ratios by row, and the figures that they come from.
#[derive(Debug, Default)]
pub struct Results {
    ratios: BTreeMap<&'static str, Vec<f64>>,
    /// In the order in which they first came.
    figures: Vec<Figure>,
    pub series: Vec<Series>,
    /// What nodes are planned by, in Markdown.
    pub capacity: Option<String>,
}

#[derive(Debug)]
struct Figure {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

/// A row as machines read it.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    ratio: f64,
    min: f64,
    max: f64,
    must: Option<f64>,
    aim: Option<f64>,
}

/// The middle of the rounds, and their range.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[half],
            _ => f64::midpoint(sorted[half - 1], sorted[half]),
        };
        Some(Self { median, min, max })
    }
}

impl Results {
    /// One round's ratio of a row of the table.
    pub fn ratio(&mut self, name: &'static str, ratio: f64) -> anyhow::Result<()> {
        row_of(name).with_context(|| format!("{name} is no row"))?;
        anyhow::ensure!(ratio.is_finite(), "{name}: a contender came to nothing");
        self.ratios.entry(name).or_default().push(ratio);
        Ok(())
    }

    /// One round's figure of a contender; says it at once.
    pub fn figure(&mut self, name: &str, value: f64, unit: &'static str) {
        println!("    {name:<58} {:>10} {unit}", short(value));
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.values.push(value),
            None => self.figures.push(Figure { name: name.into(), unit, values: vec![value] }),
        }
    }

    fn rows(&self) -> impl Iterator<Item = (&'static Row, Spread)> {
        ROWS.iter().filter_map(|row| Some((row, Spread::of(self.ratios.get(row.name)?)?)))
    }

    /// The table for people, in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| what | ratio | min to max | must | aim | meets |\n|---|---|---|---|---|---|\n",
        );
        for (row, Spread { median, min, max }) in self.rows() {
            let bound = |bound: Option<f64>| bound.map(short).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} | {} to {} | {} | {} | {} |",
                row.says,
                short(median),
                short(min),
                short(max),
                bound(row.must),
                bound(row.aim),
                row.verdict(median),
            );
        }
        text.push_str("\n| contender | median | min to max | |\n|---|---|---|---|\n");
        for Figure { name, unit, values } in &self.figures {
            let Some(Spread { median, min, max }) = Spread::of(values) else { continue };
            let (median, min, max) = (short(median), short(min), short(max));
            let _ = writeln!(text, "| {name} | {median} | {min} to {max} | {unit} |");
        }
        text
    }

    /// One line of JSON a row.
    pub fn json_lines(&self) -> Vec<String> {
        let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
        let line = |(row, Spread { median, min, max }): (&Row, _)| {
            let (ratio, min, max) = (rounded(median), rounded(min), rounded(max));
            let line = Line { name: row.name, ratio, min, max, must: row.must, aim: row.aim };
            serde_json::to_string(&line).expect("it has no map")
        };
        self.rows().map(line).collect()
    }
}

/// Three digits or so.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

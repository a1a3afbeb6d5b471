//! A series: the same figures for more and more work, and whether they grow as they
//! should.

use std::fmt::Write as _;

use super::super::results::short;

/// How a figure should grow with the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Should {
    /// A cost that does not depend on it.
    Stay,
    /// A cost that is at most in proportion to it.
    Follow,
    /// A rate that does not fall.
    Hold,
}

/// Of the exponent with which a figure grows: noise, and constant parts.
const TOLERANCE: f64 = 0.15;

#[derive(Debug)]
pub struct Column {
    pub says: &'static str,
    pub unit: &'static str,
    pub should: Should,
}

pub const fn column(says: &'static str, unit: &'static str, should: Should) -> Column {
    Column { says, unit, should }
}

#[derive(Debug)]
pub struct Series {
    /// Of its picture's file.
    pub name: &'static str,
    /// What there is more and more of.
    pub of: &'static str,
    pub columns: &'static [Column],
    /// How much of it, and each column's figure then.
    pub points: Vec<(usize, Vec<f64>)>,
}

impl Series {
    pub const fn new(name: &'static str, of: &'static str, columns: &'static [Column]) -> Self {
        Self { name, of, columns, points: Vec::new() }
    }

    /// One point more; says it at once.
    pub fn push(&mut self, of: usize, figures: Vec<f64>) {
        println!("  {of} {}", self.of);
        for (column, figure) in self.columns.iter().zip(&figures) {
            println!("    {:<58} {:>10} {}", column.says, short(*figure), column.unit);
        }
        self.points.push((of, figures));
    }

    /// What a column is at each point; no less than what is told apart from nothing.
    #[expect(clippy::cast_precision_loss, reason = "drawn, and fitted")]
    pub fn curve(&self, column: usize) -> Vec<(f64, f64)> {
        let points = self.points.iter();
        points.map(|(of, figures)| (*of as f64, figures[column].max(0.05))).collect()
    }

    /// The p for which the figure grows as the work to the power of p: the slope of
    /// the line that fits best where both are drawn by their logarithms.
    pub fn power(&self, column: usize) -> f64 {
        let logs: Vec<_> = self.curve(column).iter().map(|&(x, y)| (x.ln(), y.ln())).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            logs.iter().map(of).sum::<f64>() / logs.iter().map(|_| 1.0).sum::<f64>()
        };
        let (x_mean, y_mean) = (mean(|log| log.0), mean(|log| log.1));
        let both = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>();
        both / logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum::<f64>()
    }

    fn verdict(&self, column: usize) -> (&'static str, &'static str) {
        let power = self.power(column);
        let (should, does) = match self.columns[column].should {
            Should::Stay => ("stay", power <= TOLERANCE),
            Should::Follow => ("grow in proportion at most", power <= 1.0 + TOLERANCE),
            Should::Hold => ("not fall", power >= -TOLERANCE),
        };
        (should, if does { "yes" } else { "no" })
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n![](scale/{}.svg)\n\n|", self.of, self.name);
        for (of, _) in &self.points {
            let _ = write!(text, " | {of}");
        }
        text.push_str(" | should | grows with the power | as it should |\n|");
        text.push_str(&"---|".repeat(self.points.len() + 4));
        for (i, Column { says, unit, .. }) in self.columns.iter().enumerate() {
            let _ = write!(text, "\n| {says}, {unit}");
            for (_, figures) in &self.points {
                let _ = write!(text, " | {}", short(figures[i]));
            }
            let (should, verdict) = self.verdict(i);
            let _ = write!(text, " | {should} | {:.2} | {verdict} |", self.power(i));
        }
        text + "\n\n"
    }
}

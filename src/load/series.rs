//! How times went over the run: one histogram for each step of a plot.

use std::time::Duration;

use super::meter::Step;
use crate::limits::{LOAD_MAX_STEPS, LOAD_TICK};

/// Steps of equal length; when there are too many, two become one.
#[derive(Debug)]
pub struct Series {
    ticks_per_step: u32,
    ticks: u32,
    steps: Vec<Step>,
}

/// Times of one step, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Its middle, from the start of the run.
    pub seconds: f64,
    pub p50_us: u64,
    pub p99_us: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self { ticks_per_step: 1, ticks: 0, steps: Vec::new() }
    }
}

impl Series {
    /// The calls of one tick more.
    pub fn push(&mut self, step: Step) {
        let is_new = self.ticks.is_multiple_of(self.ticks_per_step);
        self.ticks += 1;
        match self.steps.last_mut() {
            Some(last) if !is_new => last.add(&step).expect("all have the same bounds"),
            _ => self.steps.push(step),
        }
        let is_full = self.steps.len() == LOAD_MAX_STEPS;
        if is_full && self.ticks.is_multiple_of(self.ticks_per_step) {
            let pairs = self.steps.chunks(2).map(|pair| {
                let mut sum = pair[0].clone();
                pair[1..].iter().for_each(|step| sum += step);
                sum
            });
            self.steps = pairs.collect();
            self.ticks_per_step *= 2;
        }
    }

    /// How long each step is.
    pub fn step(&self) -> Duration {
        LOAD_TICK * self.ticks_per_step
    }

    /// The steps in which there were calls.
    pub fn points(&self) -> Vec<Point> {
        let length = self.step().as_secs_f64();
        let steps = (0_u32..).zip(&self.steps).filter(|(_, step)| !step.is_empty());
        let points = steps.map(|(n, step)| Point {
            seconds: (f64::from(n) + 0.5) * length,
            p50_us: step.value_at_quantile(0.5),
            p99_us: step.value_at_quantile(0.99),
        });
        points.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::meter::no_step, *};

    #[test]
    fn a_long_run_has_few_steps_and_loses_no_call() {
        let mut series = Series::default();
        let ticks = 1_000;
        for tick in 0..ticks {
            let mut step = no_step();
            step.saturating_record(if tick == 500 { 900_000 } else { 1_000 });
            series.push(step);
        }
        let points = series.points();
        assert!(points.len() < LOAD_MAX_STEPS, "{}", points.len());
        assert_eq!(series.steps.iter().map(Step::len).sum::<u64>(), 1_000);
        let (first, last) = (points[0].seconds, points[points.len() - 1].seconds);
        let length = series.step().as_secs_f64();
        let all = LOAD_TICK.as_secs_f64() * f64::from(ticks);
        assert!((last - first + length - all).abs() <= length, "{first} to {last} of {all}");
        let slow: Vec<_> = points.iter().filter(|point| point.p99_us > 800_000).collect();
        assert_eq!(slow.len(), 1);
        assert!((slow[0].seconds - all / 2.0).abs() <= length, "{:?}", slow[0]);
    }
}

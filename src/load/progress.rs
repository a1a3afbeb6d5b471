//! How a run goes on: shown on a terminal, and kept for a plot.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::JoinHandle, time::interval};
use tokio_util::sync::CancellationToken;

use super::{Run, meter::Step, report::time, series::Series};
use crate::limits::LOAD_TICK;

/// Parts of the bar.
const PARTS: u64 = 1_000;

/// Watches a run until it is told to end.
#[derive(Debug)]
pub struct Watch {
    end: CancellationToken,
    task: JoinHandle<Series>,
}

impl Watch {
    pub fn start(run: &Arc<Run>) -> Self {
        let end = CancellationToken::new();
        let task = tokio::spawn(watch(run.clone(), end.clone()));
        Self { end, task }
    }

    /// How it went.
    pub async fn end(self) -> Series {
        self.end.cancel();
        // A task that panicked has told so already, and has nothing to show.
        self.task.await.unwrap_or_default()
    }
}

async fn watch(run: Arc<Run>, end: CancellationToken) -> Series {
    let mut series = Series::default();
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::new(PARTS);
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:30} {msg}") {
        bar.set_style(style);
    }
    let mut ticks = interval(LOAD_TICK);
    ticks.tick().await;
    let mut over = false;
    while !over {
        tokio::select! {
            _ = ticks.tick() => {}
            () = end.cancelled() => over = true,
        }
        let step = run.meter.step();
        if !bar.is_hidden() {
            bar.set_position(run.parts_over(PARTS));
            bar.set_message(line(&run, &step));
        }
        // What goes before is no part of the run.
        if run.turns.get().is_some() {
            series.push(if run.plots_delays { run.delays.step() } else { step });
        }
    }
    bar.finish_and_clear();
    series
}

/// The calls so far, and the times of the last step.
fn line(run: &Run, step: &Step) -> String {
    let tally = run.meter.tally();
    let (refused, errors) =
        (tally.refusals.values().sum::<u64>(), tally.errors.values().sum::<u64>());
    let rate = u128::from(step.len()) * 1_000 / LOAD_TICK.as_millis();
    let [p50, p99] = [0.5, 0.99].map(|part| time(step.value_at_quantile(part)));
    format!("{} ok, {rate}/s, p50 {p50}, p99 {p99}, {refused} refused, {errors} errors", tally.ok)
}

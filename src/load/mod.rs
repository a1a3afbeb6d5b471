//! `holdfast load`: a load generator and a judge, as a client of running servers.
//!
//! A scenario plays (`hold.rs`, `confirm.rs`): its workers take turns (`pace.rs`),
//! call, note what each call took and came to (`meter.rs`), and write down what was
//! answered (`book.rs`). Afterwards that is checked, cleaned up, and told.

mod book;
mod check;
mod clean;
mod client;
mod confirm;
mod hold;
mod houses;
mod meter;
mod pace;
mod plot;
mod progress;
mod queue;
mod report;
mod retry;
mod sale;
mod series;
mod stream;

use std::{
    fs::File,
    io, mem,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::{LoadOptions, Scenario},
    limits::LOAD_MAX_VIOLATIONS_TOLD,
};
use book::Taken;
use client::Clients;
use houses::House;
use meter::Meter;
use pace::Turns;
use progress::Watch;
use report::{Played, Report};

/// What the command ends with.
const GOOD: u8 = 0;
const VIOLATIONS: u8 = 1;
const TROUBLE: u8 = 2;

/// One run, as its workers share it.
#[derive(Debug)]
pub struct Run {
    /// Of its events, holders and payments; nobody else has it.
    name: String,
    clients: Clients,
    houses: Arc<[House]>,
    /// Of calls.
    meter: Meter,
    /// From a change to those who watch.
    delays: Meter,
    /// Of the two, what is plotted.
    plots_delays: bool,
    turns: OnceLock<Arc<Turns>>,
    /// Interrupted.
    stopped: CancellationToken,
    check: bool,
    book: Mutex<Vec<Taken>>,
}

impl Run {
    /// The clock runs from now on.
    fn start(&self, calls: Option<u64>, time: Option<Duration>, rate: Option<u32>) {
        let turns = self.turns.get_or_init(|| Turns::new(calls, time, rate)).clone();
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            // Who is interrupted still learns what was measured, and cleans up.
            if interrupted().await.is_ok() {
                turns.stop();
                stopped.cancel();
            }
        });
    }

    fn turns(&self) -> &Turns {
        self.turns.get().expect("a scenario starts before it takes turns")
    }

    fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }

    /// Waits, but not for a run that is interrupted.
    async fn pause(&self, time: Duration) {
        let _ = timeout(time, self.stopped.cancelled()).await;
    }

    fn parts_over(&self, parts: u64) -> u64 {
        self.turns.get().map_or(0, |turns| turns.parts_over(parts))
    }

    fn write_down(&self, taken: impl IntoIterator<Item = Taken>) {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
    }
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Loads, tells, and answers with what to exit: 0, or 1 where an answer was not
/// true, or 2 where nothing could be measured.
pub async fn run(options: &LoadOptions) -> u8 {
    match load(options).await {
        Ok(0) => GOOD,
        Ok(_) => VIOLATIONS,
        Err(error) => {
            eprintln!("holdfast: {error:#}");
            TROUBLE
        }
    }
}

/// Answers how many answers were not true.
async fn load(options: &LoadOptions) -> anyhow::Result<usize> {
    let LoadOptions { scenario, common } = options;
    let (houses, need) = match scenario {
        Scenario::Hold(load) => (&load.houses, hold::need(load, common)?),
        Scenario::Confirm(load) => (&load.houses, confirm::need(load, common)?),
        Scenario::Sale(load) => (&load.houses, sale::need(load, common)?),
        Scenario::Stream(load) => (&load.houses, stream::need(load, common)?),
        Scenario::Queue(load) => (&load.houses, queue::need(load, common)?),
    };
    if let Some(path) = &common.plot {
        // Found now, not when all is over.
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let clients = Clients::connect(common).await?;
    let name = format!("load-{:08x}", Uuid::new_v4().as_fields().0);
    let run = Arc::new(Run {
        houses: houses::open(&clients, &name, houses, need).await?,
        name,
        clients,
        meter: Meter::default(),
        delays: Meter::default(),
        plots_delays: matches!(scenario, Scenario::Stream(_) | Scenario::Queue(_)),
        turns: OnceLock::new(),
        stopped: CancellationToken::new(),
        check: common.check,
        book: Mutex::default(),
    });
    let watch = Watch::start(&run);
    let played = play(&run, options).await;
    let series = watch.end().await;
    let taken = mem::take(&mut *run.book.lock().unwrap_or_else(PoisonError::into_inner));
    let checked = match common.check {
        true => Some(check::check(&run, &taken).await),
        false => None,
    };
    if !common.keep
        && let Err(error) = clean::clean(&run, &taken).await
    {
        eprintln!("holdfast: not all could be cleaned up: {error:#}");
    }
    let mut played = played?;
    if let Some(again) = run.clients.called_again() {
        played.tell("called_again", again);
    }
    if let Some(path) = &common.plot {
        let meter = if run.plots_delays { &run.delays } else { &run.meter };
        plot::draw(path, played.scenario, &series, &meter.tally().took)?;
    }
    let violations = checked.as_ref().and_then(|checked| checked.as_ref().ok());
    for violation in violations.into_iter().flatten().take(LOAD_MAX_VIOLATIONS_TOLD) {
        println!("{violation}");
    }
    for violation in played.violations.iter().take(LOAD_MAX_VIOLATIONS_TOLD) {
        println!("{violation}");
    }
    // What a scenario finds by itself counts, whether answers are checked or not.
    let count = match (violations.map(Vec::len), played.violations.len()) {
        (None, 0) => None,
        (checked, played) => Some(checked.unwrap_or(0) + played),
    };
    let report = Report { played: &played, tally: &run.meter.tally(), violations: count };
    match common.json {
        true => println!("{}", report.json()),
        false => print!("{}", report.table()),
    }
    // What was measured is told, even where it cannot be checked.
    checked.transpose()?;
    Ok(count.unwrap_or(0))
}

async fn play(run: &Arc<Run>, options: &LoadOptions) -> anyhow::Result<Played> {
    match &options.scenario {
        Scenario::Hold(load) => hold::play(run, load).await,
        Scenario::Confirm(load) => confirm::play(run, load).await,
        Scenario::Sale(load) => sale::play(run, load).await,
        Scenario::Stream(load) => stream::play(run, load, &options.common).await,
        Scenario::Queue(load) => queue::play(run, load).await,
    }
}

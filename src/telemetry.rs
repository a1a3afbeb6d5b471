//! Logs and metrics: how they are set up, and the name of every metric.

use std::{
    collections::HashMap,
    io::IsTerminal,
    sync::{LazyLock, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, filter::ParseError};

const CALLS: &str = "holdfast_rpc_calls_total";
const CALL_SECONDS: &str = "holdfast_rpc_call_seconds";
const SUBSCRIBERS: &str = "holdfast_stream_subscribers";
const STALLED: &str = "holdfast_stream_stalled_total";
const VIEWERS: &str = "holdfast_presence_viewers";
const PRESENCE_FAILED: &str = "holdfast_presence_failures_total";
const JOB_RUNS: &str = "holdfast_job_runs_total";
const JOB_SECONDS: &str = "holdfast_job_run_seconds";
const JOB_RESTARTS: &str = "holdfast_job_scheduler_restarts_total";
const STORE_UP: &str = "holdfast_store_up";
const JOURNALED: &str = "holdfast_journaled_entries_total";
const REPEATED: &str = "holdfast_outbox_repeated_total";
const PICKS: &str = "holdfast_picks_total";
const PICKS_REDONE: &str = "holdfast_picks_redone_total";
const PICKS_REFUSED: &str = "holdfast_picks_refused_total";
const REFUNDS: &str = "holdfast_refunds_open";
const RECONCILED: &str = "holdfast_reconcile_events_total";
const DELIVERIES: &str = "holdfast_deliveries_total";
const DELIVERIES_DUE: &str = "holdfast_deliveries_due";
const DEAD_LETTERS: &str = "holdfast_dead_letters";
const QUEUE_WAITING: &str = "holdfast_queue_waiting";
const LET_IN: &str = "holdfast_queue_admitted_total";
const REAPED: &str = "holdfast_queue_reaped_total";
const QUEUE_STREAMS: &str = "holdfast_queue_streams";
const UNPUBLISHED: &str = "holdfast_order_events_unpublished";
const PRELOADED: &str = "holdfast_preloaded_events_total";
const WAITING: &str = "holdfast_waiting_list_entries";
const OFFERS: &str = "holdfast_waiting_list_offers_total";
/// A counter, not a gauge: each minute another server may compare an event, and
/// a gauge would stay at what its server last saw. Alert on any increase.
const DIFFERENCES: &str = "holdfast_reconcile_differences_total";

/// Seconds: from a script call to a statement that waits for a lock.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 5.];

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error; `filter` as `RUST_LOG` has it.
///
/// # Errors
/// Where the filter cannot be read.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    // Statements' parameters have buyers' names and addresses: never, whatever is asked.
    let statements = "tokio_postgres::query=info".parse().expect("a directive");
    let filter = EnvFilter::try_new(filter)?.add_directive(statements);
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call, by another test of the same process, changes nothing.
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    Ok(())
}

/// The process's metrics, collected from the first call on.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        // Only fails where the process has another recorder: then that one has
        // the metrics, and this page is empty.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

fn describe() {
    describe_counter!(CALLS, "Finished calls, by method and code");
    describe_histogram!(CALL_SECONDS, "Time to a call's answer, or to a stream's first message");
    describe_gauge!(SUBSCRIBERS, "Open seat update streams");
    describe_counter!(STALLED, "Streams that were ended because nobody read them");
    describe_gauge!(VIEWERS, "Viewers whom open streams of this server name, by event once");
    describe_counter!(PRESENCE_FAILED, "Times that Redis could not be told of viewers, or asked");
    describe_counter!(JOB_RUNS, "Finished runs, by job and result");
    describe_histogram!(JOB_SECONDS, "Time of a run, by job");
    describe_counter!(JOB_RESTARTS, "Restarts of the job scheduler after a job stalled");
    describe_gauge!(STORE_UP, "1 while the store answers probes and is fit for service, else 0");
    describe_counter!(JOURNALED, "Log entries that this server journaled");
    describe_counter!(RECONCILED, "Events whose stores this server compared in the background");
    describe_counter!(DIFFERENCES, "Differences found by that, by kind; the log names each");
    describe_counter!(PICKS, "Times that seats were looked for as the best available");
    describe_counter!(PICKS_REDONE, "Picks that another server was faster with");
    describe_counter!(PICKS_REFUSED, "Picks for which there were no such seats");
    describe_gauge!(REFUNDS, "Refunds that are not given back yet, by state");
    describe_counter!(DELIVERIES, "Tries of deliveries, by target and result");
    describe_gauge!(DELIVERIES_DUE, "Deliveries of all servers that are not made yet, by target");
    describe_gauge!(DEAD_LETTERS, "Deliveries that are not tried any more, by target");
    describe_gauge!(UNPUBLISHED, "Order events without a number yet");
    describe_counter!(PRELOADED, "Events that this server preloaded because their sale opened");
    for (name, _, what) in CACHED {
        describe_counter!(name, what);
    }
    describe_gauge!(WAITING, "Entries of all waiting lists that have not ended, by state");
    describe_counter!(OFFERS, "Offers to waiting lists that this server made or saw end, by what");
    describe_gauge!(QUEUE_WAITING, "Places that wait in the queues of all events, of all servers");
    describe_counter!(LET_IN, "Places that this server's calls let in");
    describe_counter!(REAPED, "Places that this server's calls gave up: nothing was heard of them");
    describe_gauge!(QUEUE_STREAMS, "Open streams of positions in queues");
    describe_counter!(REPEATED, "Outbox rows that this server did for another, or again");
}

/// Shows every kind of difference as 0 from the start, so that the first one is
/// seen as an increase.
pub fn reconcile_kinds(kinds: &[&'static str]) {
    for &kind in kinds {
        counter!(DIFFERENCES, "kind" => kind).increment(0);
    }
}

/// Notes events that were compared.
pub fn reconciled(events: usize) {
    counter!(RECONCILED).increment(events as u64);
}

/// Notes a difference between the stores.
pub fn reconcile_difference(kind: &'static str) {
    counter!(DIFFERENCES, "kind" => kind).increment(1);
}

/// What is noted of a method's calls with one code. Found by both, for a name of
/// a metric and its labels costs more to look up than to count.
type Calls = HashMap<&'static str, HashMap<String, (Counter, Histogram)>>;

/// Notes that seats are looked for as the best available.
pub fn pick() {
    counter!(PICKS).increment(1);
}

/// Notes a pick that another server was faster with.
pub fn pick_redone() {
    counter!(PICKS_REDONE).increment(1);
}

/// Notes that there were no such seats.
pub fn pick_refused() {
    counter!(PICKS_REFUSED).increment(1);
}

/// Notes a finished call. `method` is one that exists.
pub fn call(method: &str, code: &'static str, took: Duration) {
    static NOTED: LazyLock<RwLock<Calls>> = LazyLock::new(RwLock::default);
    let note = |(calls, seconds): &(Counter, Histogram)| {
        calls.increment(1);
        seconds.record(took);
    };
    let noted = NOTED.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = noted.get(code).and_then(|methods| methods.get(method)) {
        return note(metrics);
    }
    drop(noted);
    let calls = counter!(CALLS, "method" => method.to_owned(), "code" => code);
    let seconds = histogram!(CALL_SECONDS, "method" => method.to_owned());
    let metrics = (calls, seconds);
    note(&metrics);
    let mut noted = NOTED.write().unwrap_or_else(PoisonError::into_inner);
    noted.entry(code).or_default().insert(method.to_owned(), metrics);
}

/// An open stream, counted until it is dropped.
#[derive(Debug)]
pub struct Subscriber(());

/// Counts a stream.
pub fn subscriber() -> Subscriber {
    gauge!(SUBSCRIBERS).increment(1);
    Subscriber(())
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        gauge!(SUBSCRIBERS).decrement(1);
    }
}

/// Notes a stream that was ended because nobody read it.
pub fn stream_stalled() {
    counter!(STALLED).increment(1);
}

/// Counts a viewer of an event by his streams here.
pub fn viewer_came() {
    gauge!(VIEWERS).increment(1);
}

/// His last one has ended.
pub fn viewer_went() {
    gauge!(VIEWERS).decrement(1);
}

/// Notes that an event's presence could not be kept or asked for.
pub fn presence_failed() {
    counter!(PRESENCE_FAILED).increment(1);
}

/// An open stream of a place's position, counted until it is dropped.
#[derive(Debug)]
pub struct QueueStream(());

/// Counts a stream of a place's position.
pub fn queue_stream() -> QueueStream {
    gauge!(QUEUE_STREAMS).increment(1);
    QueueStream(())
}

impl Drop for QueueStream {
    fn drop(&mut self) {
        gauge!(QUEUE_STREAMS).decrement(1);
    }
}

/// Notes places that were let in, and such as were given up.
pub fn let_in(admitted: u64, reaped: u64) {
    counter!(LET_IN).increment(admitted);
    counter!(REAPED).increment(reaped);
}

/// Notes how many wait.
#[expect(clippy::cast_precision_loss, reason = "exact far beyond what Redis holds")]
pub fn queue_waiting(places: u64) {
    gauge!(QUEUE_WAITING).set(places as f64);
}

/// Notes a finished run of a job.
pub fn job_run(job: &'static str, result: &'static str, took: Duration) {
    counter!(JOB_RUNS, "job" => job, "result" => result).increment(1);
    histogram!(JOB_SECONDS, "job" => job).record(took);
}

/// Notes that the scheduler was restarted.
pub fn job_scheduler_restarted() {
    counter!(JOB_RESTARTS).increment(1);
}

/// Notes whether a store is fit for service.
pub fn store_up(store: &'static str, up: bool) {
    gauge!(STORE_UP, "store" => store).set(f64::from(u8::from(up)));
}

/// Notes entries journaled.
pub fn journaled(entries: usize) {
    counter!(JOURNALED).increment(entries as u64);
}

/// Notes how many refunds wait in a state.
#[expect(clippy::cast_precision_loss, reason = "counts of refunds are small")]
pub fn open_refunds(state: &'static str, count: i64) {
    gauge!(REFUNDS, "state" => state).set(count as f64);
}

/// Notes outbox rows done again.
pub fn outbox_repeated(rows: usize) {
    counter!(REPEATED).increment(rows as u64);
}

/// Notes a try of a delivery.
pub fn delivery(target: &'static str, result: &'static str) {
    counter!(DELIVERIES, "target" => target, "result" => result).increment(1);
}

/// Notes how much is on its way to one kind of target, and how much is given up.
pub fn deliveries(target: &'static str, due: i64, dead: i64) {
    #[expect(clippy::cast_precision_loss, reason = "exact far beyond what a table holds")]
    let (due, dead) = (due as f64, dead as f64);
    gauge!(DELIVERIES_DUE, "target" => target).set(due);
    gauge!(DEAD_LETTERS, "target" => target).set(dead);
}

/// Notes order events that have no number yet.
pub fn unpublished(events: i64) {
    #[expect(clippy::cast_precision_loss, reason = "exact far beyond what a table holds")]
    gauge!(UNPUBLISHED).set(events as f64);
}

/// Which cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheName {
    Search,
    Home,
    Detail,
}

impl CacheName {
    pub const ALL: [Self; 3] = [Self::Search, Self::Home, Self::Detail];

    fn label(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Home => "home",
            Self::Detail => "detail",
        }
    }
}

/// What became of a question to a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    Hit,
    Miss,
    Fill,
    Wait,
    Bypass,
    Invalidation,
}

const CACHED: [(&str, Cached, &str); 6] = [
    ("holdfast_cache_hits_total", Cached::Hit, "Answers from a cache, by cache"),
    ("holdfast_cache_misses_total", Cached::Miss, "Questions that a cache had no answer to"),
    ("holdfast_cache_fills_total", Cached::Fill, "Reads of Postgres for a cache"),
    ("holdfast_cache_waits_total", Cached::Wait, "Misses that waited for somebody else's read"),
    ("holdfast_cache_bypasses_total", Cached::Bypass, "Reads of Postgres while Redis was away"),
    ("holdfast_cache_invalidations_total", Cached::Invalidation, "Changes that ended answers"),
];

/// Shows all that is counted of caches as 0 from the start.
pub fn caches() {
    for cache in CacheName::ALL {
        for (name, ..) in CACHED {
            counter!(name, "cache" => cache.label()).increment(0);
        }
    }
    counter!(PRELOADED).increment(0);
}

/// Notes what became of a question to a cache.
pub fn cached(cache: CacheName, what: Cached) {
    let name = CACHED.iter().find(|(_, known, _)| *known == what).map_or("", |(name, ..)| name);
    counter!(name, "cache" => cache.label()).increment(1);
}

/// Notes an event that was preloaded.
pub fn preloaded() {
    counter!(PRELOADED).increment(1);
}

/// Notes entries of waiting lists in a state.
pub fn waiting(state: &'static str, entries: i64) {
    #[expect(clippy::cast_precision_loss, reason = "exact far beyond what a table holds")]
    gauge!(WAITING, "state" => state).set(entries as f64);
}

/// Notes offers that were made, or how they ended.
pub fn offers(what: &'static str, count: u64) {
    counter!(OFFERS, "what" => what).increment(count);
}

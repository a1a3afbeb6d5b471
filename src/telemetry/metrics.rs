//! How what is counted is kept, and who says what is to be counted.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use metrics::{Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::names::{
    CALL_SECONDS, CALLS_UNLOGGED, DEAD_LETTERS, DELIVERIES, DELIVERIES_DUE, DIFFERENCES, FAULTS,
    JOB_RESTARTS, JOB_RUNS, JOB_SECONDS, JOURNALED, LET_IN, OFFERS, PICKS, PICKS_REDONE,
    PICKS_REFUSED, PRELOADED, PRESENCE_FAILED, QUEUE_STREAMS, QUEUE_WAITING, REAPED, RECONCILED,
    RECONCILED_AT, REFUNDS, REPEATED, SPANS, SPANS_DROPPED, STALLED, STORE_UP, STREAM_LAG,
    SUBSCRIBERS, SWEEP_LAG, UNPUBLISHED, VIEWERS, WAITING, describe,
};

/// Seconds: from a script call to a statement that waits for a lock.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 5.];

/// Seconds that something is late: an alert's bound is one of them, or it would be told of
/// less.
const LAG_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2., 4., 10., 30.];

/// The process's metrics, collected from the first call on.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        // The whole name goes before the end of one.
        let lag = |name: &str| Matcher::Full(name.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(lag(SWEEP_LAG), &LAG_BUCKETS))
            .and_then(|builder| builder.set_buckets_for_metric(lag(STREAM_LAG), &LAG_BUCKETS))
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        // Only fails where the process has another recorder: then that one has
        // the metrics, and this page is empty.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        super::stores::begin();
        handle
    })
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

/// Notes that a round of comparisons has ended well.
pub fn reconciled_now() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(RECONCILED_AT).set(now.as_secs_f64());
}

/// Notes a difference between the stores.
pub fn reconcile_difference(kind: &'static str) {
    counter!(DIFFERENCES, "kind" => kind).increment(1);
}

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

/// A method's calls that end with one code. Found by both, for a name of a metric and its
/// labels costs more to look up than to count.
type Calls = HashMap<&'static str, HashMap<String, Histogram>>;

/// Notes a finished call. `method` is one that exists, `/service/Method`.
pub fn call(method: &str, code: &'static str, took: Duration) {
    static NOTED: LazyLock<RwLock<Calls>> = LazyLock::new(RwLock::default);
    let noted = NOTED.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(seconds) = noted.get(code).and_then(|methods| methods.get(method)) {
        return seconds.record(took);
    }
    drop(noted);
    let name = method.strip_prefix('/').unwrap_or(method).to_owned();
    let seconds = histogram!(CALL_SECONDS, "rpc_system_name" => "grpc", "rpc_method" => name,
        "rpc_response_status_code" => code);
    seconds.record(took);
    let mut noted = NOTED.write().unwrap_or_else(PoisonError::into_inner);
    noted.entry(code).or_default().insert(method.to_owned(), seconds);
}

/// Notes a failed call that is not logged.
pub(super) fn call_unlogged() {
    counter!(CALLS_UNLOGGED).increment(1);
}

/// Notes a call that ended with a fault of ours.
pub(super) fn fault() {
    counter!(FAULTS).increment(1);
}

/// Notes spans that a collector took.
pub(super) fn spans_exported(spans: u64) {
    counter!(SPANS).increment(spans);
}

/// Notes spans that nobody gets.
pub(super) fn spans_dropped(why: &'static str, spans: u64) {
    counter!(SPANS_DROPPED, "why" => why).increment(spans);
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

const CACHED: [(&str, Cached); 6] = [
    ("holdfast_cache_hits_total", Cached::Hit),
    ("holdfast_cache_misses_total", Cached::Miss),
    ("holdfast_cache_fills_total", Cached::Fill),
    ("holdfast_cache_waits_total", Cached::Wait),
    ("holdfast_cache_bypasses_total", Cached::Bypass),
    ("holdfast_cache_invalidations_total", Cached::Invalidation),
];

/// Shows all that is counted of caches as 0 from the start.
pub fn caches() {
    for cache in CacheName::ALL {
        for (name, _) in CACHED {
            counter!(name, "cache" => cache.label()).increment(0);
        }
    }
    counter!(PRELOADED).increment(0);
}

/// Notes what became of a question to a cache.
pub fn cached(cache: CacheName, what: Cached) {
    let name = CACHED.iter().find(|(_, known)| *known == what).map_or("", |(name, _)| name);
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

//! The name of every metric. `docs/OBSERVABILITY.md` has the same table; a test compares
//! them.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Since the server's start.
    Counter,
    /// Now.
    Gauge,
    /// In buckets, with `_count` and `_sum`.
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub what: &'static str,
}

/// Tells the exporter what each is.
pub(super) fn describe() {
    for Metric { name, kind, what, .. } in ALL {
        match kind {
            Kind::Counter => describe_counter!(*name, *what),
            Kind::Gauge => describe_gauge!(*name, *what),
            Kind::Histogram => describe_histogram!(*name, *what),
        }
    }
}

pub(super) const CALL_SECONDS: &str = "rpc_server_call_duration_seconds";
pub(super) const CALLS_UNLOGGED: &str = "holdfast_failed_calls_unlogged_total";
/// Without labels, so that it is there before the first of them.
pub(super) const FAULTS: &str = "holdfast_faults_total";
pub(super) const IN_FLIGHT: &str = "holdfast_rpc_in_flight";
pub(super) const SHED: &str = "holdfast_rpc_shed_total";
pub(super) const CONNECTIONS: &str = "holdfast_connections";
pub(super) const CLOSED: &str = "holdfast_connections_closed_total";
pub(super) const RELOADS: &str = "holdfast_reloads_total";
pub(super) const HANDSHAKES: &str = "holdfast_tls_handshakes_total";
pub(super) const HOLDS_OPEN: &str = "holdfast_holds_open";
pub(super) const HOLDS_MADE: &str = "holdfast_holds_made_total";
pub(super) const HOLDS_ENDED: &str = "holdfast_holds_ended_total";
pub(super) const SWEEP_LAG: &str = "holdfast_hold_expiry_lag_seconds";
pub(super) const UNJOURNALED: &str = "holdfast_unjournaled_age_seconds";
pub(super) const SUBSCRIBERS: &str = "holdfast_stream_subscribers";
pub(super) const STALLED: &str = "holdfast_stream_stalled_total";
pub(super) const VIEWERS: &str = "holdfast_presence_viewers";
pub(super) const PRESENCE_FAILED: &str = "holdfast_presence_failures_total";
pub(super) const JOB_RUNS: &str = "holdfast_job_runs_total";
pub(super) const JOB_SECONDS: &str = "holdfast_job_run_seconds";
pub(super) const JOB_RESTARTS: &str = "holdfast_job_scheduler_restarts_total";
pub(super) const STORE_UP: &str = "holdfast_store_up";
pub(super) const JOURNALED: &str = "holdfast_journaled_entries_total";
pub(super) const RECONCILED: &str = "holdfast_reconcile_events_total";
/// A counter, not a gauge: each minute another server may compare an event, and
/// a gauge would stay at what its server last saw. Alert on any increase.
pub(super) const DIFFERENCES: &str = "holdfast_reconcile_differences_total";
pub(super) const RECONCILED_AT: &str = "holdfast_reconcile_last_time_seconds";
pub(super) const PICKS: &str = "holdfast_picks_total";
pub(super) const PICKS_REDONE: &str = "holdfast_picks_redone_total";
pub(super) const PICKS_REFUSED: &str = "holdfast_picks_refused_total";
pub(super) const REFUNDS: &str = "holdfast_refunds_open";
pub(super) const DELIVERIES: &str = "holdfast_deliveries_total";
pub(super) const DELIVERIES_DUE: &str = "holdfast_deliveries_due";
pub(super) const DEAD_LETTERS: &str = "holdfast_dead_letters";
pub(super) const UNPUBLISHED: &str = "holdfast_order_events_unpublished";
pub(super) const PRELOADED: &str = "holdfast_preloaded_events_total";
pub(super) const WAITING: &str = "holdfast_waiting_list_entries";
pub(super) const OFFERS: &str = "holdfast_waiting_list_offers_total";
pub(super) const QUEUE_WAITING: &str = "holdfast_queue_waiting";
pub(super) const LET_IN: &str = "holdfast_queue_admitted_total";
pub(super) const REAPED: &str = "holdfast_queue_reaped_total";
pub(super) const QUEUE_STREAMS: &str = "holdfast_queue_streams";
pub(super) const REPEATED: &str = "holdfast_outbox_repeated_total";
pub(super) const STREAM_LAG: &str = "holdfast_stream_lag_seconds";
pub(super) const RESYNCS: &str = "holdfast_stream_resyncs_total";
pub(super) const OUTBOX_OPEN: &str = "holdfast_outbox_open";
pub(super) const OUTBOX_AGE: &str = "holdfast_outbox_age_seconds";
pub(super) const ORDERS_PENDING: &str = "holdfast_orders_pending";
pub(super) const PAYMENTS_OPEN: &str = "holdfast_payments_open";
pub(super) const ORDER_EVENTS: &str = "holdfast_order_events_total";
pub(super) const BATCH_WAITING: &str = "holdfast_batch_waiting";
pub(super) const POOL: &str = "holdfast_pool_connections";
pub(super) const POOL_WAITING: &str = "holdfast_pool_waiting";
pub(super) const SPANS: &str = "holdfast_spans_exported_total";
pub(super) const SPANS_DROPPED: &str = "holdfast_spans_dropped_total";

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    what: &'static str,
) -> Metric {
    Metric { name, kind, labels, what }
}

use Kind::{Counter, Gauge, Histogram};

/// All of them.
#[rustfmt::skip]
pub const ALL: &[Metric] = &[
    metric(CALL_SECONDS, Histogram, &["rpc_system_name", "rpc_method", "rpc_response_status_code"],
        "Time to a call's answer, or to a stream's first message"),
    metric(CALLS_UNLOGGED, Counter, &[],
        "Failed calls without a line in the log, for there were many alike"),
    metric(FAULTS, Counter, &[],
        "Calls that ended with a fault of ours: INTERNAL, UNKNOWN, DATA_LOSS"),
    metric(IN_FLIGHT, Gauge, &["kind"],
        "Calls that have begun and not ended, by kind"),
    metric(SHED, Counter, &["limit"],
        "Calls that a limit refused before they were read, by limit"),
    metric(CONNECTIONS, Gauge, &["door"],
        "Open connections, by door"),
    metric(CLOSED, Counter, &["door", "limit"],
        "Connections that a limit closed, by door and limit"),
    metric(RELOADS, Counter, &["what", "result"],
        "Files and keys that changed, by what they are and result"),
    metric(HANDSHAKES, Counter, &["door", "result"],
        "TLS handshakes, by door and result"),
    metric(HOLDS_OPEN, Gauge, &[],
        "Holds of all events that have not ended, as this server saw them last"),
    metric(HOLDS_MADE, Counter, &[],
        "Holds that this server journaled as new"),
    metric(HOLDS_ENDED, Counter, &["outcome"],
        "Holds that this server ended in Postgres, by how"),
    metric(SWEEP_LAG, Histogram, &[],
        "How late the oldest hold of a sweep was"),
    metric(UNJOURNALED, Gauge, &[],
        "Age of the oldest log entry that the journal found last, or how long it has not run well"),
    metric(SUBSCRIBERS, Gauge, &[],
        "Open seat update streams"),
    metric(STALLED, Counter, &[],
        "Streams that were ended because nobody read them"),
    metric(VIEWERS, Gauge, &[],
        "Viewers whom open streams of this server name, by event once"),
    metric(PRESENCE_FAILED, Counter, &[],
        "Times that Redis could not be told of viewers, or asked"),
    metric(JOB_RUNS, Counter, &["job", "result"],
        "Finished runs, by job and result"),
    metric(JOB_SECONDS, Histogram, &["job"],
        "Time of a run, by job"),
    metric(JOB_RESTARTS, Counter, &[],
        "Restarts of the job scheduler after a job stalled"),
    metric(STORE_UP, Gauge, &["store"],
        "1 while the store answers probes and is fit for service, else 0"),
    metric(JOURNALED, Counter, &[],
        "Log entries that this server journaled"),
    metric(RECONCILED, Counter, &[],
        "Events whose stores this server compared in the background"),
    metric(DIFFERENCES, Counter, &["kind"],
        "Differences found by that, by kind; the log names each"),
    metric(RECONCILED_AT, Gauge, &[],
        "When this server last ended a round of that well, since 1970"),
    metric(PICKS, Counter, &[],
        "Times that seats were looked for as the best available"),
    metric(PICKS_REDONE, Counter, &[],
        "Picks that another server was faster with"),
    metric(PICKS_REFUSED, Counter, &[],
        "Picks for which there were no such seats"),
    metric(REFUNDS, Gauge, &["state"],
        "Refunds that are not given back yet, by state"),
    metric(DELIVERIES, Counter, &["target", "result"],
        "Tries of deliveries, by target and result"),
    metric(DELIVERIES_DUE, Gauge, &["target"],
        "Deliveries of all servers that are not made yet, by target"),
    metric(DEAD_LETTERS, Gauge, &["target"],
        "Deliveries that are not tried any more, by target"),
    metric(UNPUBLISHED, Gauge, &[],
        "Order events without a number yet"),
    metric(PRELOADED, Counter, &[],
        "Events that this server preloaded because their sale opened"),
    metric(WAITING, Gauge, &["state"],
        "Entries of all waiting lists that have not ended, by state"),
    metric(OFFERS, Counter, &["what"],
        "Offers to waiting lists that this server made or saw end, by what"),
    metric(QUEUE_WAITING, Gauge, &[],
        "Places that wait in the queues of all events, of all servers"),
    metric(LET_IN, Counter, &[],
        "Places that this server's calls let in"),
    metric(REAPED, Counter, &[],
        "Places that this server's calls gave up: nothing was heard of them"),
    metric(QUEUE_STREAMS, Gauge, &[],
        "Open streams of positions in queues"),
    metric(REPEATED, Counter, &[],
        "Outbox rows that this server did for another, or again"),
    metric(STREAM_LAG, Histogram, &[],
        "Time from a change in Redis to this server having read it for its streams"),
    metric(RESYNCS, Counter, &[],
        "Snapshots sent to readers that had a position, for they were too far behind"),
    metric(OUTBOX_OPEN, Gauge, &[],
        "Outbox rows of all servers that are not done"),
    metric(OUTBOX_AGE, Gauge, &[],
        "Age of the oldest of them"),
    metric(ORDERS_PENDING, Gauge, &[],
        "Orders that wait for their payment"),
    metric(PAYMENTS_OPEN, Gauge, &["state"],
        "Payments under way, or paid 30 s ago and not settled with their order, by state"),
    metric(ORDER_EVENTS, Counter, &["kind"],
        "Order events that this server numbered, by kind: paid, cancelled, refunded, expired"),
    metric(BATCH_WAITING, Gauge, &["batch"],
        "Asks that wait at this server for the call or statement before theirs"),
    metric(POOL, Gauge, &["pool", "state"],
        "This server's pooled connections"),
    metric(POOL_WAITING, Gauge, &["pool"],
        "Who waits for one"),
    metric(SPANS, Counter, &[],
        "Spans that the collector took"),
    metric(SPANS_DROPPED, Counter, &["why"],
        "Spans that had no room in the queue, or were not taken"),
    metric("holdfast_cache_hits_total", Counter, &["cache"],
        "Answers from a cache, by cache"),
    metric("holdfast_cache_misses_total", Counter, &["cache"],
        "Questions that a cache had no answer to"),
    metric("holdfast_cache_fills_total", Counter, &["cache"],
        "Reads of Postgres for a cache"),
    metric("holdfast_cache_waits_total", Counter, &["cache"],
        "Misses that waited for somebody else's read"),
    metric("holdfast_cache_bypasses_total", Counter, &["cache"],
        "Reads of Postgres while Redis was away"),
    metric("holdfast_cache_invalidations_total", Counter, &["cache"],
        "Changes that ended answers"),
];

//! What is counted of holds, orders, and of the ways to the stores.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use metrics::{counter, gauge, histogram};
use tokio::time::Instant;

use super::names::{
    ALL, BATCH_WAITING, HOLDS_ENDED, HOLDS_MADE, HOLDS_OPEN, Kind, ORDER_EVENTS, ORDERS_PENDING,
    OUTBOX_AGE, OUTBOX_OPEN, PAYMENTS_OPEN, POOL, POOL_WAITING, RESYNCS, SPANS_DROPPED, STREAM_LAG,
    SWEEP_LAG, UNJOURNALED,
};

/// How holds end.
const OUTCOMES: [&str; 4] = ["confirmed", "expired", "lost", "released"];

/// Shows what is counted as 0 from the start, so that the first is seen as an increase.
pub(super) fn begin() {
    for outcome in OUTCOMES {
        counter!(HOLDS_ENDED, "outcome" => outcome).increment(0);
    }
    for metric in ALL.iter().filter(|metric| metric.labels.is_empty()) {
        match metric.kind {
            Kind::Counter => counter!(metric.name).increment(0),
            Kind::Gauge => gauge!(metric.name).increment(0),
            Kind::Histogram => {}
        }
    }
    for why in ["queue", "export"] {
        counter!(SPANS_DROPPED, "why" => why).increment(0);
    }
}

/// Notes new holds.
pub fn holds_made(holds: usize) {
    counter!(HOLDS_MADE).increment(holds as u64);
}

/// Notes holds that ended so.
pub fn holds_ended(outcome: &'static str, holds: usize) {
    if holds > 0 {
        counter!(HOLDS_ENDED, "outcome" => outcome).increment(holds as u64);
    }
}

/// Notes how many holds have not ended.
pub fn holds_open(holds: u64) {
    #[expect(clippy::cast_precision_loss, reason = "exact far beyond what Redis holds")]
    gauge!(HOLDS_OPEN).set(holds as f64);
}

/// Notes how late the oldest hold of a sweep is.
pub fn sweep_lag(late: Duration) {
    histogram!(SWEEP_LAG).record(late);
}

/// Notes how the journal stands: the age of the oldest entry that a run found, or `None`
/// where it did not come to its end.
pub fn journal_run(oldest: Option<Duration>) {
    static WELL: Mutex<Option<Instant>> = Mutex::new(None);
    let mut well = WELL.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let age = match oldest {
        Some(oldest) => {
            *well = Some(now);
            oldest
        }
        None => well.get_or_insert(now).elapsed(),
    };
    gauge!(UNJOURNALED).set(age);
}

/// How long ago that was, by a clock that may differ a little from ours.
pub fn since_ms(at_ms: i64) -> Duration {
    let at = Duration::from_millis(at_ms.try_into().unwrap_or_default());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(at)
}

/// Notes how late this server's streams hear of a change.
pub fn stream_lag(lag: Duration) {
    histogram!(STREAM_LAG).record(lag);
}

/// Notes a snapshot for a reader that was too far behind.
pub fn stream_resynced() {
    counter!(RESYNCS).increment(1);
}

/// Notes what Redis is still to be told of, and since when.
pub fn outbox(open: i64, oldest: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "exact far beyond what a table holds")]
    gauge!(OUTBOX_OPEN).set(open as f64);
    gauge!(OUTBOX_AGE).set(oldest);
}

/// Notes what is not paid, or not settled.
pub fn checkout(orders_pending: i64, payments_begun: i64, payments_unsettled: i64) {
    #[expect(clippy::cast_precision_loss, reason = "exact far beyond what a table holds")]
    let [orders, begun, unsettled] =
        [orders_pending, payments_begun, payments_unsettled].map(|count| count as f64);
    gauge!(ORDERS_PENDING).set(orders);
    gauge!(PAYMENTS_OPEN, "state" => "begun").set(begun);
    gauge!(PAYMENTS_OPEN, "state" => "unsettled").set(unsettled);
}

/// Notes order events that were given numbers.
pub fn order_events(kind: String, events: i64) {
    let events = events.try_into().unwrap_or_default();
    counter!(ORDER_EVENTS, "kind" => kind).increment(events);
}

/// Connections of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    pub used: usize,
    pub idle: usize,
    /// Who waits for one.
    pub waiting: usize,
}

/// Notes how a pool is used.
pub fn pool(pool: &'static str, state: PoolState) {
    #[expect(clippy::cast_precision_loss, reason = "pools are small")]
    let [used, idle, waiting] = [state.used, state.idle, state.waiting].map(|count| count as f64);
    gauge!(POOL, "pool" => pool, "state" => "used").set(used);
    gauge!(POOL, "pool" => pool, "state" => "idle").set(idle);
    gauge!(POOL_WAITING, "pool" => pool).set(waiting);
}

/// Notes how many wait for a call or statement that carries many.
pub fn batch_waiting(batch: &'static str, asks: usize) {
    #[expect(clippy::cast_precision_loss, reason = "bounded by limits")]
    gauge!(BATCH_WAITING, "batch" => batch).set(asks as f64);
}

//! The rows: what is compared with what, and what it must come to.

/// On which side of its bound a ratio is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Good {
    High,
    Low,
}

/// One comparison.
#[derive(Debug)]
pub struct Row {
    /// Short, and the same for ever: the name for machines.
    pub name: &'static str,
    pub says: &'static str,
    pub good: Good,
    /// `None` where it is told for comparison alone.
    pub must: Option<f64>,
    pub aim: Option<f64>,
}

const fn row(name: &'static str, good: Good, must: f64, aim: f64, says: &'static str) -> Row {
    Row { name, says, good, must: Some(must), aim: Some(aim) }
}

const fn context(name: &'static str, good: Good, says: &'static str) -> Row {
    Row { name, says, good, must: None, aim: None }
}

use Good::{High, Low};

pub const ROWS: &[Row] = &[
    row(
        "hold_hot_to_evalsha",
        High,
        1.5,
        2.0,
        "Hold, one hot event, 512 in flight / raw EVALSHA of the single-hold script",
    ),
    row("hold_hot_to_echo", High, 0.55, 0.75, "the same / tonic echo of the same messages"),
    row("hold_by_tonic_to_echo", High, 0.55, 0.75, "both by tonic's own client"),
    row(
        "hold_100_to_evalsha",
        High,
        1.3,
        1.8,
        "Hold, 100 events, 512 in flight / raw EVALSHA on 100 events",
    ),
    row(
        "hold_coalesced_1",
        High,
        1.0,
        1.3,
        "Hold coalesced / not coalesced, 64 in flight, 1 event",
    ),
    row("hold_coalesced_100", High, 1.0, 1.3, "the same, 100 events"),
    row(
        "hold_p99_in_round_trips",
        Low,
        3.0,
        2.0,
        "Hold p99 at half the highest rate / median round trip of raw EVALSHA at that rate",
    ),
    context("hold_p99_to_p99", Low, "the same p99 / p99 of raw EVALSHA at that rate"),
    row(
        "idle_p50",
        Low,
        1.05,
        1.0,
        "Hold p50 at one in flight, coalesced / not coalesced (5% is noise)",
    ),
    row(
        "fair_hot_to_spread",
        Low,
        2.0,
        1.0,
        "Hold p99 at cold events, 512 in flight at one other event / at 100 others",
    ),
    context("fair_hot_to_alone", Low, "the same / while nothing else happens"),
    row(
        "confirm_to_statement",
        High,
        0.85,
        1.0,
        "Confirm, 64 in flight / pgbench, 64 clients, the same statement",
    ),
    row(
        "confirm_to_transaction",
        High,
        1.6,
        2.0,
        "Confirm, 64 in flight, 20% on a hot event / pgbench, 16 clients, BEGIN..COMMIT of the \
         same work",
    ),
    context("confirm_to_transaction_64", High, "the same / pgbench, 64 clients"),
    context("confirm_to_bare", High, "the same / pgbench, 16 clients, without fence and journal"),
    row(
        "stream_cpu",
        Low,
        0.65,
        0.5,
        "stream, 10,000 subscribers: CPU per message / tonic's default",
    ),
    row("stream_memory", Low, 0.45, 0.3, "stream: memory per subscriber / tonic's default"),
    row("stream_p99", Low, 0.5, 0.3, "stream, 10,000 subscribers: p99 of the delay / tick"),
    row(
        "stream_siblings",
        High,
        0.95,
        1.0,
        "delivery within 1 s to healthy siblings, one reader in ten stalled / none stalled",
    ),
    context("stream_siblings_late", High, "the same, however late it came"),
    row(
        "stream_siblings_advised",
        High,
        0.95,
        1.0,
        "the same within 1 s, with the connection windows that docs/STREAMING.md advises",
    ),
    row(
        "sweep_stall_ms",
        Low,
        20.0,
        5.0,
        "100,000 holds expire in one second: the longest Hold meanwhile, ms",
    ),
    context("hold_to_peer", High, "Hold, 512 in flight / FastAPI, SET NX EX, 4 workers"),
    context("confirm_to_peer", High, "Confirm, 64 in flight / FastAPI, unique insert, 4 workers"),
];

pub fn row_of(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

impl Row {
    /// What a ratio meets of the row's bounds.
    pub fn verdict(&self, ratio: f64) -> &'static str {
        let meets = |bound: f64| match self.good {
            High => ratio >= bound,
            Low => ratio <= bound,
        };
        match (self.must, self.aim) {
            (_, Some(aim)) if meets(aim) => "aim",
            (Some(must), _) if meets(must) => "must",
            (Some(_), _) => "MISSED",
            (None, _) => "",
        }
    }
}

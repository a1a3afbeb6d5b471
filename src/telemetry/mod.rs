//! Logs, metrics and traces: how they are set up, and the name of every metric and span.
//!
//! What a call is, and whether it is traced, is with the task that works on it
//! (`here.rs`): whoever logs, counts or opens a span need not be told. `docs/OBSERVABILITY.md`
//! says how all of it is read.

mod calls;
mod doors;
mod export;
mod here;
mod logs;
mod metrics;
mod names;
mod spans;
mod stores;
mod traceparent;

pub use calls::{Call, cause, failed_call, ids, reason, request};
pub use doors::{connection_closed, connections, handshake, in_flight, limits, reloaded, shed};
pub use export::{SetupError, TraceSettings, end_traces, start_traces};
pub use here::{Trace, carried};
pub use logs::{LogFormat, init_logs};
pub use metrics::*;
pub use names::{ALL, Kind, Metric};
pub use spans::{Span, flow, in_job, outward, script, statement, together, wait};
pub use stores::*;

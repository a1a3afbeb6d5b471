//! Bounds of what is told of this server.

use std::time::Duration;

/// Lines about calls of one method that fail for one reason, in a second; the next line
/// tells how many were left out.
pub const FAILED_CALLS_LOGGED_PER_SECOND: u64 = 10;
/// The part of calls that are traced where nothing else is said.
pub const DEFAULT_TRACES_RATIO: &str = "0.01";
/// Spans that wait for the collector, some 500 bytes each; what comes beyond is dropped.
pub const SPAN_QUEUE: usize = 8_192;
/// Spans of one message to the collector.
pub const SPAN_BATCH: usize = 512;
/// How long spans are gathered for such a message.
pub const SPAN_LINGER: Duration = Duration::from_millis(500);
/// How long the collector may take to answer.
pub const SPAN_EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of the program waits for the last spans to be taken.
pub const SPAN_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is logged that the collector takes no spans.
pub const SPAN_TROUBLE_TOLD: Duration = Duration::from_secs(60);

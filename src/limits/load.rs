//! The load generator.

use std::time::Duration;

/// HTTP/2 connections that it opens.
pub const MAX_LOAD_CONNECTIONS: i64 = 1_024;
/// Calls that it has under way.
pub const MAX_LOAD_IN_FLIGHT: i64 = 16_384;
/// Streams that it reads.
pub const MAX_LOAD_SUBSCRIBERS: i64 = 1_000_000;
/// Events that it makes.
pub const MAX_LOAD_EVENTS: i64 = 10_000;
/// The longest run.
pub const MAX_LOAD_TIME: Duration = Duration::from_secs(24 * 3_600);
/// Events that it makes or closes at the same time.
pub const LOAD_EVENTS_AT_ONCE: usize = 4;
/// Seats of one own event where no number of calls is given.
pub const LOAD_HOUSE_SEATS: u64 = 100_000;
/// Seats of all own events together, then.
pub const LOAD_HOUSES_SEATS: u64 = 200_000;
/// A call without an answer for this long has failed.
pub const LOAD_CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of one answer: a chart or a seat map of `MAX_SEATS` seats fits.
pub const LOAD_MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Calls under way at a time before and after the clock runs: holds to sell,
/// checks, releases.
pub const LOAD_ASIDE_IN_FLIGHT: usize = 64;
/// The longest time that is told apart; a longer one counts as this.
pub const LOAD_MAX_LATENCY: Duration = Duration::from_secs(600);
/// Seats of an own event that is watched.
pub const LOAD_STREAM_HOUSE_SEATS: u64 = 2_000;
/// Seats of an own event that is sold.
pub const LOAD_SALE_HOUSE_SEATS: u64 = 2_000;
/// How often somebody looks for seats before they go away.
pub const LOAD_SALE_TRIES: usize = 8;
/// How long the last changes may be on their way to all who watch.
pub const LOAD_STREAM_GRACE: Duration = Duration::from_secs(5);
/// How often progress is shown, and the finest step of a plot over time.
pub const LOAD_TICK: Duration = Duration::from_millis(100);
/// Steps of a plot over time; when there are more, two become one.
pub const LOAD_MAX_STEPS: usize = 240;
/// How far the clocks of this machine and of Redis may be apart.
pub const LOAD_CLOCK_SKEW: Duration = Duration::from_secs(2);
/// Violations that are printed; the rest is counted.
pub const LOAD_MAX_VIOLATIONS_TOLD: usize = 100;
/// How long a load generator waits before it asks for a server's health again.
pub const LOAD_HEALTH_PAUSE: Duration = Duration::from_millis(200);

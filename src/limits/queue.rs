//! Bounds of waiting rooms.

use std::{ops::RangeInclusive, time::Duration};

/// Places of one event's queue that wait at a time: some 280 bytes of Redis' memory each.
pub const MAX_PLACES_WAITING: u64 = 1_000_000;
/// How long a place is kept that nobody streams, nor joins again.
pub const PLACE_KEPT: Duration = Duration::from_secs(60);
/// How long nobody is let in after Redis has lost a queue, or has come back: servers put
/// back meanwhile the places that they stream.
pub const QUEUE_SETTLE: Duration = Duration::from_secs(2);
/// How much longer than told an admission is good: servers' clocks may be off by that.
pub const ADMISSION_LEEWAY: Duration = Duration::from_secs(5);
/// Places that one script lets in, or forgets: Redis serves nobody else meanwhile, some
/// 3 us for each.
pub const MAX_LET_IN_PER_CALL: usize = 500;
/// How often a server that streams places of a queue lets in, and reads who waits.
pub const QUEUE_TICK: Duration = Duration::from_millis(250);
/// In how many ticks a server says of all places that it streams that they are.
pub const QUEUE_TOUCH_TICKS: usize = 60;
/// Places that one call says that of.
pub const QUEUE_TOUCH_BATCH: usize = 500;
/// How often at most somebody is told where the place is; the longest is for those far
/// back, and holds where nothing moves, too.
pub const QUEUE_TELL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);
/// One second more between two messages for each so many that are before a place.
pub const QUEUE_TELL_STEP: u64 = 2_000;
/// Streams of positions of one server, some 6 KB each.
pub const MAX_QUEUE_STREAMS: usize = 100_000;
/// How long a queue outlives its last use in Redis.
pub const QUEUE_KEPT: Duration = Duration::from_secs(2 * 24 * 3_600);
/// How long after a queue was begun the pace of the last minute is not known.
pub const QUEUE_PACE_KNOWN: Duration = Duration::from_secs(60);
/// Bytes of a key that tokens are signed with, where a server makes it.
pub const QUEUE_KEY_BYTES: usize = 32;
/// The least that a key has that is given.
pub const MIN_QUEUE_KEY_BYTES: usize = 32;

const _: () = {
    // Each place is heard of three times before it is given up.
    let touched_ms = QUEUE_TICK.as_millis() * QUEUE_TOUCH_TICKS as u128;
    assert!(3 * touched_ms < PLACE_KEPT.as_millis());
    assert!(QUEUE_TELL.end().as_secs() < super::STREAM_STALLED.as_secs());
};

//! Bounds of searches and of the caches before Postgres.

use std::time::Duration;

/// Characters of what is searched for.
pub const MAX_QUERY_CHARS: usize = 200;
/// Words of a query that count.
pub const MAX_SEARCH_WORDS: usize = 16;
/// Letters of a word, spelled out, that count: Postgres compares no more than 255.
pub const MAX_SEARCH_WORD_CHARS: usize = 100;
/// How alike a word and a part of an event's text must be by their trigrams, at least, to
/// be compared letter by letter. One wrong letter in the middle of four leaves 0.4.
pub const MIN_WORD_SIMILARITY: &str = "0.3";
/// Events that are listed from a cache, the first; what follows is read from Postgres.
pub const HOME_EVENTS: u32 = 200;

/// How long an answer may be kept, before up to a tenth is taken off by chance: what was
/// kept together shall not end together.
pub const SEARCH_KEPT: Duration = Duration::from_secs(60);
pub const HOME_KEPT: Duration = Duration::from_secs(60);
pub const DETAIL_KEPT: Duration = Duration::from_secs(900);
/// How long a generation is kept with nothing under it: a fill must be done by then, and
/// a name that no event has leaves nothing behind.
pub const GENERATION_UNUSED_KEPT: Duration = Duration::from_secs(10);
/// How long a generation is kept after something was put under it; longer than that.
pub const GENERATION_KEPT: Duration = Duration::from_secs(3_600);
/// Places for the answers of searches: two of one place put each other out, so that what
/// people search for never fills Redis.
pub const SEARCH_PLACES: u16 = 2_048;
/// Bytes of an answer, packed, that is kept in Redis.
pub const MAX_CACHED_BYTES: usize = 8 * 1024 * 1024;
/// From so many bytes on, an answer is packed.
pub const PACKED_BYTES: usize = 4 * 1024;
/// Bytes of answers that one server keeps by itself, for as long as Redis says that they
/// are current.
pub const CACHE_MEMORY_BYTES: u64 = 64 * 1024 * 1024;
/// How long Redis may take to say what it has; then Postgres is asked.
pub const CACHE_PATIENCE: Duration = Duration::from_millis(500);
/// How long Redis is not asked after it failed.
pub const CACHE_PAUSE: Duration = Duration::from_secs(1);
/// Callers who look at one place by one call to Redis, and who wait for the next one.
pub const CACHE_LOOKS_TOGETHER: usize = 16_384;
/// How long one server alone may fill a place before another does it, too.
pub const CACHE_LEASE: Duration = Duration::from_secs(1);
/// How often the others look meanwhile.
pub const CACHE_LOOK: Duration = Duration::from_millis(5);
/// How long after the last question it is remembered who fills a place.
pub const CACHE_TURN_KEPT: Duration = Duration::from_secs(10);
/// Places that are remembered so.
pub const CACHE_TURNS: u64 = 10_000;

/// How long ago a sale may have opened, or its event changed, to be preloaded.
pub const PRELOAD_WINDOW: Duration = Duration::from_secs(15);
/// Events that one run of the job preloads, those that changed last.
pub const PRELOAD_EVENTS: i64 = 16;
/// Feeds that a server follows already when it opens none ahead of time.
pub const PRELOAD_FEEDS: usize = 1_000;
/// How long a server remembers what it has preloaded.
pub const PRELOADED_KEPT: Duration = Duration::from_secs(60);

/// Searches that one server has before Postgres at a time: sales share its sessions.
pub const SEARCHES_AT_ONCE: usize = 4;

const _: () = {
    assert!(GENERATION_KEPT.as_secs() > DETAIL_KEPT.as_secs());
    assert!(CACHE_LEASE.as_secs() < GENERATION_UNUSED_KEPT.as_secs());
    assert!(PRELOADED_KEPT.as_secs() > PRELOAD_WINDOW.as_secs());
    assert!(PRELOAD_FEEDS < super::MAX_FEEDS);
    // Any first page lies within.
    assert!(HOME_EVENTS >= super::MAX_PAGE_SIZE);
};

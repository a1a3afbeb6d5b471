//! Bounds of finding and choosing: searches, waiting rooms, channels, presence.

use std::{ops::RangeInclusive, time::Duration};

/// How many a waiting room lets in a minute.
pub const ADMISSIONS_PER_MINUTE: RangeInclusive<u32> = 1..=600_000;
pub const DEFAULT_ADMISSIONS_PER_MINUTE: u32 = 600;
/// How long somebody who was let in may make holds.
pub const ADMISSION_TTL: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(86_400);
pub const DEFAULT_ADMISSION_TTL: Duration = Duration::from_secs(600);
/// Holds that an event lets one holder let run out, one after the other.
pub const MAX_EXPIRED_HOLDS: u32 = 1_000;
/// How long a holder who let too many run out makes no other.
pub const COOL_DOWN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);
pub const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(600);
/// How long what is offered to the waiting list stays.
pub const OFFER_TTL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);
pub const DEFAULT_OFFER_TTL: Duration = Duration::from_secs(900);
/// Channels that one Hold names.
pub const MAX_CHANNELS_NAMED: usize = 10;
/// Characters of a token of the waiting room.
pub const MAX_QUEUE_TOKEN_CHARS: usize = 256;
/// How often seats are picked for one Hold, where other servers are faster each time.
pub const MAX_PICKS: usize = 16;
/// Blocks of free seats that a pick passes over at most: all other picks of the event at
/// this server wait meanwhile.
pub const MAX_PASSED_OVER: usize = 500;
/// Seats of all events in which one server finds the best available, some 40 bytes each.
pub const MAX_BOARD_SEATS: u64 = 2_000_000;
/// Seats that one call keeps for a channel, or frees.
pub const MAX_SEATS_ALLOCATED_AT_ONCE: usize = 2_000;
/// Seats that the record of an action about channels names.
pub const MAX_SEATS_OF_AN_ACTION: usize = 100;
/// Actions of one page.
pub const MAX_CHANNEL_ACTIONS_PAGE: u32 = 200;

// Presence.

/// How long a viewer counts after the last sign of life of him or of the server that
/// has his stream, unless the setting says otherwise.
pub const DEFAULT_PRESENCE_TTL_SECONDS: u16 = 30;
/// What the setting may say.
pub const PRESENCE_TTL_SECONDS: RangeInclusive<i64> = 1..=300;
/// How long Redis keeps an event's presence after the last sign of life.
pub const PRESENCE_KEPT: Duration = Duration::from_secs(600);
/// Viewers of one event over all servers, some 500 bytes of Redis each.
pub const MAX_VIEWERS: u32 = 200_000;
/// Viewers that one call to Redis carries, and takes away because they ran out: all its
/// other calls wait meanwhile.
pub const PRESENCE_PIECE: usize = 500;
/// Streams that open or end within this time are told Redis together.
pub const PRESENCE_GATHER: Duration = Duration::from_millis(20);
/// How often a server asks how many watch an event that it streams.
pub const PRESENCE_LOOK: Duration = Duration::from_secs(1);
/// The shortest time between two numbers of viewers that an event's streams are told.
pub const PRESENCE_TOLD: Duration = Duration::from_secs(2);

const _: () = {
    assert!(*PRESENCE_TTL_SECONDS.start() <= DEFAULT_PRESENCE_TTL_SECONDS as i64);
    assert!(*PRESENCE_TTL_SECONDS.end() < PRESENCE_KEPT.as_secs().cast_signed());
};

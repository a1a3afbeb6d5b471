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

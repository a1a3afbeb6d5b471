//! Bounds of waiting lists.

use std::time::Duration;

/// Entries that wait for one event, give or take those that join at the same moment.
pub const MAX_WAITING_PER_EVENT: i64 = 10_000;
/// Entries of one holder that wait for one event, or have an offer of it.
pub const MAX_OPEN_ENTRIES_PER_HOLDER: i64 = 4;
/// Streams of entries of one server.
pub const MAX_WAITING_LIST_STREAMS: usize = 10_000;
/// How often a server looks for its streams what became of their entries.
pub const WAITING_LIST_LOOK: Duration = Duration::from_secs(1);
/// How long a server is the one that makes an event's offers, from each run on.
pub const WAITING_LIST_LEASE: Duration = Duration::from_secs(4);
/// Waiting lists that one server sees to; it follows the log of each.
pub const MAX_WAITING_LISTS: i64 = 1_000;
/// How long one run of the job watches for what is freed.
pub const OFFER_HORIZON: Duration = Duration::from_secs(1);
/// How much longer than that one event's offers may take; the others wait meanwhile.
pub const OFFER_PATIENCE: Duration = Duration::from_secs(2);
/// How long a waiting list has the first pick of what is freed, from when it is seen to;
/// and how long it has it of each seat at most.
pub const FIRST_PICK_KEPT: Duration = Duration::from_secs(6);
/// How long a list that has looked at what is free rests before it looks again.
pub const OFFER_PAUSE: Duration = Duration::from_millis(10);
/// Offers that are made at the same time.
pub const OFFERS_AT_ONCE: usize = 50;
/// How long a holder whose hold was refused for a reason of his own is passed over.
pub const OFFER_RETRY: Duration = Duration::from_secs(10);
/// A hold that was begun so long ago and is nowhere will never be.
pub const OFFER_IN_DOUBT: Duration = Duration::from_secs(10);
/// How long an entry that has ended is remembered.
pub const WAITING_LIST_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Entries that one statement forgets.
pub const WAITING_LIST_FORGOTTEN: i64 = 10_000;

const _: () = {
    assert!(OFFER_HORIZON.as_secs() + OFFER_PATIENCE.as_secs() < WAITING_LIST_LEASE.as_secs());
    // Where its server dies, another sees to a list before others get what is freed.
    assert!(WAITING_LIST_LEASE.as_secs() + 1 < FIRST_PICK_KEPT.as_secs());
};

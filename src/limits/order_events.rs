//! Order events, and who is told of them.

use std::time::Duration;

/// Order events that one transaction numbers; with many webhooks it makes a delivery of
/// each for each of these.
pub const PUBLISH_BATCH: i64 = 200;
/// How long a server that has told of a sale waits before it tells of the next ones.
pub const PUBLISH_PAUSE: Duration = Duration::from_millis(100);
/// Order events that one statement reads, at most.
pub const ORDER_EVENTS_READ: i64 = 500;
/// The latest order events, that one server keeps for its streams.
pub const ORDER_EVENTS_KEPT: usize = 10_000;
/// Streams of order events of one server.
pub const MAX_ORDER_EVENT_STREAMS: usize = 1_000;
/// Webhooks of a deployment; each can have `CALLS_OF_A_WEBHOOK` under way at a server.
pub const MAX_WEBHOOKS: i64 = 200;
/// Characters of a webhook's URL.
pub const MAX_WEBHOOK_URL_CHARS: usize = 1_000;
/// Of the key that a webhook's calls are signed with.
pub const WEBHOOK_SECRET_BYTES: usize = 32;
/// Calls of one webhook that one server has under way; one, while they fail.
pub const CALLS_OF_A_WEBHOOK: i64 = 16;
/// Mails that one server hands over at the same time.
pub const MAILS_AT_ONCE: i64 = 16;
/// Sessions of the pool that deliveries use at the same time; the others are for calls.
pub const DELIVERY_SESSIONS: usize = 2;
/// A webhook that has not answered by then has failed.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of its answer that are read, so that the connection serves again.
pub const WEBHOOK_ANSWER_BYTES: usize = 16 * 1024;
/// A mail that is not taken by then has failed.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a delivery is left to the server that tries it.
pub const DELIVERY_LEASE: Duration = Duration::from_secs(60);
/// What a failed delivery waits at most before its second try; twice as much after
/// each further one.
pub const DELIVERY_BACKOFF: Duration = Duration::from_secs(1);
/// What it waits at most.
pub const MAX_DELIVERY_BACKOFF: Duration = Duration::from_secs(4 * 3_600);
/// Tries of a delivery before it is a dead letter: some 14 hours, since a wait is half
/// of what it may be, on average.
pub const MAX_DELIVERY_ATTEMPTS: i32 = 20;
/// How long a delivery that was done is remembered.
pub const DELIVERIES_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Deliveries that one statement forgets.
pub const DELIVERIES_FORGOTTEN: i64 = 10_000;
/// Order events that one ReplayWebhook looks through.
pub const MAX_REPLAYED: i64 = 10_000;
/// Dead letters that one call names.
pub const MAX_DEAD_LETTERS_AT_ONCE: usize = 200;
/// Dead letters that one call tries again, where it names none.
pub const MAX_DEAD_LETTERS_RETRIED: i64 = 10_000;

const _: () = {
    // Who tries a delivery has ended before another server does.
    assert!(WEBHOOK_TIMEOUT.as_secs() < DELIVERY_LEASE.as_secs());
    assert!(MAIL_TIMEOUT.as_secs() < DELIVERY_LEASE.as_secs());
};

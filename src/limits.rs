//! Every bound of the program, with its unit in its name. What the contract
//! in `proto/` promises is here under the same number; a test compares them.

mod access;
mod cache;
mod checkout;
mod choosing;
mod doors;
mod load;
mod operator;
mod order_events;
mod queue;
mod telemetry;
mod waiting_list;

pub use access::*;
pub use cache::*;
pub use checkout::*;
pub use choosing::*;
pub use doors::*;
pub use load::*;
pub use operator::*;
pub use order_events::*;
pub use queue::*;
pub use telemetry::*;
pub use waiting_list::*;

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

// What a request may carry.

/// Characters of an id that a caller chooses.
pub const MAX_ID_CHARS: usize = 64;
/// Characters of a payment reference.
pub const MAX_PAYMENT_REFERENCE_CHARS: usize = 128;
/// Whole units of currency that a price may have.
pub const MAX_PRICE_UNITS: i64 = 1_000_000_000;
/// Characters of a name that people read.
pub const MAX_NAME_CHARS: usize = 200;
/// Characters of a city's name.
pub const MAX_CITY_CHARS: usize = 100;
/// The longest that any event lets a hold live.
pub const MAX_HOLD_TIME: Duration = Duration::from_secs(24 * 3_600);
/// Price categories of one chart.
pub const MAX_PRICE_CATEGORIES: usize = 1_000;
/// Sections of one chart.
pub const MAX_SECTIONS: usize = 1_000;
/// Rows of one section.
pub const MAX_ROWS: usize = 1_000;
/// Seats of one row.
pub const MAX_SEATS_PER_ROW: usize = 2_000;
/// Areas of one chart.
pub const MAX_AREAS: usize = 1_000;
/// Units of one area.
pub const MAX_AREA_CAPACITY: u32 = 1_000_000;
/// Seats that one call blocks or unblocks.
pub const MAX_SEATS_BLOCKED_AT_ONCE: usize = 2_000;
/// Events of one page.
pub const MAX_PAGE_SIZE: u32 = 200;
/// Units that an event may allow one holder; 0 is no limit.
pub const MAX_UNITS_PER_HOLDER: u32 = 1_000_000;
/// Holds that an event may allow one holder to have open; 0 is no limit. Redis counts them
/// and units in one number, which Lua has as a double.
pub const MAX_HOLDS_PER_HOLDER: u32 = 1_000_000;
/// Seats of one event; bounds the memory of a seat map and the length of a
/// rebuild.
pub const MAX_SEATS: usize = 100_000;
/// Seats and area units of one hold, whatever the event allows.
pub const MAX_UNITS_PER_HOLD: u32 = 200;
/// Violations that one error names; the rest is counted. Keeps the status
/// within the 8 KiB of headers that clients accept.
pub const MAX_VIOLATIONS: usize = 60;
/// Bytes of one error's violations, for the same reason.
pub const MAX_VIOLATION_BYTES: usize = 3_500;
/// How long before its caller's deadline a call is ended; a tenth of the time
/// where that is less.
pub const DEADLINE_MARGIN: Duration = Duration::from_millis(50);
/// Bytes of one request to CatalogService; a chart of `MAX_SEATS` seats fits.
pub const MAX_CATALOG_REQUEST_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of one request to ReservationService; the longest names fit ten times.
pub const MAX_RESERVATION_REQUEST_BYTES: usize = 256 * 1024;

// An event's own limits, where it does not name them.

pub const DEFAULT_HOLD_TTL: Duration = Duration::from_secs(900);
pub const DEFAULT_MAX_HOLD_TIME: Duration = Duration::from_secs(7_200);
pub const DEFAULT_MAX_UNITS_PER_HOLD: u32 = 50;
pub const DEFAULT_PAGE_SIZE: u32 = 50;
pub const DEFAULT_PAYMENT_WINDOW: Duration = Duration::from_secs(900);

/// How long an order may wait for its payment.
pub const PAYMENT_WINDOW: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(86_400);

// Payment providers.

/// Parameters of one callback; a real one has some fifteen.
pub const MAX_CALLBACK_PARAMETERS: usize = 64;
/// How long a provider may take to be connected to.
pub const PROVIDER_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a provider may take to answer, in all.
pub const PROVIDER_CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a provider's answer; a real one has below 1,000.
pub const MAX_PROVIDER_ANSWER_BYTES: usize = 64 * 1024;
/// What VNPAY takes, in dong: from the first to below the second.
pub const VNPAY_DONG: Range<i64> = 5_000..1_000_000_000;

// Redis.

/// Multiplexed connections to each Redis server that the hot path shares.
pub const REDIS_LINKS: usize = 4;
/// Hold scripts, of all events, that one server has before one Redis: it has one
/// thread, and what waits here instead can share a script with what comes.
pub const HOLD_CALLS_AT_ONCE: usize = 48;
/// Connections to each Redis server for control paths: jobs, probes.
pub const REDIS_POOL_SIZE: usize = 8;
pub const REDIS_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a call waits for a slot that is on its way to another server of a
/// Cluster.
pub const REDIS_MOVE_PATIENCE: Duration = Duration::from_secs(1);
/// How often it asks meanwhile.
pub const REDIS_MOVE_PAUSE: Duration = Duration::from_millis(20);
/// How long a script may be silent before its outcome is called unknown.
pub const REDIS_RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Expired holds that one Hold looks through for units to take over.
pub const MAX_EXPIRED_SCANNED_PER_HOLD: usize = 128;
/// Holds that one script call carries.
pub const MAX_HOLDS_PER_CALL: u16 = 128;
/// Holds of one event that wait at one server for the call before theirs.
pub const MAX_HOLDS_WAITING: usize = 8_192;
/// How long a hold stays readable in Redis after it ended; afterwards
/// Postgres answers for it.
pub const ENDED_HOLD_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Ended holds, the latest, that an event built anew in Redis remembers; an
/// older one whose id is used again is refused when it is confirmed.
pub const MAX_ENDED_LOADED: i64 = 20_000;
/// Hold attempts that find the event being rebuilt before the caller is sent
/// away for a moment.
pub const MAX_EPOCH_ATTEMPTS: usize = 4;

// Postgres.

/// Sessions that the pool has at least; fewer could lock each other out.
pub const MIN_POSTGRES_POOL: u16 = 8;
/// Seats of all charts that one server keeps in memory, some 250 bytes each.
pub const MAX_CACHED_SEATS: u64 = 2_000_000;
/// Events that one server loads into Redis at the same time; each takes two
/// sessions.
pub const MAX_LOADS: usize = 3;
/// For each host, where there are several.
pub const POSTGRES_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a caller waits for a connection of the pool.
pub const POSTGRES_WAIT_TIMEOUT: Duration = Duration::from_secs(3);
/// The server ends a statement that takes longer.
pub const POSTGRES_STATEMENT_TIMEOUT: Duration = Duration::from_secs(8);
/// The server ends a wait for a row lock that takes longer.
pub const POSTGRES_LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The server ends a transaction that was left alone for longer.
pub const POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of a transaction that lost a race against another one.
pub const MAX_TRANSACTION_ATTEMPTS: usize = 5;
/// Holds that one statement journals before they are answered.
pub const MAX_HOLDS_PER_STATEMENT: usize = 256;
/// Groups of one event's sales that one server has under way, or waiting for a
/// statement; who comes while one waits is of it.
pub const SALES_AT_ONCE: usize = 2;
/// Sales of one event in one statement.
pub const MAX_SALES_OF_AN_EVENT: usize = 16;
/// Statements of sales that one server has under way.
pub const STATEMENTS_AT_ONCE: usize = 2;
/// Groups, each of one event, in one statement.
pub const MAX_EVENTS_PER_STATEMENT: usize = 16;
/// Sales of one event that are made alone at the same time, after a statement that
/// failed or left them out.
pub const SALES_ALONE_AT_ONCE: usize = 4;
/// Sales of one event that wait at one server for a transaction.
pub const MAX_SALES_WAITING: usize = 2_048;
/// How long a statement of several sales waits for what one of them has to wait
/// for, before each is made alone.
pub const GROUP_LOCK_TIMEOUT: Duration = Duration::from_millis(200);
/// Tries of a Confirm whose answer was lost, before the caller is told so.
pub const MAX_CONFIRM_ATTEMPTS: usize = 3;

// Jobs.

/// How far ahead one run of the expiry job watches for holds that run out.
pub const EXPIRY_HORIZON: Duration = Duration::from_secs(1);
/// Expired holds that one script call lists, and one statement settles.
pub const EXPIRY_BATCH: usize = 100;
/// Expired holds that one server ends at the same time.
pub const MAX_HOLDS_EXPIRING: usize = 2 * EXPIRY_BATCH;
/// Ended holds that one script call tells Redis, which serves nobody else
/// meanwhile: some 10 us for each.
pub const FINISH_BATCH: usize = 20;
/// How long after its expiry a confirming hold is left to its Confirm.
pub const CONFIRMING_GRACE: Duration = Duration::from_secs(2);
/// Log entries that one journal transaction takes. Each may have as many holds as one
/// call makes, so the first ones are few.
pub const JOURNAL_ENTRIES: RangeInclusive<usize> = 32..=500;
/// Holds that one journal transaction takes, about. Redis serves nobody else while it reads
/// them: 0.2 ms for so many of one seat.
pub const JOURNAL_HOLDS: usize = 4_000;
/// Log entries that are read at a time where many are.
pub const LOG_PAGE: usize = 500;
/// Log entries kept for readers that resume, at least.
pub const LOG_KEPT_ENTRIES: u64 = 20_000;
/// How long an outbox row is left to the call that wrote it.
pub const OUTBOX_LEASE: Duration = Duration::from_secs(5);
/// Outbox rows that one claim takes.
pub const OUTBOX_BATCH: i64 = 200;
/// How long a finished outbox row is kept.
pub const OUTBOX_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Events that one job works on at the same time.
pub const JOB_CONCURRENCY: usize = 16;
/// A job that ended no run for this long beyond its period has stalled.
pub const JOB_STALLED: Duration = Duration::from_secs(5);
/// A job's run is ended after this time.
pub const JOB_RUN_TIMEOUT: Duration = Duration::from_secs(30);
/// Events that the jobs of one server look after.
pub const MAX_ACTIVE_EVENTS: i64 = 10_000;
/// How long the jobs still look after an event that was closed: as long as
/// its last hold can live, and a margin.
pub const CLOSED_EVENT_KEPT: Duration = Duration::from_secs(2 * 24 * 3_600);

// The audit.

/// How long after a first look the second one is taken: what both find is
/// wrong, since whatever heals by itself has had its time.
pub const AUDIT_PATIENCE: Duration = Duration::from_secs(10);
/// How long an outbox row may be open: its lease, and a try by another server.
pub const AUDIT_OUTBOX_OPEN: Duration = Duration::from_secs(15);
/// How long after its time a hold may still be due.
pub const AUDIT_OVERDUE: Duration = Duration::from_secs(10);
/// How long a stream may take to tell what Redis has.
pub const AUDIT_STREAM_WAIT: Duration = Duration::from_secs(15);
/// Seats, holds or holders, about, that one call to Redis reads: all its other
/// calls wait meanwhile.
pub const AUDIT_PIECE: usize = 128;
/// Calls to Redis that read what has changed while all else was read; what changes
/// faster than they read is looked at another time.
pub const AUDIT_CATCH_UP_CALLS: usize = 1_000;
/// How often a picture is begun that is lost because the event is built anew.
pub const AUDIT_ATTEMPTS: usize = 3;
/// Events that are looked at at the same time.
pub const AUDIT_CONCURRENCY: usize = 4;
/// How often an event is compared in the background, by one of the servers.
pub const RECONCILE_PERIOD: Duration = Duration::from_secs(60);
/// How long one run of the reconcile job goes on to further events.
pub const RECONCILE_FIRST_LOOKS: Duration = Duration::from_secs(10);

// The stream.

/// How often changes are handed to subscribers: at most one batch a tick.
pub const FEED_TICK: Duration = Duration::from_millis(100);
/// Readers of one event that are told at the same moment; where there are more, they
/// are told in steps over the tick.
pub const FEED_READERS_AT_ONCE: usize = 500;
/// At most so many steps: the log is read once for each.
pub const FEED_STEPS: usize = 20;
/// Groups of connections that are told apart.
pub const FEED_LANES: u64 = 128;
/// Changes that one message carries at most.
pub const FEED_MAX_ENTRIES_PER_MESSAGE: usize = 1_000;
/// Events that one server follows at a time, each by a connection of its own.
pub const MAX_FEEDS: usize = 2_000;
/// Seats that one message carries.
pub const FEED_SEATS_PER_MESSAGE: usize = 2_000;
/// Changes that a node keeps for readers that resume or fall behind; whoever
/// is further behind gets a snapshot.
pub const FEED_HISTORY_ENTRIES: usize = 10_000;
/// Messages of one event that are kept as bytes, for others to be told the same.
pub const FEED_TOLD_MESSAGES: usize = 64;
/// How long they are kept, about.
pub const FEED_TOLD_KEPT: Duration = Duration::from_secs(2);
/// Streams of one server; each takes some 20 KB, and see `STREAM_SEND_BUFFER_BYTES`
/// for what one that is not read can pin.
pub const MAX_SUBSCRIBERS: usize = 20_000;
/// Silence after which a subscriber is sent a heartbeat.
pub const FEED_HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a reader waits on the log before it looks up.
pub const FEED_BLOCK: Duration = Duration::from_secs(1);
/// How long a feed without a word from Redis still calls itself current.
pub const FEED_STALE: Duration = Duration::from_secs(5);
/// How long a feed without subscribers is kept warm.
pub const FEED_IDLE: Duration = Duration::from_secs(60);
/// How long a read waits for the node's map to reach what Redis has.
pub const FEED_CATCH_UP: Duration = Duration::from_secs(2);

// The doors.

pub const HEALTH_PERIOD: Duration = Duration::from_secs(1);
/// 40,000 calls a second leave 2 MB of samples in it.
pub const METRICS_FOLD_PERIOD: Duration = Duration::from_secs(5);
/// A store that does not answer a probe in this time is called down.
pub const HEALTH_PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// What a call's message is read from or written to has at first.
pub const MESSAGE_BUFFER_BYTES: usize = 512;
/// From so much on, what is written is handed on before more is.
pub const MESSAGE_YIELD_BYTES: usize = 32 * 1024;
/// Bytes of one stream that wait for room in its client's window or in the socket,
/// and of one piece that the transport takes; so three times as much is all that a
/// stream can pin.
pub const STREAM_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of one connection that wait for the end of its turn, and for the socket.
pub const CONNECTION_WRITE_BUFFER_BYTES: usize = 32 * 1024;
/// How long a stream's client may leave no room for what waits before the stream
/// is ended; where nothing at all moves on its connection for as long, that.
pub const STREAM_STALLED: Duration = Duration::from_secs(20);
/// How long several streams of a connection may wait, and none move, before its
/// client is asked whether it is there.
pub const CONNECTION_STARVED: Duration = Duration::from_millis(1_500);
/// What a client that is there has to make room, before all its streams are ended.
pub const CONNECTION_ANSWERED: Duration = Duration::from_millis(500);
/// How often it is looked whether a stream waits.
pub const STREAM_LOOK: Duration = Duration::from_secs(1);
/// How often while one does.
pub const STREAM_CLOSE_LOOK: Duration = Duration::from_millis(250);
/// What calls in flight get to end by, on a connection that is closed for that.
pub const STALLED_CONNECTION_GRACE: Duration = Duration::from_secs(2);
/// How long no connection is accepted after the system had no room for one.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
pub const HTTP2_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
pub const HTTP2_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a shutdown waits for calls in flight.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);
/// What clients are told to wait before they call again.
pub const RETRY_DELAY: Duration = Duration::from_millis(200);

// Private stores for development and tests.

/// How long a store may take to answer after its start.
pub const DEV_STORE_START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a store may take to end.
pub const DEV_STORE_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the people of a sale to watch keep coming.
pub const DEV_RUSH_SECONDS: u32 = 24;
/// How often it is asked meanwhile.
pub const DEV_POLL: Duration = Duration::from_millis(20);

const _: () = {
    assert!(DEFAULT_MAX_UNITS_PER_HOLD <= MAX_UNITS_PER_HOLD);
    assert!(DEFAULT_HOLD_TTL.as_secs() <= DEFAULT_MAX_HOLD_TIME.as_secs());
    // Loads alone must not take the whole pool.
    assert!(2 * MAX_LOADS < MIN_POSTGRES_POOL as usize);
    // What a node forgets it must be able to read in the log.
    assert!(FEED_HISTORY_ENTRIES as u64 <= LOG_KEPT_ENTRIES);
    // The server must give up before the program does, or a connection that
    // is put back could still be at work.
    assert!(POSTGRES_LOCK_TIMEOUT.as_secs() < POSTGRES_STATEMENT_TIMEOUT.as_secs());
    assert!(POSTGRES_STATEMENT_TIMEOUT.as_secs() < JOB_RUN_TIMEOUT.as_secs());
    // Something always waits by then.
    assert!(FEED_HEARTBEAT.as_secs() < STREAM_STALLED.as_secs());
    // Each look finds what began before the last one.
    assert!(
        STREAM_LOOK.as_millis() + STREAM_CLOSE_LOOK.as_millis() < CONNECTION_STARVED.as_millis()
    );
    // A provider that does not answer is given up within a job's run.
    assert!(2 * PROVIDER_CALL_TIMEOUT.as_secs() < JOB_RUN_TIMEOUT.as_secs());
    // What is healed by the next try is not found twice.
    assert!(OUTBOX_LEASE.as_secs() + 2 < AUDIT_PATIENCE.as_secs());
    assert!(CONFIRMING_GRACE.as_secs() + 2 < AUDIT_PATIENCE.as_secs());
    assert!(2 * OUTBOX_LEASE.as_secs() < AUDIT_OUTBOX_OPEN.as_secs());
    // Two looks, and the wait between them, fit into a run.
    let looks = 2 * RECONCILE_FIRST_LOOKS.as_secs() + AUDIT_PATIENCE.as_secs();
    assert!(looks <= JOB_RUN_TIMEOUT.as_secs());
    // A store that is down is seen within five seconds.
    assert!(HEALTH_PERIOD.as_secs() + HEALTH_PROBE_TIMEOUT.as_secs() < 5);
};

//! What comes in at the doors at a time, and how long it may take to. Where a setting
//! says it, what is here is what holds where nothing is said.

use std::{ops::RangeInclusive, time::Duration};

// Connections of the gRPC door.

/// Connections in all.
pub const DEFAULT_MAX_CONNECTIONS: u32 = 10_000;
/// HTTP/2 streams of one connection.
pub const DEFAULT_MAX_STREAMS_PER_CONNECTION: u32 = 1_024;
/// Bytes of one call's headers, and of the head of a request over HTTP/1; a token of
/// some KB fits.
pub const DEFAULT_MAX_HEADER_BYTES: u32 = 16 * 1024;
/// The smallest is what HTTP/1 is read in.
pub const HEADER_BYTES: RangeInclusive<i64> = 8 * 1024..=1024 * 1024;
/// How long a connection may be open before its first call is there. Clients that balance
/// over servers connect to all of them, and again where they are cut: not too soon.
pub const DEFAULT_FIRST_CALL_SECONDS: u16 = 60;
/// How long a connection may have no call.
pub const DEFAULT_IDLE_SECONDS: u16 = 900;
/// How long after its head a request may take to arrive.
pub const DEFAULT_REQUEST_SECONDS: u16 = 10;
/// Seconds of those settings.
pub const DOOR_SECONDS: RangeInclusive<i64> = 1..=3_600;
/// Streams that a client has reset before they were taken; one more ends its connection
/// with ENHANCE_YOUR_CALM (CVE-2023-44487). A herd whose time is up at once resets many.
pub const MAX_PENDING_RESET_STREAMS: usize = 100;
/// How long, and how much, is read of a request that was refused already: what comes later
/// breaks the protocol.
pub const REFUSED_REQUEST_TIME: Duration = Duration::from_secs(1);
pub const REFUSED_REQUEST_BYTES: usize = 64 * 1024;
/// Streams that broke the protocol; one more ends the connection in the same way.
pub const MAX_BROKEN_STREAMS: usize = 256;
/// Calls of one connection that its client gave up within [`GIVEN_UP_SOON`] before it is
/// closed, where they are more than half of all that it made. The pattern is Envoy's, of
/// premature resets.
pub const MAX_CALLS_GIVEN_UP: u64 = 500;
/// What is given up later has cost its client something, too.
pub const GIVEN_UP_SOON: Duration = Duration::from_secs(1);
/// What such a client gets to read that its connection ends.
pub const ABUSED_CONNECTION_GRACE: Duration = Duration::from_millis(200);

// Calls in flight. Without the settings nobody has more than three quarters alone.

/// Unary calls in flight, in all: four times what a server needs to be busy all the time,
/// for a herd of 1,000 by one caller must find room (decision 31).
pub const DEFAULT_MAX_CALLS: u32 = 2_048;
/// Streams in all.
pub const DEFAULT_MAX_STREAMS: u32 = 160_000;
/// Calls a second of one caller; 0 is no limit.
pub const DEFAULT_MAX_CALLS_A_SECOND: u32 = 0;
/// The largest of any setting that counts calls, streams or connections.
pub const MAX_COUNT_SET: i64 = 1_000_000;
/// Health checks at a time, on a count of their own.
pub const MAX_PROBES: u32 = 1_024;
/// Health's `Watch` streams, one of each connection whose client watches: as many as
/// there are connections where nothing is said.
pub const MAX_WATCHES: u32 = 10_000;
/// Streams of reflection, which people and their tools ask.
pub const MAX_REFLECTIONS: u32 = 64;
/// How long one may have questions.
pub const REFLECTION_TIME: Duration = Duration::from_secs(60);
/// Calls of methods that take an operator, on a count of their own.
pub const MAX_OPERATOR_CALLS: usize = 64;
/// Callers that are remembered before those who ask for nothing are forgotten.
pub const CALLERS_KEPT: usize = 65_536;
/// How long a browser may remember that it may call: as long as any of them does.
pub const PREFLIGHT_KEPT: Duration = Duration::from_secs(7_200);
/// The longest that a caller is told to wait before he calls again.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

// The HTTP door.

/// Connections in all.
pub const DEFAULT_MAX_HTTP_CONNECTIONS: u32 = 1_024;
/// Bytes of a request's head.
pub const MAX_HTTP_HEAD_BYTES: usize = 16 * 1024;
/// Bytes of a request to the page's demo, which names an event.
pub const MAX_RUSH_BYTES: usize = 1024;
/// How long a request's head may take, and a connection may wait for one.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take from its head to its answer; more than what a payment
/// provider is asked meanwhile takes.
pub const HTTP_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// After this time a connection takes no further request.
pub const HTTP_CONNECTION_AGE: Duration = Duration::from_secs(600);

/// What one caller, one address or one method may have of so many, where nothing else is
/// said: one that takes all it can leaves room for the others.
pub const fn share(all: u32) -> u32 {
    if all < 4 { all } else { all / 4 * 3 }
}

const _: () = {
    assert!(super::PROVIDER_CALL_TIMEOUT.as_secs() < HTTP_REQUEST_TIMEOUT.as_secs());
    assert!(super::RETRY_DELAY.as_millis() < MAX_RETRY_DELAY.as_millis());
    let streams = super::MAX_SUBSCRIBERS + super::MAX_QUEUE_STREAMS;
    assert!(streams <= share(DEFAULT_MAX_STREAMS) as usize);
};

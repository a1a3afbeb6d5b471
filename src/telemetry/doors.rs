//! What comes in at the doors.

use metrics::{Gauge, counter, gauge};

use super::names::{CLOSED, CONNECTIONS, HANDSHAKES, IN_FLIGHT, RELOADS, SHED};

/// Shows all kinds of calls and all limits as 0 from the start.
pub fn limits(shed: &[&'static str]) {
    for &limit in shed {
        counter!(SHED, "limit" => limit).increment(0);
    }
}

/// How many calls of a kind are in flight.
pub fn in_flight(kind: &'static str) -> Gauge {
    gauge!(IN_FLIGHT, "kind" => kind)
}

/// Notes a call that a limit refused.
pub fn shed(limit: &'static str) {
    counter!(SHED, "limit" => limit).increment(1);
}

/// How many connections a door has.
pub fn connections(door: &'static str) -> Gauge {
    gauge!(CONNECTIONS, "door" => door)
}

/// Notes a connection that a limit closed.
pub fn connection_closed(door: &'static str, limit: &'static str) {
    counter!(CLOSED, "door" => door, "limit" => limit).increment(1);
}

/// Files, or keys of a URL, have changed, and can be used or not.
pub fn reloaded(what: &'static str, is_good: bool) {
    let result = if is_good { "ok" } else { "failed" };
    counter!(RELOADS, "what" => what, "result" => result).increment(1);
}

/// A TLS handshake has ended.
pub fn handshake(door: &'static str, result: &'static str) {
    counter!(HANDSHAKES, "door" => door, "result" => result).increment(1);
}

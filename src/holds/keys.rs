//! Every key that Holdfast has in Redis.
//!
//! All keys of an event share the hash tag `{event_id}`, so that they live in
//! one slot and one script can change them together. Event ids have no braces.
//!
//! - `meta`, a hash. The life of Redis that this was built in: `incarnation`.
//!   The event's position: `epoch`, `seq`. How much of the
//!   event Redis knows: `revision`, `seat_count`. The rules that the scripts
//!   check: `state`, `hold_ttl_ms`, `max_hold_ms`, `max_units_per_hold`,
//!   `max_units_per_holder`, `journaled`, `max_expired_holds`, `cool_down_ms`,
//!   `max_holds_per_holder`.
//!   Of its waiting list: `listed_until`, in ms of Redis' clock, it has the first pick of
//!   what is freed; it has seen all up to `list_seen`, a seq.
//! - `seats`, a hash by seat index: `H` or `S` and the hold's 32 hexadecimal
//!   digits, or `B`. An available seat has no field.
//! - `holds`, a hash by hold id: [`crate::domain::HoldRecord`] in MessagePack,
//!   kept for a while after the hold ended.
//! - `due`, a sorted set of hold ids by the time at which each is due to be
//!   ended, in ms of Redis' clock.
//! - `areas`, a hash: `f<index>` free units, `c<index>` capacity.
//! - `holders`, a hash by holder id: units held and owned together; and where
//!   `max_holds_per_holder` is not 0, 2^32 for each open hold.
//! - `lapses`, a hash by holder id: how many holds in a row were let run out, a space,
//!   and until when that counts, in ms of Redis' clock. Forgotten where the event is
//!   built anew. Where a waiting list has the first pick, also by `/s<seat>` and
//!   `/a<area>`: the seq that freed it last, a space, and until when that counts.
//! - `reconciled`, there while a server's comparison of the event counts for
//!   all; beside the event's state, and with a time to live.
//! - `log`, a stream of [`super::log::LogEntry`] under ids `<epoch>-<seq>`.
//!
//! `seats`, `holds`, `due`, `areas`, `holders` and `lapses` have an entry of no name as
//! well, so that Redis never deletes them: see `load.lua`.

use crate::domain::EventId;

/// The keys of one event, in the order in which every script gets them as
/// `KEYS`.
pub fn of_event(event_id: &EventId) -> [String; 8] {
    ["meta", "seats", "holds", "due", "areas", "holders", "log", "lapses"]
        .map(|kind| key(event_id, kind))
}

/// The event's log.
pub fn log(event_id: &EventId) -> String {
    key(event_id, "log")
}

/// The event's holds, ended ones included.
pub fn holds(event_id: &EventId) -> String {
    key(event_id, "holds")
}

/// Who let holds of the event run out.
pub fn lapses(event_id: &EventId) -> String {
    key(event_id, "lapses")
}

/// When each hold is due.
pub fn due(event_id: &EventId) -> String {
    key(event_id, "due")
}

/// The event's position and rules.
pub fn meta(event_id: &EventId) -> String {
    key(event_id, "meta")
}

/// Taken by whoever compares the event in the background.
pub fn reconciled(event_id: &EventId) -> String {
    key(event_id, "reconciled")
}

fn key(event_id: &EventId, kind: &str) -> String {
    format!("hf:{{{event_id}}}:{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_an_event_share_its_hash_tag() {
        let event_id: EventId = "demo".parse().unwrap();
        assert_eq!(log(&event_id), "hf:{demo}:log");
        assert!(of_event(&event_id).iter().all(|key| key.starts_with("hf:{demo}:")));
    }
}

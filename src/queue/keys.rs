//! Every key that the queues have in Redis.
//!
//! All of an event share the hash tag `{event_id}`, as all that Holdfast has of it.
//!
//! - `queue`, a hash. The life of Redis that the room was opened in, `incarnation`, when
//!   (`begun_ms`), and the `first` generation that it gave numbers of. The `generation`
//!   of now, how many numbers it has `given`, and all `generations` of which somebody
//!   may wait. The event's `revision` and `mode`, OFF where the room was closed. Up to
//!   when places are let in, `let_in_us`; admissions that have led to no hold yet,
//!   `unused`; how many came in in the `minute`: `this_minute`, and before it:
//!   `last_minute`.
//! - `queue:line`, a sorted set of holders by the numbers of their places.
//! - `queue:seen`, the same holders by when they were last heard of, in ms.
//! - `queue:waiting:<generation>`, a bit for each number: whether somebody waits there.
//!   Whoever has it can tell where every place is.
//! - `queue:let_in:<generation>`, the same: whether it was let in.
//! - `queue:admitted`, a hash by holder: the number, until when the admission is good,
//!   and 1 where it has led to a hold. `queue:ends`, the same holders by when that ends.

use crate::{domain::EventId, holds::keys as holds};

/// The queue's keys, in the order in which every script gets them as `KEYS`; the last two
/// are beginnings of keys.
pub fn of_queue(event_id: &EventId) -> [String; 7] {
    [
        "queue",
        "queue:line",
        "queue:seen",
        "queue:admitted",
        "queue:ends",
        "queue:waiting:",
        "queue:let_in:",
    ]
    .map(|kind| format!("hf:{{{event_id}}}:{kind}"))
}

/// What tells how many units are free: the event's meta, seats and areas, to be read alone.
pub fn of_inventory(event_id: &EventId) -> [String; 3] {
    let [meta, seats, _, _, areas, ..] = holds::of_event(event_id);
    [meta, seats, areas]
}

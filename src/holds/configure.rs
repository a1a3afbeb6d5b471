//! An event's rules and the size of its chart, as the scripts need them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_tuple::Serialize_tuple;

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, Event, EventId, HoldDurability};

static CONFIGURE: Verb = verb!("configure");

/// The rules that scripts check: a MessagePack array in this order, which
/// `configure.lua` and `load.lua` name too.
#[derive(Debug, Clone, Serialize_tuple)]
pub struct Rules {
    /// Counts the changes of an event and its chart; the highest is in force.
    revision: u64,
    state: &'static str,
    hold_ttl_ms: u64,
    max_hold_ms: u64,
    max_units_per_hold: u32,
    max_units_per_holder: u32,
    /// 1 where a hold is journaled before it is answered, else 0.
    journaled: u8,
    /// Holds that a holder may let run out, one after the other; 0 is no limit.
    max_expired_holds: u32,
    cool_down_ms: u64,
    /// Holds that a holder may have open; 0 is no limit, and they are not counted.
    max_holds_per_holder: u32,
}

impl Rules {
    pub fn new(event: &Event, revision: u64) -> Self {
        let to_ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            revision,
            state: event.state.as_str(),
            hold_ttl_ms: to_ms(event.hold_ttl),
            max_hold_ms: to_ms(event.max_hold_time),
            max_units_per_hold: event.max_units_per_hold,
            max_units_per_holder: event.max_units_per_holder,
            journaled: (event.hold_durability == HoldDurability::Journaled).into(),
            max_expired_holds: event.max_expired_holds,
            cool_down_ms: to_ms(event.cool_down),
            max_holds_per_holder: event.max_holds_per_holder,
        }
    }
}

/// What Redis must know of an event beside who has which seat.
#[derive(Debug, Clone)]
pub struct Configuration {
    pub rules: Rules,
    pub seat_count: usize,
    /// Units of each area, by its index.
    pub capacities: Vec<u32>,
}

/// What `configure.lua` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ConfigureReply {
    Changed,
    /// Redis was there already, or is further.
    Kept,
    /// Redis was there already, and has an area with fewer units than it should: they
    /// were withdrawn, for what has not come to its end.
    Short,
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    rules: &'a Rules,
    seat_count: usize,
    areas: &'a [u32],
}

impl Holds {
    /// Brings an event up to a revision.
    pub async fn configure(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        configuration: &Configuration,
    ) -> Result<Reply<ConfigureReply>, Error> {
        let Configuration { rules, seat_count, capacities } = configuration;
        let request = Request { epoch, rules, seat_count: *seat_count, areas: capacities };
        self.run(&CONFIGURE, event_id, &request).await
    }
}

//! Builds an event's state anew from what Postgres has.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Incarnation, Reply, Rules,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, HolderId, SeatIndex};

static LOAD: Verb = verb!("load");

/// All that an event's state in Redis is built from.
#[derive(Debug, Clone)]
pub struct LoadArgs {
    /// Higher than any that Redis has had for this event.
    pub epoch: Epoch,
    /// The life of Redis that Postgres knows this epoch to be built in.
    pub incarnation: Incarnation,
    pub rules: Rules,
    pub seat_count: usize,
    pub blocked: Vec<SeatIndex>,
    pub sold: Vec<(SeatIndex, HoldId)>,
    /// Free units and capacity of each area, by its index; what the live holds
    /// have is not free.
    pub areas: Vec<(i64, u32)>,
    /// Live holds, which have no seat in common with each other or with sold.
    pub holds: Vec<(HoldId, HoldRecord)>,
    /// Holds that ended lately: their ids stay used.
    pub ended: Vec<(HoldId, HoldRecord)>,
    /// Units held and owned by each holder, and how many holds he has open.
    pub holders: HashMap<HolderId, (u32, u32)>,
}

/// What `load.lua` answers.
#[derive(Debug, Deserialize)]
pub enum LoadReply {
    Loaded,
    /// Nothing was done: calls go to another life of Redis by now.
    Elsewhere,
    /// Redis has the event in this epoch, or in a higher one.
    Stale(Epoch),
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    incarnation: &'a str,
    rules: &'a Rules,
    seat_count: usize,
    blocked: &'a [SeatIndex],
    sold: &'a [(SeatIndex, HoldId)],
    areas: &'a [(i64, u32)],
    holds: &'a [(HoldId, HoldRecord)],
    ended: &'a [(HoldId, HoldRecord)],
    holders: Vec<(&'a HolderId, u32, u32)>,
}

impl Holds {
    /// Replaces whatever Redis has of an event, where its epoch is lower.
    ///
    /// It is sent once: were it carried out, changes made upon it, and all then
    /// lost with Redis, a second time would build the same epoch without them.
    ///
    /// # Errors
    /// [`Error::Unknown`] where it may have been carried out.
    pub async fn load(&self, event_id: &EventId, args: &LoadArgs) -> Result<LoadReply, Error> {
        let request = Request {
            epoch: args.epoch,
            incarnation: &args.incarnation.0,
            rules: &args.rules,
            seat_count: args.seat_count,
            blocked: &args.blocked,
            sold: &args.sold,
            areas: &args.areas,
            holds: &args.holds,
            ended: &args.ended,
            holders: args.holders.iter().map(|(id, &(units, holds))| (id, units, holds)).collect(),
        };
        match self.run_once(&LOAD, event_id, &request).await? {
            Reply::Done(reply) => Ok(reply),
            Reply::NotLoaded | Reply::Epoch(_) => Err(Error::corrupt("load is not fenced")),
        }
    }
}

//! Reads a hold.

use serde::Serialize;

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord};

static GET_HOLD: Verb = verb!("get_hold");

#[derive(Serialize)]
struct Request {
    epoch: Epoch,
    hold_id: HoldId,
}

impl Holds {
    /// A hold as it is by Redis' clock; empty where Redis does not know it.
    pub async fn get_hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
    ) -> Result<Reply<Vec<HoldRecord>>, Error> {
        self.run(&GET_HOLD, event_id, &Request { epoch, hold_id }).await
    }
}

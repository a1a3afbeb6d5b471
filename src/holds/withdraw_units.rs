//! Units of an area that are to become another area's.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{AreaIndex, Epoch, EventId};

static WITHDRAW_UNITS: Verb = verb!("withdraw_units");

/// What is to be withdrawn.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WithdrawArgs {
    /// Of the event, by which the caller knows the area.
    pub revision: u64,
    pub area: AreaIndex,
    /// What the area shall have left.
    pub capacity: u32,
}

#[derive(Serialize)]
struct Request {
    epoch: Epoch,
    #[serde(flatten)]
    args: WithdrawArgs,
}

/// What `withdraw_units.lua` answers.
#[derive(Debug, Deserialize)]
pub enum WithdrawReply {
    /// Nobody can hold them any more.
    Withdrawn,
    /// Redis has the event in another revision.
    Behind,
    /// Only so many are free.
    Insufficient(i64),
}

impl Holds {
    /// Takes free units of an area out of sale.
    pub async fn withdraw_units(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        args: WithdrawArgs,
    ) -> Result<Reply<WithdrawReply>, Error> {
        self.run(&WITHDRAW_UNITS, event_id, &Request { epoch, args }).await
    }
}

//! ForceExtendHold: moves a hold's expiry, as late as an operator likes.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, OrderId};

static FORCE_EXTEND: Verb = verb!("force_extend");

#[derive(Serialize)]
struct Request {
    epoch: Epoch,
    hold_id: HoldId,
    expires_ms: i64,
}

/// What `force_extend.lua` answers.
#[derive(Debug, Deserialize)]
pub enum ForceExtendReply {
    Extended(HoldRecord),
    Missing,
    /// The hold's state forbids it.
    Standing(HoldRecord),
    /// The moment has passed.
    Late,
    /// It would be earlier, and this order was made of it, or is being made.
    Ordered(OrderId),
}

impl Holds {
    /// Moves a hold's expiry to a moment of Redis' clock, or tells why not.
    pub async fn force_extend(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        expires_ms: i64,
    ) -> Result<Reply<ForceExtendReply>, Error> {
        self.run(&FORCE_EXTEND, event_id, &Request { epoch, hold_id, expires_ms }).await
    }
}

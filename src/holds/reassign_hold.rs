//! ReassignHold: gives a hold to another holder, as it is.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, HolderId, OrderId};

static REASSIGN_HOLD: Verb = verb!("reassign_hold");

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    hold_id: HoldId,
    from: &'a HolderId,
    to: &'a HolderId,
}

/// What `reassign_hold.lua` answers.
#[derive(Debug, Deserialize)]
pub enum ReassignReply {
    /// Now, or before.
    Reassigned(HoldRecord),
    Missing,
    /// The hold's state forbids it.
    Standing(HoldRecord),
    /// A Release of all that it has is on its way.
    Released,
    /// It is somebody else's by now.
    Elsewhere,
    /// This order was made of it, or is being made.
    Ordered(OrderId),
}

impl Holds {
    /// Gives a hold that is `from`'s to another holder, or tells why not.
    pub async fn reassign_hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        [from, to]: [&HolderId; 2],
    ) -> Result<Reply<ReassignReply>, Error> {
        self.run(&REASSIGN_HOLD, event_id, &Request { epoch, hold_id, from, to }).await
    }
}

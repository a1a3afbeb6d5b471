//! ExtendHold: moves a hold's expiry to now + ttl, later or earlier.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, HolderId};

static EXTEND_HOLD: Verb = verb!("extend_hold");

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    hold_id: HoldId,
    holder: &'a HolderId,
    ttl_ms: u64,
}

/// What `extend_hold.lua` answers.
#[derive(Debug, Deserialize)]
pub enum ExtendReply {
    Extended(HoldRecord),
    Missing,
    /// The hold's state forbids it.
    Standing(HoldRecord),
    /// The longest ttl that the event allows this hold now, in ms.
    TtlTooLong(u64),
}

impl Holds {
    /// Extends a hold, or tells why not.
    pub async fn extend_hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        holder: &HolderId,
        ttl_ms: u64,
    ) -> Result<Reply<ExtendReply>, Error> {
        self.run(&EXTEND_HOLD, event_id, &Request { epoch, hold_id, holder, ttl_ms }).await
    }
}

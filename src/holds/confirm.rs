//! Confirm, its fence in Redis.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, HolderId};
use crate::limits::CONFIRMING_GRACE;

static CONFIRM: Verb = verb!("confirm");

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    hold_id: HoldId,
    holder: &'a HolderId,
    grace_ms: u64,
}

/// What `confirm.lua` answers.
#[derive(Debug, Deserialize)]
pub enum ConfirmReply {
    /// The hold cannot expire or be released any more, only be decided by
    /// Postgres.
    Fenced(HoldRecord),
    Missing,
    /// The hold's state forbids it.
    Standing(HoldRecord),
    /// Some of its seats are not the hold's any more.
    Torn(HoldRecord),
}

impl Holds {
    /// Fences a hold for its Confirm, or joins an attempt before.
    pub async fn confirm(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        holder: &HolderId,
    ) -> Result<Reply<ConfirmReply>, Error> {
        let grace_ms = CONFIRMING_GRACE.as_secs() * 1_000;
        self.run(&CONFIRM, event_id, &Request { epoch, hold_id, holder, grace_ms }).await
    }
}

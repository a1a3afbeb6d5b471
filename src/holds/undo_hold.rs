//! Undoes a Hold that was not answered.

use serde::Serialize;

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, HoldId};

static UNDO_HOLD: Verb = verb!("undo_hold");

#[derive(Serialize)]
struct Request {
    epoch: Epoch,
    hold_id: HoldId,
    seq: u64,
}

impl Holds {
    /// Undoes a hold as if it had never been made, unless it was asked for
    /// again since the log entry `seq` made it; answers whether it did.
    pub async fn undo_hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        seq: u64,
    ) -> Result<Reply<bool>, Error> {
        self.run(&UNDO_HOLD, event_id, &Request { epoch, hold_id, seq }).await
    }
}

//! Puts places of a refund back on sale.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{AreaIndex, Epoch, EventId, HoldId, HolderId, SeatIndex};

static RETURN_PLACES: Verb = verb!("return_places");

/// Places that a hold had sold, and that nobody owns any more.
#[derive(Debug, Serialize)]
pub struct ReturnArgs {
    /// Told apart by it: what was returned before is not returned again.
    pub return_id: HoldId,
    pub hold_id: HoldId,
    pub holder: HolderId,
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<(AreaIndex, u32)>,
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    #[serde(flatten)]
    args: &'a ReturnArgs,
}

/// What `return_places.lua` answers.
#[derive(Debug, Deserialize)]
pub enum ReturnReply {
    Returned,
}

impl Holds {
    /// Puts places back on sale, in the epoch in which they were given back.
    pub async fn return_places(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        args: &ReturnArgs,
    ) -> Result<Reply<ReturnReply>, Error> {
        self.run(&RETURN_PLACES, event_id, &Request { epoch, args }).await
    }
}

//! Release: gives a part of a hold back.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{AreaIndex, Epoch, EventId, HoldId, HoldRecord, HolderId, Items, SeatIndex};

static RELEASE: Verb = verb!("release");

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    hold_id: HoldId,
    holder: &'a HolderId,
    all: bool,
    seats: &'a [SeatIndex],
    areas: Vec<(AreaIndex, u32)>,
}

/// What `release.lua` answers.
#[derive(Debug, Deserialize)]
pub enum ReleaseReply {
    /// What was named is back on sale; this is what is left.
    Reduced(HoldRecord),
    /// Nothing would be left: it cannot be changed any more, nor become another's.
    Whole(HoldRecord),
    Missing,
    /// The hold's state forbids it.
    Standing(HoldRecord),
}

impl Holds {
    /// Gives the items named back, or tells that this is the whole hold.
    pub async fn release(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        holder: &HolderId,
        items: &Items,
    ) -> Result<Reply<ReleaseReply>, Error> {
        let all = *items == Items::default();
        let areas = items.areas.iter().map(|units| (units.area, units.quantity)).collect();
        let request = Request { epoch, hold_id, holder, all, seats: &items.seats, areas };
        self.run(&RELEASE, event_id, &request).await
    }
}

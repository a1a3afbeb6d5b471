//! ChangeHold: makes a hold be of other seats and units.

use std::ops::Not;

use serde::{Deserialize, Serialize};

use super::{
    Error, HoldReply, Holds, Reply,
    script::{Verb, taking_verb},
};
use crate::domain::{AreaIndex, Epoch, EventId, HoldId, HoldRecord, HolderId, OrderId, SeatIndex};
use crate::limits::MAX_EXPIRED_SCANNED_PER_HOLD;

static CHANGE_HOLD: Verb = taking_verb!("change_hold");

/// What a hold shall be of.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeArgs {
    pub hold_id: HoldId,
    pub holder: HolderId,
    /// Ascending, as `areas`.
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<(AreaIndex, u32)>,
    /// Of the event that the caller knows.
    pub revision: u64,
    /// Those of the seats and areas that must not be new.
    pub reserved_seats: Vec<SeatIndex>,
    pub reserved_areas: Vec<AreaIndex>,
    /// As in [`super::HoldArgs`], for all of the seats.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<(SeatIndex, Option<SeatIndex>)>,
    #[serde(skip_serializing_if = "Not::not")]
    pub strict: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    scan: usize,
    #[serde(flatten)]
    args: &'a ChangeArgs,
}

/// What `change_hold.lua` answers.
#[derive(Debug, Deserialize)]
pub enum ChangeReply {
    /// It is so now, or was so before.
    Changed(HoldRecord),
    /// It is so now, and these seats are left alone.
    Stranding((HoldRecord, Vec<SeatIndex>)),
    Missing,
    /// The hold's state forbids it.
    Standing(HoldRecord),
    /// A Release of all that it has was asked for: it is to be ended so.
    Released,
    /// An order was made of it, or is being made.
    Ordered(OrderId),
    /// The event has changed since the caller read it.
    Behind,
    /// These are new, and reserved.
    Reserved((Vec<SeatIndex>, Vec<AreaIndex>)),
    /// More holds have run out than one script looks through.
    Backlog,
    /// As a Hold of what is new would be.
    Refused(HoldReply),
}

impl Holds {
    /// Makes a hold be of this, or tells why not.
    pub async fn change_hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        args: &ChangeArgs,
    ) -> Result<Reply<ChangeReply>, Error> {
        let request = Request { epoch, scan: MAX_EXPIRED_SCANNED_PER_HOLD, args };
        self.run(&CHANGE_HOLD, event_id, &request).await
    }
}

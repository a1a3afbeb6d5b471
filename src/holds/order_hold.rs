//! CreateOrder, its part in Redis: the hold stays as it is.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{AreaIndex, Epoch, EventId, HoldId, HoldRecord, HolderId, OrderId, SeatIndex};

static ORDER_HOLD: Verb = verb!("order_hold");

/// An order that is to be made of a hold.
#[derive(Debug, Serialize)]
pub struct OrderHoldArgs {
    pub hold_id: HoldId,
    pub holder: HolderId,
    pub order: OrderId,
    /// How long it may be paid.
    pub window_ms: u64,
    /// What it is for, ascending.
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<(AreaIndex, u32)>,
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    #[serde(flatten)]
    args: &'a OrderHoldArgs,
}

/// What `order_hold.lua` answers.
#[derive(Debug, Deserialize)]
pub enum OrderHoldReply {
    /// It has an order now, or had before: the record names it.
    Ordered(HoldRecord),
    /// The hold is of something else.
    Changed,
    Missing,
    /// The hold's state forbids it.
    Standing(HoldRecord),
}

impl Holds {
    /// Names the order that is made of a hold, and lets it live for its payment.
    pub async fn order_hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        args: &OrderHoldArgs,
    ) -> Result<Reply<OrderHoldReply>, Error> {
        self.run(&ORDER_HOLD, event_id, &Request { epoch, args }).await
    }
}

//! BlockSeats and UnblockSeats: what the operator keeps out of sale.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{Epoch, EventId, SeatIndex, SeatStatus};

static BLOCK_SEATS: Verb = verb!("block_seats");
static UNBLOCK_SEATS: Verb = verb!("unblock_seats");

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    seats: &'a [SeatIndex],
}

/// What `block_seats.lua` answers.
#[derive(Debug, Deserialize)]
pub enum BlockReply {
    Blocked,
    Unavailable(Vec<(SeatIndex, SeatStatus)>),
}

impl Holds {
    /// Blocks seats, all or none; at least one.
    pub async fn block_seats(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        seats: &[SeatIndex],
    ) -> Result<Reply<BlockReply>, Error> {
        self.run(&BLOCK_SEATS, event_id, &Request { epoch, seats }).await
    }

    /// Unblocks seats, at least one; answers the status of each.
    pub async fn unblock_seats(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        seats: &[SeatIndex],
    ) -> Result<Reply<Vec<SeatStatus>>, Error> {
        self.run(&UNBLOCK_SEATS, event_id, &Request { epoch, seats }).await
    }
}

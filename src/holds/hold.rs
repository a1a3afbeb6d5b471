//! Hold: takes seats and area units for a holder, all of them or none.

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply,
    script::{Verb, verb},
};
use crate::domain::{
    AreaIndex, AreaUnits, Epoch, EventId, HoldId, HoldRecord, HolderId, SeatIndex, SeatStatus,
};
use crate::limits::MAX_EXPIRED_SCANNED_PER_HOLD;

static HOLD: Verb = verb!("hold");

/// What a Hold asks for.
#[derive(Debug)]
pub struct HoldArgs<'a> {
    pub hold_id: HoldId,
    pub holder: &'a HolderId,
    pub fingerprint: &'a str,
    /// The event's own where `None`.
    pub ttl_ms: Option<u64>,
    pub seats: &'a [SeatIndex],
    pub areas: &'a [AreaUnits],
}

#[derive(Serialize)]
struct Request<'a> {
    epoch: Epoch,
    hold_id: HoldId,
    holder: &'a HolderId,
    fingerprint: &'a str,
    ttl_ms: Option<u64>,
    seats: &'a [SeatIndex],
    areas: Vec<(AreaIndex, u32)>,
    scan: usize,
}

/// What `hold.lua` answers.
#[derive(Debug, Deserialize)]
pub enum HoldReply {
    /// Made now, or by the same request before.
    Held(HoldRecord),
    /// The id was used with other content.
    Reused,
    /// The hold of this id has ended, by the same request.
    Ended(HoldRecord),
    /// The event's state.
    NotOnSale(String),
    /// The event's longest total hold time in ms.
    TtlTooLong(u64),
    /// The event's units for one hold.
    LimitPerHold(u32),
    /// The event's units for one holder, and how many this one has.
    LimitPerHolder((u32, u32)),
    Unavailable(Vec<(SeatIndex, SeatStatus)>),
    /// Areas and what is left in them.
    Insufficient(Vec<(AreaIndex, i64)>),
    /// More holds have run out than one script looks through.
    Backlog,
}

impl Holds {
    /// Makes a hold, or tells why not.
    pub async fn hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        args: &HoldArgs<'_>,
    ) -> Result<Reply<HoldReply>, Error> {
        let &HoldArgs { hold_id, holder, fingerprint, ttl_ms, seats, areas } = args;
        let areas = areas.iter().map(|units| (units.area, units.quantity)).collect();
        let scan = MAX_EXPIRED_SCANNED_PER_HOLD;
        let request = Request { epoch, hold_id, holder, fingerprint, ttl_ms, seats, areas, scan };
        self.run(&HOLD, event_id, &request).await
    }
}

//! Hold: takes seats and area units for a holder, all of them or none.

use std::{ops::Not, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Error, Holds, Reply, keys,
    script::{self, Verb, taking_verb},
};
use crate::batch::{Batcher, Bounds};
use crate::domain::{
    AreaIndex, Epoch, EventId, HoldId, HoldRecord, HolderId, SeatIndex, SeatStatus,
};
use crate::limits::{MAX_EXPIRED_SCANNED_PER_HOLD, MAX_HOLDS_WAITING, REDIS_RESPONSE_TIMEOUT};
use crate::redis::Links;
use crate::telemetry::{self, Trace};

static HOLD: Verb = taking_verb!("hold");

/// What a Hold asks for.
#[derive(Debug, Clone, Serialize)]
pub struct HoldArgs {
    pub hold_id: HoldId,
    pub holder: HolderId,
    pub fingerprint: String,
    /// The event's own where `None`.
    pub ttl_ms: Option<u64>,
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<(AreaIndex, u32)>,
    /// Of the event that the caller knows; 0 where none is to be made.
    pub revision: u64,
    /// Whether the waiting list's first pick does not stand before it.
    #[serde(skip_serializing_if = "Not::not")]
    pub entitled: bool,
    /// Whether it is made though the holder be cooling down, or have as many holds as he may.
    #[serde(skip_serializing_if = "Not::not")]
    pub owed: bool,
    /// Seats that must not be left alone: each free one beside those that are asked
    /// for, and the seat on its other side, if there is one that is not asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<(SeatIndex, Option<SeatIndex>)>,
    /// Whether it is refused where one would be.
    #[serde(skip_serializing_if = "Not::not")]
    pub strict: bool,
}

#[derive(Serialize)]
struct Request {
    epoch: Epoch,
    holds: Vec<HoldArgs>,
    scan: usize,
    #[cfg(feature = "mutant-check-then-set-hold")]
    set: bool,
}

/// What `hold.lua` answers to each.
#[derive(Debug, Deserialize)]
pub enum HoldReply {
    /// Made now, or by the same request before.
    Held(HoldRecord),
    /// Made now, and these seats are left alone.
    Stranding((HoldRecord, Vec<SeatIndex>)),
    /// The id was used with other content.
    Reused,
    /// The hold of this id has ended, by the same request.
    Ended(HoldRecord),
    /// The event has changed since the caller read it.
    Behind,
    /// The event's state.
    NotOnSale(String),
    /// The event's longest total hold time in ms.
    TtlTooLong(u64),
    /// The event's units for one hold.
    LimitPerHold(u32),
    /// The event's units for one holder, and how many this one has.
    LimitPerHolder((u32, u32)),
    /// The event's open holds for one holder, and how many this one has.
    HoldsPerHolder((u32, u32)),
    /// For so many ms yet.
    CoolingDown(u64),
    Unavailable(Vec<(SeatIndex, SeatStatus)>),
    /// These seats would be left alone.
    Orphans(Vec<SeatIndex>),
    /// Areas and what is left in them.
    Insufficient(Vec<(AreaIndex, i64)>),
    /// More holds have run out than one script looks through.
    Backlog,
    /// A record in its way cannot be used; the others of the call were made.
    Failed,
}

/// Holds of one event that are asked for at the same time go in one call.
pub(super) type HoldBatcher =
    Batcher<(EventId, Epoch), (HoldArgs, Trace), Result<Reply<HoldReply>, Arc<Error>>>;

pub(super) fn batcher(most: u16, links: &Arc<Links>) -> Arc<HoldBatcher> {
    let links = links.clone();
    // Where each goes by itself, as many calls are under way as are asked for.
    let bounds = Bounds {
        calls: if most == 1 { usize::MAX } else { 1 },
        asks: most.into(),
        waiting: MAX_HOLDS_WAITING,
        patience: REDIS_RESPONSE_TIMEOUT,
    };
    let gate_links = links.clone();
    let gate = move |(event_id, _): (EventId, Epoch)| {
        let links = gate_links.clone();
        async move {
            match most {
                1 => None,
                _ => links.turn(event_id.as_str()).await,
            }
        }
    };
    Batcher::behind(gate, bounds, move |(event_id, epoch), holds| {
        let links = links.clone();
        async move {
            let (holds, traces): (Vec<_>, Vec<_>) = holds.into_iter().unzip();
            let all = hold_all(&links, &event_id, epoch, holds);
            telemetry::together("hold", traces.into_iter(), all).await
        }
    })
}

async fn hold_all(
    links: &Links,
    event_id: &EventId,
    epoch: Epoch,
    holds: Vec<HoldArgs>,
) -> Vec<Result<Reply<HoldReply>, Arc<Error>>> {
    let count = holds.len();
    match run(links, event_id, epoch, holds).await.map_err(Arc::new) {
        Ok(reply) => reply.each(count).into_iter().map(Ok).collect(),
        Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
    }
}

async fn run(
    links: &Links,
    event_id: &EventId,
    epoch: Epoch,
    holds: Vec<HoldArgs>,
) -> Result<Reply<Vec<HoldReply>>, Error> {
    let request = Request {
        epoch,
        holds,
        scan: MAX_EXPIRED_SCANNED_PER_HOLD,
        #[cfg(feature = "mutant-check-then-set-hold")]
        set: false,
    };
    #[cfg(feature = "mutant-check-then-set-hold")]
    let request = match script::run::<Vec<HoldReply>>(links, &HOLD, event_id, &request).await? {
        Reply::Done(replies) if replies.iter().all(|r| matches!(r, HoldReply::Held(_))) => {
            Request { set: true, ..request }
        }
        refused => return Ok(refused),
    };
    script::run(links, &HOLD, event_id, &request).await
}

impl Holds {
    /// Makes a hold, or tells why not. Where this is dropped before it is begun, it
    /// is not made; later, it may be.
    pub async fn hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        args: HoldArgs,
    ) -> Result<Reply<HoldReply>, Arc<Error>> {
        let span = telemetry::wait("hold");
        let asked = (args, span.trace());
        let asked = self.hold_batcher.ask((event_id.clone(), epoch), asked).await;
        asked.map_err(|unanswered| Arc::new(Error::from(unanswered)))?
    }

    /// The script as Redis knows it, by its hash, and its keys; for benchmarks that call the
    /// very same by another client.
    pub fn hold_script(event_id: &EventId) -> (String, [String; 8]) {
        (HOLD.hash(), keys::of_event(event_id))
    }

    /// Makes these holds by one call of the script, now; what calls cost by
    /// themselves is measured so.
    pub async fn hold_now(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        holds: Vec<HoldArgs>,
    ) -> Result<Reply<Vec<HoldReply>>, Error> {
        run(&self.links, event_id, epoch, holds).await
    }
}

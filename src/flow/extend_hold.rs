//! ExtendHold: moves a hold's expiry to now + ttl.

use std::sync::Arc;

use super::{Error, Flows, ended::ended_by, hold::standing};
use crate::{
    domain::{EventId, Hold, HoldId, HoldState, HolderId, Refusal},
    failpoint::failpoint,
    holds::ExtendReply,
    limits::MAX_EPOCH_ATTEMPTS,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct ExtendHoldRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    pub ttl_ms: u64,
}

impl Flows {
    /// Extends the hold.
    pub async fn extend_hold(self: &Arc<Self>, request: ExtendHoldRequest) -> Result<Hold, Error> {
        let _span = crate::telemetry::flow("extend_hold");
        let ExtendHoldRequest { event_id, hold_id, holder_id, ttl_ms } = &request;
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 1. One script checks and writes.
            let (event, reply) = self
                .on_event(event_id, |epoch| {
                    self.holds.extend_hold(event_id, epoch, *hold_id, holder_id, *ttl_ms)
                })
                .await
                .map_err(|error| error.after(attempt))?;
            let extended = match reply {
                ExtendReply::Extended(record) => {
                    failpoint!("extend:extended");
                    // 2. Where it shall outlive Redis, so shall its new time.
                    let journaled = self.journal_first(&event, *hold_id, record).await;
                    journaled.map_err(Error::after_a_change)?
                }
                ExtendReply::Standing(record) => return Err(standing(*hold_id, &record).into()),
                ExtendReply::TtlTooLong(ms) => {
                    let longest = format!("must be at most {ms} ms for this hold now");
                    return Err(Refusal::field("ttl", longest).into());
                }
                // Redis has forgotten it, or never had it: the journal tells.
                ExtendReply::Missing => {
                    match self.end_missing_hold(&event, *hold_id, Some(holder_id)).await? {
                        Some((_, outcome)) => return Err(ended_by(*hold_id, outcome).into()),
                        None => None,
                    }
                }
            };
            match extended {
                Some(record) if record.state == HoldState::Active => {
                    return self.hold_of(&event, *hold_id, &record).await;
                }
                Some(record) => return Err(standing(*hold_id, &record).into()),
                None => self.event_anew(event_id).await.map_err(Error::after_a_change)?,
            };
        }
        Err(Error::unsettled().after_a_change())
    }
}

//! ExtendHold: moves a hold's expiry to now + ttl.

use super::{Error, Flows, ended::ended_by, hold::standing};
use crate::{
    domain::{EventId, Hold, HoldId, HolderId, Refusal},
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
    /// Extends the hold. One script checks and writes; the journal follows the
    /// log.
    pub async fn extend_hold(&self, request: ExtendHoldRequest) -> Result<Hold, Error> {
        let ExtendHoldRequest { event_id, hold_id, holder_id, ttl_ms } = &request;
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            let (event, reply) = self
                .on_event(event_id, |epoch| {
                    self.holds.extend_hold(event_id, epoch, *hold_id, holder_id, *ttl_ms)
                })
                .await?;
            return match reply {
                ExtendReply::Extended(record) => self.hold_of(&event, *hold_id, &record).await,
                ExtendReply::Standing(record) => Err(standing(*hold_id, &record).into()),
                ExtendReply::TtlTooLong(ms) => {
                    Err(Refusal::field("ttl", format!("must be at most {ms} ms for this hold now"))
                        .into())
                }
                // Redis has forgotten it, or never had it: the journal tells.
                ExtendReply::Missing => {
                    match self.end_missing_hold(&event, *hold_id, holder_id).await? {
                        Some((_, outcome)) => Err(ended_by(*hold_id, outcome).into()),
                        None => {
                            self.event_anew(event_id).await?;
                            continue;
                        }
                    }
                }
            };
        }
        Err(Error::unsettled())
    }
}

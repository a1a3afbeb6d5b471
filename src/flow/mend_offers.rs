//! Offers that a server left half-way, or whose holds Redis may have lost.

use std::sync::Arc;

use super::{Error, Flows, ReleaseRequest, event::LoadedEvent};
use crate::{
    domain::{EventId, Hold, HoldState, Refusal},
    ledger::{LooseOffer, MadeOffer},
    telemetry,
};

impl Flows {
    /// Brings an event's loose offers to where they belong: the hold decides.
    pub(super) async fn mend_offers(self: &Arc<Self>, event: &LoadedEvent) -> Result<(), Error> {
        let event_id = &event.event_id;
        let loose = self.ledger.find_loose_offers(event_id, event.epoch).await?;
        let (mut made, mut dropped, mut done) = (Vec::new(), Vec::new(), Ok(()));
        for offer in loose {
            let entry_id = offer.entry_id;
            let found = Box::pin(self.look_at_offer(event_id, &offer)).await;
            match found {
                Ok(Some(hold)) if offer.in_doubt && !offer.leaving => {
                    made.push(MadeOffer { entry_id, expire_time: hold.expire_time });
                }
                Ok(Some(_)) if offer.in_doubt => dropped.push((entry_id, false)),
                // Its outcome is noted with those of all others.
                Ok(Some(_)) => self.ledger.see_offer(event_id, entry_id, event.epoch).await?,
                // It may be under way to Redis.
                Ok(None) if offer.in_doubt && !offer.is_old => {}
                Ok(None) if offer.in_doubt => dropped.push((entry_id, false)),
                Ok(None) => {
                    if self.ledger.lose_offer(event_id, entry_id).await? {
                        telemetry::offers("lapsed", 1);
                    }
                }
                Err(error) => done = done.and(Err(error)),
            }
        }
        self.ledger.drop_offers(event_id, &dropped).await?;
        let offered = self.ledger.make_offers(event_id, event.epoch, &made).await?;
        telemetry::offers("made", offered.len() as u64);
        done
    }

    /// The hold of an offer; released, where nobody wants it any more.
    async fn look_at_offer(
        self: &Arc<Self>,
        event_id: &EventId,
        offer: &LooseOffer,
    ) -> Result<Option<Hold>, Error> {
        let hold = match self.get_hold(event_id, offer.hold_id).await {
            Ok(hold) => hold,
            Err(Error::Refused(Refusal::HoldNotFound(_))) => return Ok(None),
            Err(error) => return Err(error),
        };
        if offer.leaving && hold.state == HoldState::Active {
            let release = ReleaseRequest {
                event_id: event_id.clone(),
                hold_id: offer.hold_id,
                holder_id: offer.holder_id.clone(),
                seat_ids: Vec::new(),
                areas: Vec::new(),
            };
            match self.release(release).await {
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(hold))
    }
}

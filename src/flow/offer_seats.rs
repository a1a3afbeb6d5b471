//! What is freed becomes a hold of whoever is first on the event's list and whom it fits.
//!
//! One server at a time makes an event's offers: so they are in order of joining. An
//! entry has one hold for ever, whose id is made of the entry's: so nothing is offered
//! twice where a server dies, or is only slow, between the stores.

use std::sync::Arc;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

use super::{ChannelKeys, Error, Flows, HoldRequest, Right, event::LoadedEvent};
use crate::{
    domain::{
        AreaId, Block, EventId, Free, Hold, HoldId, Refusal, SeatId, SeatIndex, SeatStatus,
        WaitingEntry, WaitingEntryId,
    },
    failpoint::failpoint,
    feed::SeatMap,
    ledger::{ClaimedList, MadeOffer},
    limits::{JOB_CONCURRENCY, OFFER_HORIZON, OFFER_PATIENCE, OFFER_PAUSE, OFFERS_AT_ONCE},
    telemetry,
};

/// What somebody is about to be offered.
struct Offer {
    entry: WaitingEntry,
    hold_id: HoldId,
    block: Block,
}

/// What became of it.
enum Made {
    Held(Hold),
    /// Somebody else has it meanwhile.
    Taken,
    /// The entry cannot have it now.
    Refused,
}

impl Flows {
    /// Makes the offers of all events whose lists this server sees to, for
    /// [`OFFER_HORIZON`].
    ///
    /// # Errors
    /// The first trouble with an event; the others were seen to all the same.
    pub async fn offer_all_seats(self: &Arc<Self>) -> Result<(), Error> {
        let until = Instant::now() + OFFER_HORIZON;
        let claimed = self.ledger.claim_waiting_lists(self.waiting_lists.worker).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        let event_ids: Vec<_> = claimed.iter().map(|list| list.event_id.clone()).collect();
        self.settle_offers(&event_ids).await?;
        let work = Semaphore::new(JOB_CONCURRENCY);
        // One event's trouble does not keep the others waiting.
        let offered = claimed.iter().map(|list| async {
            let offer = self.offer_until(list, until, &work);
            let late = |_| Err(Error::Overloaded("a waiting list takes too long".into()));
            timeout(OFFER_HORIZON + OFFER_PATIENCE, offer).await.unwrap_or_else(late)
        });
        join_all(offered).await.into_iter().collect()
    }

    /// Leaves this server's lists to others, where it stops.
    pub async fn give_up_waiting_lists(&self) -> Result<(), Error> {
        Ok(self.ledger.give_up_waiting_lists(self.waiting_lists.worker).await?)
    }

    /// Ends the offers of these events whose holds have ended.
    pub(super) async fn settle_offers(&self, event_ids: &[EventId]) -> Result<(), Error> {
        let ends = self.ledger.settle_offers(event_ids).await?;
        telemetry::offers("fulfilled", ends.fulfilled);
        telemetry::offers("lapsed", ends.lapsed);
        telemetry::offers("left", ends.left);
        Ok(())
    }

    async fn offer_until(
        self: &Arc<Self>,
        list: &ClaimedList,
        until: Instant,
        work: &Semaphore,
    ) -> Result<(), Error> {
        let event_id = &list.event_id;
        let permit = work.acquire().await.expect("never closed");
        // What is kept for a channel by now is not offered.
        if self.event(event_id).await?.revision < list.revision {
            self.event_anew(event_id).await?;
        }
        let (event, position) = self.position(event_id).await?;
        if list.is_open {
            self.mend_offers(&event).await?;
        }
        if !list.is_waited {
            return self.first_pick(&event, None).await;
        }
        let feed = self.feeds.of(event_id)?;
        // From now on others get what is freed only after this has looked at it.
        self.first_pick(&event, Some(0)).await?;
        let mut map = feed.map_at(position).await?;
        drop(permit);
        let mut line = None;
        loop {
            let permit = work.acquire().await.expect("never closed");
            let made = self.offer_free(list, &event, &map, &mut line).await?;
            let mut seen = map.position;
            drop(map);
            if made {
                // What was made is on the map before anything else is looked at.
                seen = self.position(event_id).await?.1;
                map = feed.map_at(seen).await?;
            } else {
                self.first_pick(&event, Some(seen.seq)).await?;
                drop(permit);
                sleep(OFFER_PAUSE).await;
                match feed.map_after(seen, until).await {
                    Some(next) => map = next,
                    None => return Ok(()),
                }
            }
            if map.position.epoch != event.epoch {
                return Ok(());
            }
        }
    }

    /// Tells Redis that the list has looked at all that was freed up to `seen`; or that
    /// nobody is on it.
    async fn first_pick(&self, event: &LoadedEvent, seen: Option<u64>) -> Result<(), Error> {
        self.holds.first_pick(&event.event_id, event.epoch, seen).await?;
        Ok(())
    }

    /// Offers what the map says is free to those in `line`, read where it is not there
    /// yet; answers whether the map is to be looked at again.
    async fn offer_free(
        self: &Arc<Self>,
        list: &ClaimedList,
        event: &Arc<LoadedEvent>,
        map: &SeatMap,
        line: &mut Option<Vec<WaitingEntry>>,
    ) -> Result<bool, Error> {
        // 1. What is free, as far as the chart tells whose it is.
        let sized = self.event_with_seats(event.clone(), map.seats.len(), map.areas.len()).await?;
        let is_free =
            |seat: SeatIndex| map.seats.get(seat.0 as usize) == Some(&SeatStatus::Available);
        let units = map.areas.iter().map(|area| area.available).collect();
        let mut free = Free::new(&sized.chart, is_free, units);
        if free.is_empty() {
            return Ok(false);
        }
        // 2. The best for each who waits, in order of joining; whom nothing fits does
        //    not stand in the way of those behind.
        let waiting = match line {
            Some(waiting) => waiting,
            None => line.insert(self.ledger.read_waiting_line(&list.event_id).await?),
        };
        let mut offers = Vec::new();
        for entry in waiting.iter() {
            if let Some(block) = free.take(&entry.party) {
                let hold_id = offer_hold_id(&list.event_id, entry.entry_id);
                offers.push(Offer { entry: entry.clone(), hold_id, block });
            }
            if offers.len() >= OFFERS_AT_ONCE || free.is_empty() {
                break;
            }
        }
        if offers.is_empty() {
            return Ok(false);
        }
        // 3. The offers.
        let done = self.make_offers(list, &sized, offers).await?;
        waiting.retain(|entry| !done.contains(&entry.entry_id));
        Ok(true)
    }

    /// Makes offers; answers the entries that need not be looked at again.
    async fn make_offers(
        self: &Arc<Self>,
        list: &ClaimedList,
        event: &LoadedEvent,
        mut offers: Vec<Offer>,
    ) -> Result<Vec<WaitingEntryId>, Error> {
        let event_id = &list.event_id;
        // 1. It is noted that holds are about to be made, and that this server still
        //    makes them: whatever it does not come to, another finds and brings to its
        //    end.
        let all: Vec<_> =
            offers.iter().map(|offer| (offer.entry.entry_id, offer.hold_id)).collect();
        let worker = self.waiting_lists.worker;
        let begun = self.ledger.begin_offers(worker, event_id, &all).await?;
        let mut done: Vec<_> = all.into_iter().map(|(entry_id, _)| entry_id).collect();
        offers.retain(|offer| begun.contains(&offer.entry.entry_id));
        failpoint!("offer:begun");
        // 2. The holds, by the script that every Hold goes through.
        let held = offers.iter().map(|offer| self.hold_offer(list, event, offer));
        let held = join_all(held).await;
        failpoint!("offer:held");
        // 3. Those that were made are the parties'; those that were not go on waiting.
        let (mut made, mut dropped, mut trouble) = (Vec::new(), Vec::new(), Ok(()));
        for (offer, held) in offers.iter().zip(held) {
            let entry_id = offer.entry.entry_id;
            match held {
                Ok(Made::Held(hold)) => {
                    made.push(MadeOffer { entry_id, expire_time: hold.expire_time });
                }
                Ok(Made::Taken) => {
                    dropped.push((entry_id, false));
                    done.retain(|id| *id != entry_id);
                }
                Ok(Made::Refused) => dropped.push((entry_id, true)),
                // Its next look tells.
                Err(error) => trouble = trouble.and(Err(error)),
            }
        }
        self.ledger.drop_offers(event_id, &dropped).await?;
        self.note_made(event, &made).await?;
        trouble.map(|()| done)
    }

    /// Notes holds that were made. What somebody who has left got is released.
    pub(super) async fn note_made(
        self: &Arc<Self>,
        event: &LoadedEvent,
        made: &[MadeOffer],
    ) -> Result<(), Error> {
        if made.is_empty() {
            return Ok(());
        }
        let offered = self.ledger.make_offers(&event.event_id, event.epoch, made).await?;
        telemetry::offers("made", offered.len() as u64);
        failpoint!("offer:made");
        if offered.len() < made.len() {
            self.mend_offers(event).await?;
        }
        Ok(())
    }

    async fn hold_offer(
        self: &Arc<Self>,
        list: &ClaimedList,
        event: &LoadedEvent,
        offer: &Offer,
    ) -> Result<Made, Error> {
        let (seat_ids, areas): (Vec<SeatId>, Vec<(AreaId, u32)>) = match &offer.block {
            Block::Units(area_id, units) => (Vec::new(), vec![(area_id.clone(), *units)]),
            Block::Seats(seats) => {
                let names = seats.iter().filter_map(|&seat| event.chart.seat_id(seat).cloned());
                (names.collect(), Vec::new())
            }
        };
        let held = self.hold(HoldRequest {
            event_id: list.event_id.clone(),
            holder_id: offer.entry.party.holder_id.clone(),
            hold_id: offer.hold_id,
            seat_ids,
            areas,
            best_available: None,
            ttl_ms: Some(u64::try_from(list.offer_ttl.as_millis()).unwrap_or(u64::MAX)),
            keys: ChannelKeys::default(),
            admission_token: String::new(),
            right: Right::Offer,
        });
        match Box::pin(held).await {
            Ok(held) => Ok(Made::Held(held.hold)),
            Err(Error::Refused(refusal)) => match refusal {
                // Or kept for a channel by now.
                Refusal::SeatUnavailable(_)
                | Refusal::InsufficientCapacity(_)
                | Refusal::ChannelRequired { .. } => Ok(Made::Taken),
                // An attempt before this one had other places, or has ended by now.
                Refusal::HoldIdReused(_)
                | Refusal::HoldExpired(_)
                | Refusal::HoldReleased(_)
                | Refusal::HoldLost(_) => {
                    let found = Box::pin(self.get_hold(&list.event_id, offer.hold_id)).await?;
                    Ok(Made::Held(found))
                }
                refusal => {
                    let entry_id = offer.entry.entry_id;
                    tracing::info!(%entry_id, %refusal, "passed over on the waiting list");
                    Ok(Made::Refused)
                }
            },
            Err(error) => Err(error),
        }
    }
}

/// The hold that an entry gets: a `UUIDv8` of the SHA-256 of its ids (RFC 9562, 5.8).
fn offer_hold_id(event_id: &EventId, entry_id: WaitingEntryId) -> HoldId {
    let digest = Sha256::digest(format!("offer of {event_id} to {entry_id}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    HoldId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

//! Hold: takes seats and area units for a holder, all of them or none.

use std::{sync::Arc, time::Duration};

use super::{ChannelKeys, Error, Flows, channels::check_channels, event::LoadedEvent};
use crate::{
    domain::{
        AreaId, BestAvailable, EventId, EventLimit, EventState, Hold, HoldId, HoldRecord,
        HoldState, HolderId, Items, OrphanPolicy, Refusal, SeatId, SeatIndex, Shortage, beside,
        fingerprint, fingerprint_of_best,
    },
    failpoint::failpoint,
    holds::{HoldArgs, HoldReply},
    limits::MAX_EPOCH_ATTEMPTS,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct HoldRequest {
    pub event_id: EventId,
    pub holder_id: HolderId,
    pub hold_id: HoldId,
    /// Each once; with `areas`, at least one.
    pub seat_ids: Vec<SeatId>,
    pub areas: Vec<(AreaId, u32)>,
    /// Seats that the server finds, instead of `seat_ids`.
    pub best_available: Option<BestAvailable>,
    /// The event's own where `None`.
    pub ttl_ms: Option<u64>,
    pub keys: ChannelKeys,
    /// What the queue gave to the holder; empty where there is none.
    pub admission_token: String,
    pub right: Right,
}

/// By what right a hold is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// As anybody may.
    Anybodys,
    /// By an offer of the waiting list, which has the first pick; no queue and no orphan
    /// policy stands before it.
    Offer,
    /// By an order whose payment came late; no channel's key, no cooling down and no limit
    /// of holds either.
    Order,
}

/// A hold that was made.
#[derive(Debug)]
pub struct Held {
    pub hold: Hold,
    /// Single seats that it leaves alone.
    pub stranded: Vec<SeatId>,
}

/// What a holder may do, as far as this server's copy of the event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    Given,
    /// Only hear of the hold that was made by the same request.
    ToAskAgain,
    /// The copy was too old to tell.
    Unknown,
}

impl Flows {
    /// Makes the hold, or answers the one that the same request made before. Where
    /// this is dropped before it is begun, it is not made; what is begun is carried
    /// through.
    pub async fn hold(self: &Arc<Self>, request: HoldRequest) -> Result<Held, Error> {
        let _span = crate::telemetry::flow("hold");
        let HoldRequest { event_id, hold_id, seat_ids, areas, .. } = &request;
        failpoint!("hold:asked");
        let mut trouble = None;
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 1. The numbers of the seats and areas. What the chart does not have is
            //    told before anything is touched.
            let (event, items) = self.event_and_items(event_id, seat_ids, areas).await?;
            // 2. What this server can tell by its own copy of the event: whether the
            //    holder was let in, and has the keys. The script says so where the copy
            //    is too old.
            let leave = self.may_hold(&event, &request, &items).await?;
            if leave == Leave::Unknown {
                continue;
            }
            // 3. One script checks everything, takes everything and writes the log.
            //    Seats that are to be found are picked just before.
            let (units, asked) = match &request.best_available {
                None => (items.units(), self.ask_for(&event, &request, leave, items).await),
                Some(best) => {
                    let units = items.units() + best.quantity;
                    (
                        units,
                        Box::pin(self.hold_best(event, &request, leave, best, items.areas)).await,
                    )
                }
            };
            let (event, reply) = asked.map_err(|error| error.after(attempt))?;
            let (record, stranded) = match reply {
                HoldReply::Held(record) => (record, Vec::new()),
                HoldReply::Stranding((record, seats)) => (record, seats),
                HoldReply::Behind => {
                    let newer = Box::pin(self.event_after(event_id, event.revision));
                    newer.await.map_err(|error| error.after(attempt))?;
                    continue;
                }
                // 4. So many holds have run out that the script could not look
                //    through them: end them, and ask again.
                HoldReply::Backlog => {
                    self.end_backlog(&event).await?;
                    let why = "holds expire faster than they are ended";
                    trouble = Some(Error::Overloaded(why.into()));
                    continue;
                }
                HoldReply::Failed => return Err(Error::internal("a hold's record is damaged")),
                refused => return Err(refusal(&event, *hold_id, areas, refused, units).into()),
            };
            // 5. Where the hold shall outlive Redis, Postgres has it before its
            //    holder is told.
            failpoint!("hold:held");
            if let Some(record) = self.journal_new_hold(&event, *hold_id, record).await? {
                failpoint!("hold:journaled");
                self.note_admission_used(&event, &request.holder_id);
                return self.held(&event, *hold_id, &record, &stranded).await;
            }
            self.event_anew(event_id).await.map_err(Error::after_a_change)?;
            trouble = Some(Error::unsettled().after_a_change());
        }
        Err(trouble.unwrap_or_else(Error::unsettled))
    }

    /// Asks the script for these items.
    pub(super) async fn ask_for(
        self: &Arc<Self>,
        event: &LoadedEvent,
        request: &HoldRequest,
        leave: Leave,
        items: Items,
    ) -> Result<(Arc<LoadedEvent>, HoldReply), Error> {
        let (event_id, mut args) = (&event.event_id, args(event, request, items));
        if leave == Leave::ToAskAgain {
            // No event is so old: what is not there any more is not made.
            args.revision = 0;
        }
        self.on_event(event_id, |epoch| self.holds.hold(event_id, epoch, args.clone())).await
    }

    /// Whether the holder may take these items, as far as the event's copy tells. Who asks
    /// again for what he has is told so, whatever has changed since.
    async fn may_hold(
        self: &Arc<Self>,
        event: &LoadedEvent,
        request: &HoldRequest,
        items: &Items,
    ) -> Result<Leave, Error> {
        let HoldRequest { holder_id, admission_token, keys, .. } = request;
        let admitted = match request.right {
            Right::Order => return Ok(Leave::Given),
            Right::Offer => Ok(()),
            Right::Anybodys => self.check_admission(event, holder_id, admission_token).await,
        };
        let may = match admitted {
            Ok(()) => check_channels(&event.chart, items, keys).map_err(Error::from),
            refused => refused,
        };
        match may {
            Err(Error::Refused(refusal)) if !Box::pin(self.was_made(request)).await? => {
                if !self.is_behind(event).await? {
                    return Err(refusal.into());
                }
                self.event_after(&request.event_id, event.revision).await?;
                Ok(Leave::Unknown)
            }
            Err(Error::Refused(_)) => Ok(Leave::ToAskAgain),
            Ok(()) => {
                self.note_override(event, request.hold_id, items, &request.keys).await?;
                Ok(Leave::Given)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether the event has changed since it was read, by Redis: who is refused asks
    /// again and again, and Postgres is not asked each time.
    pub(super) async fn is_behind(&self, event: &LoadedEvent) -> Result<bool, Error> {
        Ok(self.holds.revision(&event.event_id).await? > Some(event.revision))
    }

    /// Whether Redis has a hold of the request's id.
    async fn was_made(self: &Arc<Self>, request: &HoldRequest) -> Result<bool, Error> {
        let HoldRequest { event_id, hold_id, .. } = request;
        let look = self.on_event(event_id, |epoch| self.holds.get_hold(event_id, epoch, *hold_id));
        Ok(!look.await?.1.is_empty())
    }

    pub(super) async fn end_backlog(
        self: &Arc<Self>,
        event: &Arc<LoadedEvent>,
    ) -> Result<(), Error> {
        let (flows, event) = (self.clone(), event.clone());
        let expire = async move { flows.expire_holds(&event.event_id, event.epoch).await };
        self.carry_through(expire).await.map(drop)
    }

    /// A hold that was made, unless it has ended meanwhile otherwise than by its
    /// sale.
    async fn held(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: &HoldRecord,
        stranded: &[SeatIndex],
    ) -> Result<Held, Error> {
        match record.state {
            HoldState::Active | HoldState::Confirming | HoldState::Confirmed => Ok(Held {
                hold: self.hold_of(event, hold_id, record).await?,
                stranded: names(event, stranded),
            }),
            HoldState::Released | HoldState::Expired | HoldState::Lost => {
                Err(standing(hold_id, record).into())
            }
        }
    }
}

/// What the script is asked for.
fn args(event: &LoadedEvent, request: &HoldRequest, items: Items) -> HoldArgs {
    // What the server picks leaves a single seat alone only where it must.
    let policy = match request.right != Right::Anybodys || request.best_available.is_some() {
        true => OrphanPolicy::Off,
        false => event.rules.orphan_policy,
    };
    let HoldRequest { holder_id, ttl_ms, .. } = request;
    HoldArgs {
        hold_id: request.hold_id,
        holder: holder_id.clone(),
        fingerprint: match &request.best_available {
            None => fingerprint(holder_id, &items, *ttl_ms),
            Some(asked) => fingerprint_of_best(holder_id, asked, &items.areas, *ttl_ms),
        },
        ttl_ms: *ttl_ms,
        beside: match policy {
            OrphanPolicy::Off => Vec::new(),
            OrphanPolicy::Warn | OrphanPolicy::Refuse => beside(&event.chart, &items.seats),
        },
        strict: policy == OrphanPolicy::Refuse,
        areas: items.areas.iter().map(|units| (units.area, units.quantity)).collect(),
        seats: items.seats,
        revision: event.revision,
        entitled: request.right != Right::Anybodys,
        owed: request.right == Right::Order,
    }
}

/// The ids of seats that the chart has.
pub(super) fn names(event: &LoadedEvent, seats: &[SeatIndex]) -> Vec<SeatId> {
    seats.iter().filter_map(|&seat| event.chart.seat_id(seat).cloned()).collect()
}

/// The script's no, with names for its numbers.
pub(super) fn refusal(
    event: &LoadedEvent,
    hold_id: HoldId,
    areas_asked: &[(AreaId, u32)],
    reply: HoldReply,
    asked: u32,
) -> Refusal {
    match reply {
        HoldReply::Held(_)
        | HoldReply::Stranding(_)
        | HoldReply::Behind
        | HoldReply::Backlog
        | HoldReply::Failed => unreachable!("told apart by the caller"),
        HoldReply::Reused => Refusal::HoldIdReused(hold_id),
        HoldReply::Ended(record) => standing(hold_id, &record),
        HoldReply::NotOnSale(state) => Refusal::EventNotOnSale {
            event_id: event.event_id.clone(),
            state: EventState::from_name(&state).unwrap_or(EventState::Closed),
        },
        HoldReply::TtlTooLong(ms) => {
            Refusal::field("ttl", format!("must be at most {ms} ms for this event"))
        }
        HoldReply::LimitPerHold(limit) => {
            Refusal::LimitExceeded { which: EventLimit::UnitsPerHold, limit, used: 0, asked }
        }
        HoldReply::LimitPerHolder((limit, used)) => {
            Refusal::LimitExceeded { which: EventLimit::UnitsPerHolder, limit, used, asked }
        }
        HoldReply::HoldsPerHolder((limit, used)) => {
            Refusal::LimitExceeded { which: EventLimit::HoldsPerHolder, limit, used, asked: 1 }
        }
        HoldReply::CoolingDown(ms) => Refusal::HolderCoolingDown(Duration::from_millis(ms)),
        HoldReply::Orphans(seats) => Refusal::OrphanSeat(names(event, &seats)),
        HoldReply::Unavailable(seats) => Refusal::SeatUnavailable(
            seats
                .into_iter()
                .filter_map(|(seat, status)| Some((event.chart.seat_id(seat)?.clone(), status)))
                .collect(),
        ),
        HoldReply::Insufficient(areas) => Refusal::InsufficientCapacity(
            areas
                .into_iter()
                .filter_map(|(area, available)| {
                    let area_id = event.chart.area_id(area)?.clone();
                    let asked = areas_asked.iter().find(|(id, _)| *id == area_id)?.1;
                    let available = u32::try_from(available).unwrap_or_default();
                    Some(Shortage { area_id, asked, available })
                })
                .collect(),
        ),
    }
}

/// Why nothing can be done with a hold that is not active.
///
/// # Panics
/// For an active hold.
pub(super) fn standing(hold_id: HoldId, record: &HoldRecord) -> Refusal {
    match (record.state, record.order_id) {
        (HoldState::Active, _) => unreachable!("an active hold stands in nobody's way"),
        (HoldState::Confirming, _) | (HoldState::Confirmed, None) => {
            Refusal::HoldConfirming(hold_id)
        }
        (HoldState::Confirmed, Some(order_id)) => Refusal::HoldConfirmed { hold_id, order_id },
        (HoldState::Released, _) => Refusal::HoldReleased(hold_id),
        (HoldState::Expired, _) => Refusal::HoldExpired(hold_id),
        (HoldState::Lost, _) => Refusal::HoldLost(hold_id),
    }
}

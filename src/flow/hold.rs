//! Hold: takes seats and area units for a holder, all of them or none.

use std::sync::Arc;

use super::{Error, Flows, event::LoadedEvent};
use crate::{
    domain::{
        AreaId, BestAvailable, ChannelKey, EventId, EventState, Hold, HoldId, HoldRecord,
        HoldState, HolderId, Refusal, SeatId, Shortage, UnitLimit, fingerprint,
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
    /// By an order or an offer: then no queue, no channel's key, no cooling down and no
    /// orphan policy stands before it.
    pub is_entitled: bool,
}

/// Which of the seats and areas that are kept for channels a caller may take.
#[derive(Debug, Clone, Default)]
pub struct ChannelKeys {
    pub channels: Vec<ChannelKey>,
    /// All of them: who says so, and why.
    pub overridden: Option<Override>,
}

/// An operator's word.
#[derive(Debug, Clone)]
pub struct Override {
    pub actor: String,
    pub reason: String,
}

impl Flows {
    /// Makes the hold, or answers the one that the same request made before. Where
    /// this is dropped before it is begun, it is not made; what is begun is carried
    /// through.
    pub async fn hold(self: &Arc<Self>, request: HoldRequest) -> Result<Hold, Error> {
        let HoldRequest { event_id, holder_id, hold_id, seat_ids, areas, ttl_ms, .. } = &request;
        // 1. The numbers of the seats and areas. What the chart does not have is
        //    told before anything is touched.
        let items = self.items(event_id, seat_ids, areas).await?;
        let units = items.units();
        let args = HoldArgs {
            hold_id: *hold_id,
            holder: holder_id.clone(),
            fingerprint: fingerprint(holder_id, &items, *ttl_ms),
            ttl_ms: *ttl_ms,
            seats: items.seats,
            areas: items.areas.iter().map(|units| (units.area, units.quantity)).collect(),
        };
        failpoint!("hold:asked");
        let mut trouble = None;
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 2. One script checks everything, takes everything and writes the log.
            let (event, reply) = self
                .on_event(event_id, |epoch| self.holds.hold(event_id, epoch, args.clone()))
                .await
                .map_err(|error| error.after(attempt))?;
            match reply {
                // 3. Where the hold shall outlive Redis, Postgres has it before its
                //    holder is told.
                HoldReply::Held(record) => {
                    failpoint!("hold:held");
                    match self.journal_new_hold(&event, *hold_id, record).await? {
                        Some(record) => {
                            failpoint!("hold:journaled");
                            return self.held(&event, *hold_id, &record).await;
                        }
                        None => {
                            let anew = self.event_anew(event_id).await;
                            anew.map_err(Error::after_a_change)?
                        }
                    };
                    trouble = Some(Error::unsettled().after_a_change());
                }
                // 4. So many holds have run out that the script could not look
                //    through them: end them, and ask again.
                HoldReply::Backlog => {
                    let (flows, event) = (self.clone(), event.clone());
                    let expire =
                        async move { flows.expire_holds(&event.event_id, event.epoch).await };
                    self.carry_through(expire).await?;
                    let why = "holds expire faster than they are ended";
                    trouble = Some(Error::Overloaded(why.into()));
                }
                HoldReply::Failed => return Err(Error::internal("a hold's record is damaged")),
                refused => return Err(refusal(&event, &request, refused, units).into()),
            }
        }
        Err(trouble.unwrap_or_else(Error::unsettled))
    }

    /// A hold that was made, unless it has ended meanwhile otherwise than by its
    /// sale.
    async fn held(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: &HoldRecord,
    ) -> Result<Hold, Error> {
        match record.state {
            HoldState::Active | HoldState::Confirming | HoldState::Confirmed => {
                self.hold_of(event, hold_id, record).await
            }
            HoldState::Released | HoldState::Expired | HoldState::Lost => {
                Err(standing(hold_id, record).into())
            }
        }
    }
}

/// The script's no, with names for its numbers.
fn refusal(event: &LoadedEvent, request: &HoldRequest, reply: HoldReply, asked: u32) -> Refusal {
    let hold_id = request.hold_id;
    match reply {
        HoldReply::Held(_) | HoldReply::Backlog | HoldReply::Failed => {
            unreachable!("told apart by the caller")
        }
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
            Refusal::LimitExceeded { which: UnitLimit::PerHold, limit, used: 0, asked }
        }
        HoldReply::LimitPerHolder((limit, used)) => {
            Refusal::LimitExceeded { which: UnitLimit::PerHolder, limit, used, asked }
        }
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
                    let asked = request.areas.iter().find(|(id, _)| *id == area_id)?.1;
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

//! ChangeHold: a hold gets other seats and units, all of them or none.

use std::sync::Arc;

use super::{
    ChannelKeys, Error, Flows,
    channels::{Kept, kept_for_others},
    ended::ended_by,
    event::LoadedEvent,
    hold::{Held, names, refusal, standing},
};
use crate::{
    domain::{
        AreaId, EventId, HoldId, HoldRecord, HoldState, HolderId, Items, OrderId, OrderState,
        OrphanPolicy, Outcome, Refusal, SeatId, SeatIndex, Unsold, beside,
    },
    failpoint::failpoint,
    holds::{ChangeArgs, ChangeReply},
    limits::MAX_EPOCH_ATTEMPTS,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct ChangeHoldRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    /// All that it shall have, each once; with `areas`, at least one.
    pub seat_ids: Vec<SeatId>,
    pub areas: Vec<(AreaId, u32)>,
    /// For what is new.
    pub keys: ChannelKeys,
}

impl Flows {
    /// Changes the hold; answers it as it is then.
    pub async fn change_hold(self: &Arc<Self>, request: ChangeHoldRequest) -> Result<Held, Error> {
        let _span = crate::telemetry::flow("change_hold");
        let ChangeHoldRequest { event_id, hold_id, seat_ids, areas, keys, .. } = &request;
        let (mut trouble, mut is_noted) = (None, false);
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 1. The numbers of the seats and areas, and which of them are kept for
            //    others: only the script knows which are new.
            let (event, items) = self.event_and_items(event_id, seat_ids, areas).await?;
            let kept = match is_noted {
                true => Kept::default(),
                false => kept_for_others(&event.chart, &items, &keys.channels),
            };
            let args = args(&event, &request, &items, kept);
            // 2. One script checks everything, takes what is new, gives back the rest,
            //    and writes both to the log as one change.
            let (event, reply) = self
                .on_event(event_id, |epoch| self.holds.change_hold(event_id, epoch, &args))
                .await
                .map_err(|error| error.after(attempt))?;
            let (record, stranded) = match reply {
                ChangeReply::Changed(record) => (record, Vec::new()),
                ChangeReply::Stranding((record, seats)) => (record, seats),
                ChangeReply::Reserved((seats, areas)) => {
                    let kept = Kept { seats, areas };
                    let Some(by) = &keys.overridden else {
                        return Err(kept.required(&event.chart).into());
                    };
                    self.note_taken(&event, *hold_id, &kept, by).await?;
                    is_noted = true;
                    continue;
                }
                ChangeReply::Behind => {
                    let newer = self.event_after(event_id, event.revision).await;
                    newer.map_err(|error| error.after(attempt))?;
                    continue;
                }
                ChangeReply::Backlog => {
                    self.end_backlog(&event).await?;
                    let why = "holds expire faster than they are ended";
                    trouble = Some(Error::Overloaded(why.into()));
                    continue;
                }
                ChangeReply::Ordered(order_id) => return Err(self.ordered_as(order_id).await?),
                ChangeReply::Standing(record) => return Err(standing(*hold_id, &record).into()),
                why @ (ChangeReply::Released | ChangeReply::Missing) => {
                    match self.gone(&event, &request, &why).await? {
                        Some(outcome) => return Err(ended_by(*hold_id, outcome).into()),
                        None => self.event_anew(event_id).await?,
                    };
                    continue;
                }
                ChangeReply::Refused(why) => {
                    return Err(refusal(&event, *hold_id, areas, why, items.units()).into());
                }
            };
            failpoint!("change:changed");
            // 3. Where it shall outlive Redis, so shall what it has now.
            if let Some(held) = self.changed(&event, *hold_id, record, &stranded).await? {
                return Ok(held);
            }
            self.event_anew(event_id).await.map_err(Error::after_a_change)?;
            trouble = Some(Error::unsettled().after_a_change());
        }
        Err(trouble.unwrap_or_else(Error::unsettled))
    }

    /// How the hold ends, or has ended; `None` where Redis is to be asked again.
    async fn gone(
        &self,
        event: &LoadedEvent,
        request: &ChangeHoldRequest,
        why: &ChangeReply,
    ) -> Result<Option<Outcome>, Error> {
        let hold_id = request.hold_id;
        match why {
            // A Release of all that it has may be on its way: it is ended as
            // that would, so that the no stays one.
            ChangeReply::Released => self.end_hold(event, hold_id, Unsold::Released).await,
            // Redis has forgotten it, or never had it: the journal tells.
            _ => {
                let ended = self.end_missing_hold(event, hold_id, Some(&request.holder_id));
                Ok(ended.await?.map(|(_, outcome)| outcome))
            }
        }
    }

    async fn changed(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
        stranded: &[SeatIndex],
    ) -> Result<Option<Held>, Error> {
        let journaled = self.journal_first(event, hold_id, record).await;
        match journaled.map_err(Error::after_a_change)? {
            None => Ok(None),
            Some(record) if record.state == HoldState::Active => {
                let hold = self.hold_of(event, hold_id, &record).await?;
                Ok(Some(Held { hold, stranded: names(event, stranded) }))
            }
            Some(record) => Err(standing(hold_id, &record).into()),
        }
    }

    /// The no that a hold's order means. One that is not there yet is being made.
    pub(super) async fn ordered_as(&self, order_id: OrderId) -> Result<Error, Error> {
        let order = self.ledger.find_order(order_id).await?;
        let state = order.map_or(OrderState::Pending, |order| order.state);
        Ok(Refusal::OrderState { order_id, state }.into())
    }
}

/// What the script is asked for.
fn args(event: &LoadedEvent, request: &ChangeHoldRequest, items: &Items, kept: Kept) -> ChangeArgs {
    let policy = event.rules.orphan_policy;
    ChangeArgs {
        hold_id: request.hold_id,
        holder: request.holder_id.clone(),
        seats: items.seats.clone(),
        areas: items.areas.iter().map(|units| (units.area, units.quantity)).collect(),
        revision: event.revision,
        reserved_seats: kept.seats,
        reserved_areas: kept.areas,
        beside: match policy {
            OrphanPolicy::Off => Vec::new(),
            OrphanPolicy::Warn | OrphanPolicy::Refuse => beside(&event.chart, &items.seats),
        },
        strict: policy == OrphanPolicy::Refuse,
    }
}

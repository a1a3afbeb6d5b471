//! Release: gives a hold back, whole or in part.

use std::sync::Arc;

use super::{Error, Flows, ended::ended_by, event::LoadedEvent, hold::standing};
use crate::{
    domain::{
        AreaId, EventId, Hold, HoldId, HoldRecord, HoldState, HolderId, Outcome, SeatId, Unsold,
    },
    failpoint::failpoint,
    holds::ReleaseReply,
    limits::MAX_EPOCH_ATTEMPTS,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct ReleaseRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    /// With `areas`, what to give back; all of the hold where both are empty.
    pub seat_ids: Vec<SeatId>,
    pub areas: Vec<(AreaId, u32)>,
}

impl Flows {
    /// Releases; answers the hold as it is then.
    pub async fn release(self: &Arc<Self>, request: ReleaseRequest) -> Result<Hold, Error> {
        let _span = crate::telemetry::flow("release");
        let ReleaseRequest { event_id, hold_id, holder_id, seat_ids, areas } = &request;
        let items = self.items(event_id, seat_ids, areas).await?;
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 1. The script gives a part back by itself; of a whole hold it only
            //    says that it may be released, and lets it become nothing else.
            let (event, reply) = self
                .on_event(event_id, |epoch| {
                    self.holds.release(event_id, epoch, *hold_id, holder_id, &items)
                })
                .await
                .map_err(|error| error.after(attempt))?;
            let released = match reply {
                ReleaseReply::Reduced(record) => self.reduced(&event, *hold_id, record).await?,
                ReleaseReply::Standing(record) if record.state == HoldState::Released => {
                    return self.hold_of(&event, *hold_id, &record).await;
                }
                ReleaseReply::Standing(record) => return Err(standing(*hold_id, &record).into()),
                // 2. The outcome first: a Confirm that comes between is either
                //    before it, and wins, or after it, and is told so.
                // 3. Then Redis frees the seats.
                ReleaseReply::Whole(record) => self.release_whole(&event, *hold_id, record).await?,
                ReleaseReply::Missing => self.released_before(&event, *hold_id, holder_id).await?,
            };
            match released {
                Some(hold) => return Ok(hold),
                None => self.event_anew(event_id).await.map_err(Error::after_a_change)?,
            };
        }
        Err(Error::unsettled().after_a_change())
    }

    /// Where the hold outlives Redis, so does what it has left.
    async fn reduced(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
    ) -> Result<Option<Hold>, Error> {
        failpoint!("release:reduced");
        let journaled = self.journal_first(event, hold_id, record).await;
        match journaled.map_err(Error::after_a_change)? {
            None => Ok(None),
            // Released meanwhile, it has given back what was named, too.
            Some(record) if matches!(record.state, HoldState::Active | HoldState::Released) => {
                self.hold_of(event, hold_id, &record).await.map(Some)
            }
            Some(record) => Err(standing(hold_id, &record).into()),
        }
    }

    async fn release_whole(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: HoldRecord,
    ) -> Result<Option<Hold>, Error> {
        failpoint!("release:asked");
        let ended = self.end_hold(event, hold_id, Unsold::Released).await;
        // What the script has marked may end so by a ChangeHold or a ReassignHold, too.
        match ended.map_err(Error::after_a_change)? {
            None => Ok(None),
            Some(Outcome::Released) => {
                let released = HoldRecord { state: HoldState::Released, ..record };
                self.hold_of(event, hold_id, &released).await.map(Some)
            }
            Some(outcome) => Err(ended_by(hold_id, outcome).into()),
        }
    }

    /// For a hold that Redis does not have: released before, or ended
    /// otherwise.
    async fn released_before(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        holder_id: &HolderId,
    ) -> Result<Option<Hold>, Error> {
        match self.end_missing_hold(event, hold_id, Some(holder_id)).await? {
            None => Ok(None),
            Some((record, Outcome::Released)) => {
                let released = HoldRecord { state: HoldState::Released, ..record };
                self.hold_of(event, hold_id, &released).await.map(Some)
            }
            Some((_, outcome)) => Err(ended_by(hold_id, outcome).into()),
        }
    }
}

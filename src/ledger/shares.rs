//! Shares of areas: units that move from one area to another.

use scoped_futures::ScopedFutureExt;

use super::{
    Error, Ledger,
    channels::note_action_in_tx,
    columns::{to_i32, to_i64, to_u32, unsigned},
    growth::{Growth, note_growth_in_tx},
    outbox::note_event_in_tx,
    session::{Params, Tx},
};
use crate::domain::{
    AreaId, AreaIndex, ChannelAction, ChannelActionKind, Epoch, EventId, Refusal, ShareRequest,
    Shortage,
};
use crate::limits::MAX_AREAS;

/// What has to be done for a share to be as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharePlan {
    /// It is so already.
    Nothing,
    /// Its channel is another, or there is no such share yet.
    Move(UnitMove),
}

/// Units that are to move between an area and its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitMove {
    /// The event's, of which this is true.
    pub revision: u64,
    /// The area that loses them, and the capacity that it shall have left.
    pub from: AreaIndex,
    pub from_id: AreaId,
    pub left: u32,
    /// How many; 0 where only the channel changes.
    pub units: u32,
}

/// An area as it is before a move.
struct Before {
    index: AreaIndex,
    capacity: u32,
    channel: Option<String>,
    share_of: Option<String>,
}

impl Ledger {
    /// What is to be moved for a share to be as asked for.
    ///
    /// # Errors
    /// [`Refusal::EventNotFound`], [`Refusal::AreaNotFound`], [`Refusal::AreaIdReused`];
    /// [`Refusal::InvalidField`] where the area is a share itself, or there are
    /// [`MAX_AREAS`] already; [`Refusal::InsufficientCapacity`] where the area never had
    /// as many units.
    pub async fn plan_share(&self, request: &ShareRequest) -> Result<SharePlan, Error> {
        // One statement: what it reads belongs together.
        const SQL: &str = "-- plan_share
            SELECT revision, (SELECT count(*) FROM areas a WHERE a.event_id = e.event_id),
                p.area_index, p.capacity, p.channel, p.share_of,
                s.area_index, s.capacity, s.channel, s.share_of
            FROM events e
                LEFT JOIN areas p ON p.event_id = e.event_id AND p.area_id = $2
                LEFT JOIN areas s ON s.event_id = e.event_id AND s.area_id = $3
            WHERE e.event_id = $1";
        let ShareRequest { event_id, area_id, share_area_id, quantity, .. } = request;
        let params: Params<'_> = &[&event_id.as_str(), &area_id.as_str(), &share_area_id.as_str()];
        let row = self.query_opt(SQL, params).await?;
        let row = row.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
        let before = |at: usize| {
            row.get::<_, Option<i32>>(at).map(|index| Before {
                index: AreaIndex(to_u32(index)),
                capacity: to_u32(row.get(at + 1)),
                channel: row.get(at + 2),
                share_of: row.get(at + 3),
            })
        };
        let revision = unsigned(row.get(0))?;
        let is_full = usize::try_from(row.get::<_, i64>(1)).map_err(Error::corrupt)? >= MAX_AREAS;
        let parent = before(2).ok_or_else(|| Refusal::AreaNotFound(vec![area_id.clone()]))?;
        if parent.share_of.is_some() {
            return Err(Refusal::field("area_id", "must not be a share itself").into());
        }
        let share = before(6);
        if share.as_ref().is_some_and(|it| it.share_of.as_deref() != Some(area_id.as_str())) {
            return Err(Refusal::AreaIdReused(vec![share_area_id.clone()]).into());
        }
        if share.is_none() && is_full {
            let why = format!("an event has at most {MAX_AREAS} areas");
            return Err(Refusal::field("share_area_id", why).into());
        }
        let had = share.as_ref().map_or(0, |share| share.capacity);
        if share.as_ref().is_some_and(|share| {
            share.capacity == *quantity
                && share.channel.as_deref() == Some(request.channel.as_str())
        }) {
            return Ok(SharePlan::Nothing);
        }
        let units = quantity.abs_diff(had);
        Ok(SharePlan::Move(match share {
            Some(share) if *quantity < had => UnitMove {
                revision,
                from: share.index,
                from_id: share_area_id.clone(),
                left: *quantity,
                units,
            },
            _ => UnitMove {
                revision,
                from: parent.index,
                from_id: area_id.clone(),
                left: parent
                    .capacity
                    .checked_sub(units)
                    .ok_or_else(|| short_of(area_id, units, parent.capacity))?,
                units,
            },
        }))
    }

    /// Notes that Redis is to be brought up to an event's revision by whoever comes by,
    /// unless whoever asks for this does so.
    pub async fn note_event(&self, event_id: &EventId) -> Result<i64, Error> {
        self.run_tx(|tx| async move { note_event_in_tx(tx, event_id).await }.scope_boxed()).await
    }

    /// Makes a share as asked for, if the event is still in this epoch and revision:
    /// otherwise what was taken from Redis for it may have been given back since.
    /// Answers the outbox row by which Redis hears of it, or `None`.
    ///
    /// # Errors
    /// [`Refusal::InsufficientCapacity`] where more is sold than would be left.
    pub async fn move_units(
        &self,
        request: &ShareRequest,
        units: &UnitMove,
        epoch: Epoch,
    ) -> Result<Option<i64>, Error> {
        const FENCE: &str = "-- move_units: fence
            SELECT FROM events WHERE event_id = $1 AND epoch = $2 AND revision = $3
            FOR NO KEY UPDATE";
        let (epoch, revision) = (to_i64(epoch.0), to_i64(units.revision));
        let moved = self.run_tx(|tx| {
            async move {
                let fence: Params<'_> = &[&request.event_id.as_str(), &epoch, &revision];
                if tx.query_opt(FENCE, fence).await?.is_none() {
                    return Ok(None);
                }
                move_units_in_tx(tx, request).await?;
                let action = ChannelAction {
                    kind: ChannelActionKind::Allocate,
                    channel: Some(request.channel.clone()),
                    hold_id: None,
                    seat_ids: Vec::new(),
                    area_ids: vec![request.area_id.clone(), request.share_area_id.clone()],
                    actor: request.actor.clone(),
                    reason: request.reason.clone(),
                };
                note_action_in_tx(tx, &request.event_id, &action).await?;
                note_growth_in_tx(tx, &request.event_id).await.map(Some)
            }
            .scope_boxed()
        });
        match moved.await {
            Ok(growth) => Ok(growth.and_then(Growth::outbox_id)),
            Err(Error::Constraint { constraint, .. })
                if constraint == "areas_sold_within_capacity" =>
            {
                Err(short_of(&units.from_id, units.units, 0).into())
            }
            Err(error) => Err(error),
        }
    }

    /// Moves an event to the next revision where it is at this one: whatever was begun
    /// at this one cannot come to its end any more.
    pub async fn pass_revision(&self, event_id: &EventId, revision: u64) -> Result<(), Error> {
        const SQL: &str = "-- pass_revision
            UPDATE events SET revision = revision + 1, update_time = now()
            WHERE event_id = $1 AND revision = $2";
        self.query(SQL, &[&event_id.as_str(), &to_i64(revision)]).await.map(|_| ())
    }
}

async fn move_units_in_tx(tx: &Tx<'_>, request: &ShareRequest) -> Result<(), Error> {
    const SHARE: &str = "-- move_units: share
        INSERT INTO areas (event_id, area_index, area_id, name, capacity, price_category_id,
            channel, share_of)
        SELECT $1, (SELECT max(area_index) + 1 FROM areas WHERE event_id = $1), $3, $4, 0,
            price_category_id, $5, $2
        FROM areas WHERE event_id = $1 AND area_id = $2
        ON CONFLICT (event_id, area_id) DO UPDATE SET channel = excluded.channel";
    // In the order in which sales lock them.
    const LOCK: &str = "-- move_units: lock
        SELECT FROM areas WHERE event_id = $1 AND area_id IN ($2, $3)
        ORDER BY area_index FOR NO KEY UPDATE";
    const MOVE: &str = "-- move_units
        UPDATE areas a SET capacity =
            CASE WHEN a.area_id = $3 THEN $4 ELSE a.capacity - ($4 - share.capacity) END
        FROM areas share
        WHERE share.event_id = $1 AND share.area_id = $3
            AND a.event_id = $1 AND a.area_id IN ($2, $3)";
    let event_id = request.event_id.as_str();
    let (area_id, share_id) = (request.area_id.as_str(), request.share_area_id.as_str());
    let (channel, quantity) = (request.channel.as_str(), to_i32(request.quantity));
    tx.query(LOCK, &[&event_id, &area_id, &share_id]).await?;
    tx.query(SHARE, &[&event_id, &area_id, &share_id, &request.name, &channel]).await?;
    tx.query(MOVE, &[&event_id, &area_id, &share_id, &quantity]).await?;
    Ok(())
}

fn short_of(area_id: &AreaId, asked: u32, available: u32) -> Refusal {
    let area_id = area_id.clone();
    Refusal::InsufficientCapacity(vec![Shortage { area_id, asked, available }])
}

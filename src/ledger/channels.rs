//! What is kept for channels, and the record of who did what about it.

use scoped_futures::ScopedFutureExt;
use tokio_postgres::Row;

use super::{
    Error, Growth, Ledger,
    columns::{parse, to_i32},
    growth::{lock_chart_in_tx, note_growth_in_tx},
    session::{Params, Tx},
};
use crate::domain::{
    AreaId, AreaIndex, ChannelAction, ChannelActionKind, ChannelKey, EventId, HoldId, PastAction,
    SeatId, SeatIndex,
};
use crate::limits::MAX_SEATS_OF_AN_ACTION;

impl Ledger {
    /// Keeps seats for `action`'s channel.
    ///
    /// # Errors
    /// [`crate::domain::Refusal::EventNotFound`].
    pub async fn allocate_seats(
        &self,
        event_id: &EventId,
        seats: &[SeatIndex],
        action: &ChannelAction,
    ) -> Result<Growth, Error> {
        const SQL: &str = "-- allocate_seats
            UPDATE seats SET channel = $3
            WHERE event_id = $1 AND seat_index = ANY($2) AND channel IS DISTINCT FROM $3
            RETURNING seat_index";
        let seats: Vec<_> = seats.iter().map(|seat| to_i32(seat.0)).collect();
        let channel = action.channel.as_ref().map(ChannelKey::as_str);
        let (seats, channel) = (&seats, &channel);
        self.run_tx(|tx| {
            async move {
                lock_chart_in_tx(tx, event_id).await?;
                let changed = tx.query(SQL, &[&event_id.as_str(), seats, channel]).await?;
                if changed.is_empty() {
                    return Ok(Growth::Unchanged);
                }
                note_action_in_tx(tx, event_id, action).await?;
                note_growth_in_tx(tx, event_id).await
            }
            .scope_boxed()
        })
        .await
    }

    /// Lets everybody take these seats and shares.
    ///
    /// # Errors
    /// [`crate::domain::Refusal::EventNotFound`].
    pub async fn free_allocation(
        &self,
        event_id: &EventId,
        seats: &[SeatIndex],
        areas: &[AreaIndex],
        action: &ChannelAction,
    ) -> Result<Growth, Error> {
        const SEATS: &str = "-- free_allocation: seats
            UPDATE seats SET channel = NULL
            WHERE event_id = $1 AND seat_index = ANY($2) AND channel IS NOT NULL
            RETURNING seat_index";
        const AREAS: &str = "-- free_allocation: areas
            UPDATE areas SET channel = NULL
            WHERE event_id = $1 AND area_index = ANY($2) AND channel IS NOT NULL
            RETURNING area_index";
        let seats: Vec<_> = seats.iter().map(|seat| to_i32(seat.0)).collect();
        let areas: Vec<_> = areas.iter().map(|area| to_i32(area.0)).collect();
        let (seats, areas) = (&seats, &areas);
        self.run_tx(|tx| {
            async move {
                let id = event_id.as_str();
                lock_chart_in_tx(tx, event_id).await?;
                let freed = tx.query(SEATS, &[&id, seats]).await?.len()
                    + tx.query(AREAS, &[&id, areas]).await?.len();
                if freed == 0 {
                    return Ok(Growth::Unchanged);
                }
                note_action_in_tx(tx, event_id, action).await?;
                note_growth_in_tx(tx, event_id).await
            }
            .scope_boxed()
        })
        .await
    }

    /// Puts an action on record that changes nothing by itself.
    pub async fn note_channel_action(
        &self,
        event_id: &EventId,
        action: &ChannelAction,
    ) -> Result<(), Error> {
        self.run_tx(|tx| async move { note_action_in_tx(tx, event_id, action).await }.scope_boxed())
            .await
    }

    /// A page of an event's actions, the latest first: those with lower numbers than
    /// `before`.
    pub async fn list_channel_actions(
        &self,
        event_id: &EventId,
        before: Option<i64>,
        page_size: u32,
    ) -> Result<Vec<PastAction>, Error> {
        const SQL: &str = "-- list_channel_actions
            SELECT channel_action_id, kind, channel, hold_id, seat_ids, area_ids, actor, reason,
                create_time
            FROM channel_actions WHERE event_id = $1 AND channel_action_id < $2
            ORDER BY channel_action_id DESC LIMIT $3";
        let params: Params<'_> =
            &[&event_id.as_str(), &before.unwrap_or(i64::MAX), &i64::from(page_size)];
        self.query(SQL, params).await?.iter().map(action_from_row).collect()
    }
}

pub(super) async fn note_action_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    action: &ChannelAction,
) -> Result<(), Error> {
    const SQL: &str = "-- note_channel_action
        INSERT INTO channel_actions
            (event_id, kind, channel, hold_id, seat_ids, area_ids, actor, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let seats = action.seat_ids.iter().take(MAX_SEATS_OF_AN_ACTION);
    let params: Params<'_> = &[
        &event_id.as_str(),
        &action.kind.as_str(),
        &action.channel.as_ref().map(ChannelKey::as_str),
        &action.hold_id.map(|hold_id| hold_id.0),
        &seats.map(SeatId::as_str).collect::<Vec<_>>(),
        &action.area_ids.iter().map(AreaId::as_str).collect::<Vec<_>>(),
        &action.actor,
        &action.reason,
    ];
    tx.query(SQL, params).await.map(|_| ())
}

fn action_from_row(row: &Row) -> Result<PastAction, Error> {
    let kind: &str = row.get(1);
    let (seat_ids, area_ids): (Vec<&str>, Vec<&str>) = (row.get(4), row.get(5));
    Ok(PastAction {
        number: row.get(0),
        action: ChannelAction {
            kind: ChannelActionKind::from_name(kind)
                .ok_or_else(|| Error::corrupt(format!("{kind} is no kind of channel action")))?,
            channel: row.get::<_, Option<&str>>(2).map(parse).transpose()?,
            hold_id: row.get::<_, Option<_>>(3).map(HoldId),
            seat_ids: seat_ids.into_iter().map(parse).collect::<Result<_, _>>()?,
            area_ids: area_ids.into_iter().map(parse).collect::<Result<_, _>>()?,
            actor: row.get(6),
            reason: row.get(7),
        },
        create_time: row.get(8),
    })
}

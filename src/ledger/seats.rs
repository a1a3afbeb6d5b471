//! Seats: added to a chart, blocked and unblocked.

use super::{
    Error, Ledger,
    columns::{to_i32, to_i64},
    session::Tx,
};
use crate::domain::{Epoch, EventId, RowId, Seat, SeatIndex, SectionId};

/// A seat and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeatRow<'a> {
    pub section_id: &'a SectionId,
    /// Its row's place among the section's rows.
    pub row_index: i32,
    pub row_id: &'a RowId,
    pub seat: &'a Seat,
}

/// Writes seats, numbered from `first` up.
pub(super) async fn insert_seats_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    first: usize,
    seats: &[SeatRow<'_>],
) -> Result<(), Error> {
    const SQL: &str = "-- insert_seats
        INSERT INTO seats (event_id, seat_index, seat_id, section_id, row_index, row_id,
            price_category_id, accessible, x, y)
        SELECT $1, $2 + n - 1, id, section, row_index, row_id, category, accessible, x, y
        FROM unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::bool[],
                $9::real[], $10::real[])
            WITH ORDINALITY
            AS t (id, section, row_index, row_id, category, accessible, x, y, n)";
    let ids: Vec<_> = seats.iter().map(|row| row.seat.seat_id.as_str()).collect();
    let sections: Vec<_> = seats.iter().map(|row| row.section_id.as_str()).collect();
    let row_indexes: Vec<_> = seats.iter().map(|row| row.row_index).collect();
    let row_ids: Vec<_> = seats.iter().map(|row| row.row_id.as_str()).collect();
    let categories: Vec<_> = seats.iter().map(|row| row.seat.price_category_id.as_str()).collect();
    let accessible: Vec<_> = seats.iter().map(|row| row.seat.accessible).collect();
    let x: Vec<_> = seats.iter().map(|row| row.seat.x).collect();
    let y: Vec<_> = seats.iter().map(|row| row.seat.y).collect();
    let first = i64::try_from(first).map_err(Error::corrupt)?;
    tx.query(
        SQL,
        &[
            &event_id.as_str(),
            &first,
            &ids,
            &sections,
            &row_indexes,
            &row_ids,
            &categories,
            &accessible,
            &x,
            &y,
        ],
    )
    .await?;
    Ok(())
}

impl Ledger {
    /// Notes seats as blocked, or not, if the event is still in `epoch`;
    /// answers whether it was. Otherwise a rebuild may have passed between
    /// Redis' change and this one.
    pub async fn set_blocked(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        seats: &[SeatIndex],
        blocked: bool,
    ) -> Result<bool, Error> {
        const SQL: &str = "-- set_blocked
            WITH fence AS MATERIALIZED (
                SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
            ), changed AS (
                UPDATE seats SET blocked = $4 FROM fence
                WHERE event_id = $1 AND seat_index = ANY($3) AND blocked <> $4
            )
            SELECT count(*) FROM fence";
        let seats: Vec<_> = seats.iter().map(|seat| to_i32(seat.0)).collect();
        let rows =
            self.query(SQL, &[&event_id.as_str(), &to_i64(epoch.0), &seats, &blocked]).await?;
        Ok(rows[0].get::<_, i64>(0) == 1)
    }
}

//! The journal: the holds of each event's log, in Postgres.

use std::fmt::Write as _;

use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, position, to_i64, to_u32},
    outcomes::outcome_from_row,
};
use crate::domain::{
    AreaHolding, AreaIndex, EventId, HoldId, HoldRecord, HoldState, Outcome, Position, Refusal,
    SeatIndex,
};

/// A hold from the journal.
#[derive(Debug, Clone)]
pub struct JournaledHold {
    /// As the log had it last: active, however it ended.
    pub record: HoldRecord,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Whether its time is up, by Postgres' clock.
    pub has_run_out: bool,
}

/// What the log tells between two positions, folded: each hold as it was last.
#[derive(Debug, Clone, Default)]
pub struct JournalBatch {
    pub from: Position,
    pub to: Position,
    pub holds: Vec<(Position, HoldId, HoldRecord)>,
    /// Holds that were expired in passing.
    pub expired: Vec<HoldId>,
}

/// The columns that [`hold_from_row`] reads.
macro_rules! hold_columns {
    () => {
        "h.hold_id, h.holder_id, h.fingerprint, \
         round(extract(epoch FROM h.create_time) * 1000)::int8, \
         round(extract(epoch FROM h.expire_time) * 1000)::int8, h.seat_indexes, h.area_indexes, \
         h.area_quantities, h.area_at_first"
    };
}
pub(super) use hold_columns;

/// A hold id is used once for ever: a row of an earlier use stays as it is. The
/// fence keeps out what was read before the event was built anew: whoever asked
/// for such a hold since then was told that there is none.
const WRITE_JOURNAL: &str = "-- write_journal
    WITH fence AS MATERIALIZED (
        SELECT FROM events WHERE event_id = $1 AND epoch = $4 FOR SHARE
    ), moved AS (
        UPDATE journal_cursors SET epoch = $4, seq = $5, update_time = now()
        FROM fence WHERE event_id = $1 AND epoch = $2 AND seq = $3 RETURNING 1
    ), written AS (
        INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
            expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
            epoch, seq)
        SELECT id, $1, holder, print, to_timestamp(made / 1e3), to_timestamp(ends / 1e3),
            seats::int[], areas::int[], quantities::int[], at_first::int[], at_epoch, at_seq
        FROM moved, unnest($6::uuid[], $7::text[], $8::text[], $9::int8[],
            $10::int8[], $11::text[], $12::text[], $13::text[], $14::text[],
            $15::int8[], $16::int8[])
            AS t (id, holder, print, made, ends, seats, areas, quantities, at_first,
                at_epoch, at_seq)
        ORDER BY id
        ON CONFLICT (event_id, hold_id) DO UPDATE SET expire_time = excluded.expire_time,
            seat_indexes = excluded.seat_indexes, area_indexes = excluded.area_indexes,
            area_quantities = excluded.area_quantities, epoch = excluded.epoch,
            seq = excluded.seq
        WHERE holds.fingerprint = excluded.fingerprint
    ), ended AS (
        INSERT INTO hold_outcomes (hold_id, event_id, outcome)
        SELECT id, $1, 'expired' FROM moved, unnest($17::uuid[]) AS id ORDER BY id
        ON CONFLICT (event_id, hold_id) DO NOTHING
    )
    SELECT count(*) FROM moved";

impl Ledger {
    /// How far the journal has followed an event's log.
    pub async fn find_journal_cursor(&self, event_id: &EventId) -> Result<Position, Error> {
        const SQL: &str = "-- find_journal_cursor
            SELECT epoch, seq FROM journal_cursors WHERE event_id = $1";
        let row = self.query_opt(SQL, &[&event_id.as_str()]).await?;
        let row = row.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
        position(&row, 0)
    }

    /// Moves the event's cursor and writes what lies between; answers whether
    /// it did, or another server was faster, or the event is in another epoch.
    pub async fn write_journal(
        &self,
        event_id: &EventId,
        batch: &JournalBatch,
    ) -> Result<bool, Error> {
        let holds = &batch.holds;
        let column = |of: fn(&HoldRecord) -> String| -> Vec<String> {
            holds.iter().map(|(.., record)| of(record)).collect()
        };
        let areas = |of: fn(&AreaHolding) -> u32| -> Vec<String> {
            holds.iter().map(|(.., record)| array(record.areas.iter().map(of))).collect()
        };
        let ids: Vec<Uuid> = holds.iter().map(|(_, hold_id, _)| hold_id.0).collect();
        let made: Vec<_> = holds.iter().map(|(.., record)| record.created_ms).collect();
        let ends: Vec<_> = holds.iter().map(|(.., record)| record.expires_ms).collect();
        let epochs: Vec<_> = holds.iter().map(|(at, ..)| to_i64(at.epoch.0)).collect();
        let seqs: Vec<_> = holds.iter().map(|(at, ..)| to_i64(at.seq)).collect();
        let expired: Vec<Uuid> = batch.expired.iter().map(|hold_id| hold_id.0).collect();
        let rows = self
            .query(
                WRITE_JOURNAL,
                &[
                    &event_id.as_str(),
                    &to_i64(batch.from.epoch.0),
                    &to_i64(batch.from.seq),
                    &to_i64(batch.to.epoch.0),
                    &to_i64(batch.to.seq),
                    &ids,
                    &column(|record| record.holder_id.to_string()),
                    &column(|record| record.fingerprint.clone()),
                    &made,
                    &ends,
                    &column(|record| array(record.seats.iter().map(|seat| seat.0))),
                    &areas(|holding| holding.area.0),
                    &areas(|holding| holding.quantity),
                    &areas(|holding| holding.at_first),
                    &epochs,
                    &seqs,
                    &expired,
                ],
            )
            .await?;
        Ok(rows[0].get::<_, i64>(0) == 1)
    }

    /// A hold, and how it ended, if it has.
    pub async fn find_hold(
        &self,
        event_id: &EventId,
        hold_id: HoldId,
    ) -> Result<Option<JournaledHold>, Error> {
        const SQL: &str = concat!(
            "-- find_hold\nSELECT ",
            hold_columns!(),
            ", h.expire_time <= clock_timestamp(), o.outcome, o.order_id
            FROM holds h LEFT JOIN hold_outcomes o USING (event_id, hold_id)
            WHERE h.event_id = $1 AND h.hold_id = $2"
        );
        let Some(row) = self.query_opt(SQL, &[&event_id.as_str(), &hold_id.0]).await? else {
            return Ok(None);
        };
        let (_, record) = hold_from_row(&row)?;
        let outcome = match row.get::<_, Option<&str>>(10) {
            Some(_) => Some(outcome_from_row(&row, 10)?),
            None => None,
        };
        Ok(Some(JournaledHold { record, outcome, has_run_out: row.get(9) }))
    }
}

/// A hold from a row that begins with [`hold_columns`].
pub(super) fn hold_from_row(row: &Row) -> Result<(HoldId, HoldRecord), Error> {
    let numbers = |at: usize| row.get::<_, Vec<i32>>(at).into_iter().map(to_u32);
    let areas = numbers(6).zip(numbers(7)).zip(numbers(8));
    let record = HoldRecord {
        holder_id: parse(row.get(1))?,
        fingerprint: row.get(2),
        state: HoldState::Active,
        created_ms: row.get(3),
        expires_ms: row.get(4),
        ended_ms: 0,
        seats: numbers(5).map(SeatIndex).collect(),
        areas: areas
            .map(|((area, quantity), at_first)| AreaHolding {
                area: AreaIndex(area),
                quantity,
                at_first,
            })
            .collect(),
        order_id: None,
    };
    Ok((HoldId(row.get(0)), record))
}

/// An array of numbers as Postgres writes it: arrays of unequal lengths cannot
/// be unnested side by side, their texts can.
fn array(numbers: impl Iterator<Item = u32>) -> String {
    let mut text = String::from("{");
    for (i, number) in numbers.enumerate() {
        let separator = if i == 0 { "" } else { "," };
        write!(text, "{separator}{number}").expect("a String takes all");
    }
    text + "}"
}

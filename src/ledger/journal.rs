//! The journal: the holds of each event's log, in Postgres.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use deadpool_postgres::Pool;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{move_hold_on, parse, position, to_i64, to_u32},
    outcomes::outcome_from_row,
    session::{Params, one_query},
};
use crate::batch::{Batcher, Bounds};
use crate::domain::{
    AreaHolding, AreaIndex, Epoch, EventId, HoldId, HoldRecord, HoldState, Outcome, Position,
    Refusal, SeatIndex,
};
use crate::limits::{MAX_HOLDS_PER_STATEMENT, MAX_HOLDS_WAITING, POSTGRES_STATEMENT_TIMEOUT};
use crate::telemetry::{self, Trace};

/// A hold from the journal.
#[derive(Debug, Clone)]
pub struct JournaledHold {
    /// As the log had it last: active, however it ended.
    pub record: HoldRecord,
    /// The log entry that it follows.
    pub at: Position,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
}

/// What the log tells between two positions, folded: each hold as it was last.
#[derive(Debug, Clone, Default)]
pub struct JournalBatch {
    pub from: Position,
    pub to: Position,
    pub holds: Vec<(Position, HoldId, HoldRecord)>,
    /// Holds that were expired in passing.
    pub expired: Vec<HoldId>,
    /// Holds that were undone, and not made again since.
    pub undone: Vec<(Position, HoldId)>,
    /// How many holds are new.
    pub made: usize,
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

/// Writes holds where `allowed` has a row. What stands already is only moved on
/// in its log's order; a row of an earlier use of the id, with other content or
/// of a hold that has ended, stays as it is.
macro_rules! write_holds {
    () => {
        concat!(
            "INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
            expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
            epoch, seq)
        SELECT id, $1, holder, print, to_timestamp(made / 1e3), to_timestamp(ends / 1e3),
            seats::int[], areas::int[], quantities::int[], at_first::int[], at_epoch, at_seq
        FROM allowed, unnest($3::uuid[], $4::text[], $5::text[], $6::int8[], $7::int8[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::int8[], $13::int8[])
            AS t (id, holder, print, made, ends, seats, areas, quantities, at_first,
                at_epoch, at_seq)
        ORDER BY id
        ",
            move_hold_on!(),
            "
            AND (holds.create_time = excluded.create_time OR NOT EXISTS (
                SELECT FROM hold_outcomes o
                WHERE o.event_id = holds.event_id AND o.hold_id = holds.hold_id))"
        )
    };
}

/// The fence keeps out what was read before the event was built anew: whoever
/// asked for such a hold since then was told that there is none.
const WRITE_JOURNAL: &str = concat!(
    "-- write_journal
    WITH fence AS MATERIALIZED (
        SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
    ), allowed AS (
        UPDATE journal_cursors SET epoch = $2, seq = $14, update_time = now()
        FROM fence WHERE event_id = $1 AND epoch = $15 AND seq = $16 RETURNING 1
    ), written AS (",
    write_holds!(),
    "), ended AS (
        INSERT INTO hold_outcomes (hold_id, event_id, outcome)
        SELECT id, $1, 'expired' FROM allowed, unnest($17::uuid[]) AS id ORDER BY id
        ON CONFLICT (event_id, hold_id) DO NOTHING
    ), undone AS (
        DELETE FROM holds USING allowed, unnest($18::uuid[], $19::int8[]) AS t (id, at_seq)
        WHERE event_id = $1 AND hold_id = id AND (epoch, seq) < ($2, at_seq)
            AND NOT EXISTS (SELECT FROM hold_outcomes o WHERE o.event_id = $1 AND o.hold_id = id)
    )
    SELECT count(*) FROM allowed"
);

/// Answers also which of the ids have ended, and which were written.
const JOURNAL_HOLDS: &str = concat!(
    "-- journal_holds
    WITH allowed AS MATERIALIZED (
        SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
    ), written AS (",
    write_holds!(),
    " RETURNING hold_id
    )
    SELECT (SELECT count(*) FROM allowed),
        ARRAY(SELECT hold_id FROM hold_outcomes WHERE event_id = $1 AND hold_id = ANY($3)),
        ARRAY(SELECT hold_id FROM written)"
);

/// Of the ids that were not written: those whose row stands there all the same,
/// with this content.
const STAND_ALREADY: &str = "-- journal_holds: stand already
    SELECT hold_id FROM holds JOIN unnest($2::uuid[], $3::text[]) AS t (id, print)
        ON hold_id = id AND fingerprint = print
    WHERE event_id = $1";

/// What became of a hold that was to be journaled before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journaled {
    /// It outlives Redis now.
    Written,
    /// Its id was used before: by a hold that has ended, or with other content.
    Used,
    /// Nothing was written: the event is not in this epoch any more.
    Fenced,
}

/// Holds of one event that are to be journaled at the same time go in one
/// statement.
pub(super) type JournalBatcher =
    Batcher<(EventId, Epoch), (HoldId, HoldRecord, Trace), Result<Journaled, Arc<Error>>>;

pub(super) fn batcher(pool: &Pool) -> Arc<JournalBatcher> {
    let pool = pool.clone();
    let bounds = Bounds {
        calls: 1,
        asks: MAX_HOLDS_PER_STATEMENT,
        waiting: MAX_HOLDS_WAITING,
        patience: POSTGRES_STATEMENT_TIMEOUT,
    };
    Batcher::new(bounds, move |(event_id, epoch), holds| {
        let pool = pool.clone();
        async move {
            let ids: Vec<_> = holds.iter().map(|(id, ..): &(HoldId, _, _)| *id).collect();
            let traces: Vec<Trace> = holds.iter().map(|(.., trace)| *trace).collect();
            let holds = holds.into_iter().map(|(id, record, _)| (id, record)).collect();
            let work = journal_holds(&pool, &event_id, epoch, holds);
            let work = telemetry::together("journal", traces.into_iter(), work);
            match work.await.map_err(Arc::new) {
                Ok(Some(used)) => {
                    let is_used = |id: &HoldId| used.contains(&id.0);
                    let journaled =
                        |id| if is_used(id) { Journaled::Used } else { Journaled::Written };
                    ids.iter().map(|id| Ok(journaled(id))).collect()
                }
                Ok(None) => vec![Ok(Journaled::Fenced); ids.len()],
                Err(error) => vec![Err(error); ids.len()],
            }
        }
    })
}

/// Journals holds; answers which ids were used before, or `None` where the
/// event is in another epoch.
async fn journal_holds(
    pool: &Pool,
    event_id: &EventId,
    epoch: Epoch,
    holds: Vec<(HoldId, HoldRecord)>,
) -> Result<Option<Vec<Uuid>>, Error> {
    // One that is asked for twice at once, once: as it was last.
    let mut latest = HashMap::new();
    for (hold_id, record) in holds {
        let at = Position { epoch, seq: record.seq };
        latest
            .entry(hold_id)
            .and_modify(|known: &mut (Position, HoldId, HoldRecord)| {
                if known.0 < at {
                    *known = (at, hold_id, record.clone());
                }
            })
            .or_insert((at, hold_id, record));
    }
    let columns = HoldColumns::new(&latest.into_values().collect::<Vec<_>>());
    let (event_id, epoch) = (event_id.as_str(), to_i64(epoch.0));
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&event_id, &epoch];
    params.extend(columns.params());
    let rows = one_query(pool, JOURNAL_HOLDS, &params).await?;
    if rows[0].get::<_, i64>(0) == 0 {
        return Ok(None);
    }
    let (mut used, written): (Vec<Uuid>, Vec<Uuid>) = (rows[0].get(1), rows[0].get(2));
    let mut unwritten = columns.ids.clone();
    unwritten.retain(|id| !written.contains(id) && !used.contains(id));
    if !unwritten.is_empty() {
        // Another statement may have written it since this one's snapshot.
        let params: Params<'_> = &[&event_id, &columns.ids, &columns.names[1]];
        let rows = one_query(pool, STAND_ALREADY, params).await?;
        let stand: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
        used.extend(unwritten.iter().filter(|id| !stand.contains(id)));
    }
    Ok(Some(used))
}

/// Holds as the columns of [`write_holds`], from `$3` on.
struct HoldColumns {
    ids: Vec<Uuid>,
    /// Holder, fingerprint.
    names: [Vec<String>; 2],
    /// Made, run out.
    times: [Vec<i64>; 2],
    /// Seats; areas, units now, units at first.
    items: [Vec<String>; 4],
    /// Epoch, seq.
    position: [Vec<i64>; 2],
}

impl HoldColumns {
    fn new(holds: &[(Position, HoldId, HoldRecord)]) -> Self {
        let text = |of: fn(&HoldRecord) -> String| -> Vec<String> {
            holds.iter().map(|(.., record)| of(record)).collect()
        };
        let time = |of: fn(&HoldRecord) -> i64| -> Vec<i64> {
            holds.iter().map(|(.., record)| of(record)).collect()
        };
        let areas = |of: fn(&AreaHolding) -> u32| -> Vec<String> {
            holds.iter().map(|(.., record)| array(record.areas.iter().map(of))).collect()
        };
        Self {
            ids: holds.iter().map(|(_, hold_id, _)| hold_id.0).collect(),
            names: [
                text(|record| record.holder_id.to_string()),
                text(|record| record.fingerprint.clone()),
            ],
            times: [time(|record| record.created_ms), time(|record| record.expires_ms)],
            items: [
                text(|record| array(record.seats.iter().map(|seat| seat.0))),
                areas(|holding| holding.area.0),
                areas(|holding| holding.quantity),
                areas(|holding| holding.at_first),
            ],
            position: [
                holds.iter().map(|(at, ..)| to_i64(at.epoch.0)).collect(),
                holds.iter().map(|(at, ..)| to_i64(at.seq)).collect(),
            ],
        }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&self.ids];
        params.extend(self.names.iter().map(|column| column as &(dyn ToSql + Sync)));
        params.extend(self.times.iter().map(|column| column as &(dyn ToSql + Sync)));
        params.extend(self.items.iter().map(|column| column as &(dyn ToSql + Sync)));
        params.extend(self.position.iter().map(|column| column as &(dyn ToSql + Sync)));
        params
    }
}

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
        let columns = HoldColumns::new(&batch.holds);
        let expired: Vec<Uuid> = batch.expired.iter().map(|hold_id| hold_id.0).collect();
        let undone: Vec<Uuid> = batch.undone.iter().map(|(_, hold_id)| hold_id.0).collect();
        let undone_at: Vec<_> = batch.undone.iter().map(|(at, _)| to_i64(at.seq)).collect();
        let (event_id, epoch) = (event_id.as_str(), to_i64(batch.to.epoch.0));
        let (to, from) = (to_i64(batch.to.seq), batch.from);
        let (from_epoch, from_seq) = (to_i64(from.epoch.0), to_i64(from.seq));
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&event_id, &epoch];
        params.extend(columns.params());
        params.extend([&to as &(dyn ToSql + Sync), &from_epoch, &from_seq, &expired]);
        params.extend([&undone as &(dyn ToSql + Sync), &undone_at]);
        let rows = self.query(WRITE_JOURNAL, &params).await?;
        let is_written = rows[0].get::<_, i64>(0) == 1;
        if is_written {
            telemetry::holds_made(batch.made);
            telemetry::holds_ended("expired", expired.len());
        }
        Ok(is_written)
    }

    /// Journals a hold as it is, and waits until that is durable.
    pub async fn journal_hold(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        record: &HoldRecord,
    ) -> Result<Journaled, Arc<Error>> {
        let key = (event_id.clone(), epoch);
        let span = telemetry::wait("journal");
        let asked = (hold_id, record.clone(), span.trace());
        let asked = self.journal_batcher.ask(key, asked).await;
        asked.map_err(|unanswered| Arc::new(Error::from(unanswered)))?
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
            ", o.outcome, o.order_id, h.epoch, h.seq
            FROM holds h LEFT JOIN hold_outcomes o USING (event_id, hold_id)
            WHERE h.event_id = $1 AND h.hold_id = $2"
        );
        let Some(row) = self.query_opt(SQL, &[&event_id.as_str(), &hold_id.0]).await? else {
            return Ok(None);
        };
        let (_, record) = hold_from_row(&row)?;
        let outcome = match row.get::<_, Option<&str>>(9) {
            Some(_) => Some(outcome_from_row(&row, 9)?),
            None => None,
        };
        Ok(Some(JournaledHold { record, at: position(&row, 11)?, outcome }))
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
        seq: 0,
        asked: 0,
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

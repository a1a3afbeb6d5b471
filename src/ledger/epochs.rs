//! A new epoch: the point from which an event's state in Redis is built anew.

use std::collections::HashMap;

use scoped_futures::ScopedFutureExt;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, to_i64, to_u32},
    event_row::{AFTER_STORED, event_columns, stored_event_from_row},
    events::StoredEvent,
    journal::{hold_columns, hold_from_row},
    outcomes::outcome_from_row,
    session::Tx,
};
use crate::domain::{Epoch, EventId, HoldId, HoldRecord, HolderId, OrderId, Refusal, SeatIndex};
use crate::limits::{ENDED_HOLD_KEPT, EXPIRY_BATCH, MAX_ENDED_LOADED};

/// All that Postgres knows of an event, at the beginning of an epoch.
#[derive(Debug, Clone)]
pub struct Foundation {
    pub stored: StoredEvent,
    pub seat_count: usize,
    pub blocked: Vec<SeatIndex>,
    pub sold: Vec<(SeatIndex, HoldId)>,
    /// Capacity and units sold of each area, by its index.
    pub areas: Vec<(u32, u32)>,
    /// Holds that have neither ended nor run out, the latest last.
    pub holds: Vec<(HoldId, HoldRecord)>,
    /// Holds that ended lately, with how.
    pub ended: Vec<(HoldId, HoldRecord)>,
    /// Units that each holder owns.
    pub owned: HashMap<HolderId, u32>,
}

impl Ledger {
    /// Begins an epoch above both what the event had and `at_least`.
    ///
    /// The update waits for every sale that is under way in the epoch before,
    /// and every later one of that epoch finds itself fenced off: so what is
    /// read after it, in the same transaction, is all that the old epoch will
    /// ever have sold.
    ///
    /// `now_ms` is Redis' clock, by which holds run out.
    ///
    /// # Errors
    /// [`Refusal::EventNotFound`].
    pub async fn begin_epoch(
        &self,
        event_id: &EventId,
        at_least: Epoch,
        incarnation: &str,
        now_ms: i64,
    ) -> Result<Foundation, Error> {
        const BEGIN: &str = concat!(
            "-- begin_epoch
            UPDATE events SET epoch = greatest(epoch, $2) + 1, incarnation = $3
            WHERE event_id = $1 RETURNING ",
            event_columns!(),
            ", revision, epoch,
            (SELECT count(*) FROM seats s WHERE s.event_id = events.event_id)"
        );
        const BLOCKED: &str = "-- begin_epoch: blocked
            SELECT seat_index FROM seats WHERE event_id = $1 AND blocked";
        const SOLD: &str = "-- begin_epoch: sold
            SELECT seat_index, hold_id, holder_id FROM tickets JOIN orders USING (order_id)
            WHERE tickets.event_id = $1";
        const AREAS: &str = "-- begin_epoch: areas
            SELECT capacity, sold FROM areas WHERE event_id = $1 ORDER BY area_index";
        const HOLDS: &str = concat!(
            "-- begin_epoch: holds\nSELECT ",
            hold_columns!(),
            ", (SELECT o.order_id FROM orders o WHERE o.event_id = h.event_id
                AND o.hold_id = h.hold_id)",
            " FROM holds h WHERE h.event_id = $1 AND h.expire_time > to_timestamp($2::int8 / 1e3)
                AND NOT EXISTS (SELECT FROM hold_outcomes o
                    WHERE o.event_id = h.event_id AND o.hold_id = h.hold_id)
            ORDER BY h.epoch, h.seq"
        );
        const ENDED: &str = concat!(
            "-- begin_epoch: ended\nSELECT ",
            hold_columns!(),
            ", round(extract(epoch FROM end_time) * 1000)::int8, outcome, order_id
            FROM hold_outcomes JOIN holds h USING (event_id, hold_id)
            WHERE event_id = $1 AND end_time > now() - $2 * interval '1 second'
            ORDER BY end_time DESC LIMIT $3"
        );
        self.run_tx(|tx| {
            async move {
                let id = event_id.as_str();
                let begun = tx.query_opt(BEGIN, &[&id, &to_i64(at_least.0), &incarnation]).await?;
                let begun = begun.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
                settle_expired_in_tx(tx, event_id, now_ms).await?;
                let (sold, owned) = sold_from_rows(&tx.query(SOLD, &[&id]).await?)?;
                let blocked = tx.query(BLOCKED, &[&id]).await?;
                let areas = tx.query(AREAS, &[&id]).await?;
                let holds = tx.query(HOLDS, &[&id, &now_ms]).await?;
                let kept = ENDED_HOLD_KEPT.as_secs_f64();
                let ended = tx.query(ENDED, &[&id, &kept, &MAX_ENDED_LOADED]).await?;
                Ok(Foundation {
                    stored: stored_event_from_row(&begun)?,
                    seat_count: usize::try_from(begun.get::<_, i64>(AFTER_STORED))
                        .map_err(Error::corrupt)?,
                    blocked: blocked.iter().map(|row| SeatIndex(to_u32(row.get(0)))).collect(),
                    sold,
                    areas: areas.iter().map(|r| (to_u32(r.get(0)), to_u32(r.get(1)))).collect(),
                    holds: holds.iter().map(live_hold_from_row).collect::<Result<_, _>>()?,
                    ended: ended.iter().map(ended_hold_from_row).collect::<Result<_, _>>()?,
                    owned,
                })
            }
            .scope_boxed()
        })
        .await
    }
}

/// Seats that are sold, each with its hold, and the units that each holder owns.
#[expect(clippy::type_complexity, reason = "taken apart by its only caller")]
fn sold_from_rows(
    rows: &[Row],
) -> Result<(Vec<(SeatIndex, HoldId)>, HashMap<HolderId, u32>), Error> {
    let (mut sold, mut owned) = (Vec::new(), HashMap::new());
    for row in rows {
        *owned.entry(parse(row.get(2))?).or_default() += 1;
        if let Some(seat) = row.get::<_, Option<i32>>(0) {
            sold.push((SeatIndex(to_u32(seat)), HoldId(row.get::<_, Uuid>(1))));
        }
    }
    Ok((sold, owned))
}

/// Ends what ran out while Redis did not have it: nobody else would, unless it
/// is asked for.
async fn settle_expired_in_tx(tx: &Tx<'_>, event_id: &EventId, now_ms: i64) -> Result<(), Error> {
    const SQL: &str = "-- settle_expired
        WITH inserted AS (
            INSERT INTO hold_outcomes (hold_id, event_id, outcome)
            SELECT hold_id, event_id, 'expired' FROM holds h
            WHERE h.event_id = $1 AND h.expire_time <= to_timestamp($2::int8 / 1e3)
                AND h.expire_time > to_timestamp($2::int8 / 1e3) - $3 * interval '1 second'
                AND NOT EXISTS (SELECT FROM hold_outcomes o
                    WHERE o.event_id = h.event_id AND o.hold_id = h.hold_id)
            ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING hold_id
        )
        INSERT INTO order_events (kind, event_id, hold_ids)
        SELECT 'HOLDS_EXPIRED', $1, array_agg(hold_id)
        FROM (SELECT hold_id, (row_number() OVER () - 1) / $4::int8 AS part FROM inserted) i
        GROUP BY part";
    // As many in one order event as the expiry job has: a message has room for them.
    let in_one = i64::try_from(EXPIRY_BATCH).unwrap_or(i64::MAX);
    let kept = ENDED_HOLD_KEPT.as_secs_f64();
    tx.query(SQL, &[&event_id.as_str(), &now_ms, &kept, &in_one]).await?;
    Ok(())
}

/// A hold that lives, from [`hold_columns`], and the order that was made of it.
fn live_hold_from_row(row: &Row) -> Result<(HoldId, HoldRecord), Error> {
    let (hold_id, record) = hold_from_row(row)?;
    let order_id = row.get::<_, Option<_>>(9).map(OrderId);
    Ok((hold_id, HoldRecord { order_id, ..record }))
}

/// A hold that has ended, from [`hold_columns`], when, and how.
fn ended_hold_from_row(row: &Row) -> Result<(HoldId, HoldRecord), Error> {
    let (hold_id, record) = hold_from_row(row)?;
    let ended = record.ended(outcome_from_row(row, 10)?);
    Ok((hold_id, HoldRecord { ended_ms: row.get(9), ..ended }))
}

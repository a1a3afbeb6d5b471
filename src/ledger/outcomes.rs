//! How holds end: one primary-key row decides.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{to_i64, to_u32},
    session::Params,
};
use crate::domain::{Ended, Epoch, EventId, HoldId, OrderId, Outcome, Position, SeatIndex, Unsold};
use crate::limits::OUTBOX_LEASE;
use crate::telemetry;

/// How holds ended that were to be settled.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Each once, in no order.
    pub ended: Vec<Ended>,
    /// What the outbox has on them. It has nothing on those that expire: they
    /// stay due in Redis until it is told.
    pub outbox_ids: Vec<i64>,
}

impl Ledger {
    /// Ends holds so, each unless it has ended before; `None` where the event is
    /// not in `epoch`: what the caller saw in Redis may be out of date.
    pub async fn settle(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_ids: &[HoldId],
        unsold: Unsold,
    ) -> Result<Option<Settled>, Error> {
        // An insert that meets another's row under way waits for its end; so
        // what was not inserted is decided, and the next statement sees how.
        const SQL: &str = "-- settle
            WITH fence AS MATERIALIZED (
                SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
            ), inserted AS (
                INSERT INTO hold_outcomes (hold_id, event_id, outcome)
                SELECT id, $1, $4 FROM fence, unnest($3::uuid[]) AS id ORDER BY id
                ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING hold_id
            ), noted AS (
                INSERT INTO outbox (kind, event_id, hold_id, lease_until)
                SELECT 'ended', $1, hold_id, now() + $5 * interval '1 second'
                FROM inserted WHERE $4 <> 'expired' RETURNING outbox_id
            ), told AS (
                INSERT INTO order_events (kind, event_id, hold_ids)
                SELECT 'HOLDS_EXPIRED', $1, array_agg(hold_id) FROM inserted
                WHERE $4 = 'expired' HAVING count(*) > 0
            )
            SELECT (SELECT count(*) FROM fence), ARRAY(SELECT hold_id FROM inserted),
                ARRAY(SELECT outbox_id FROM noted)";
        let name = name(unsold);
        let ids: Vec<Uuid> = hold_ids.iter().map(|id| id.0).collect();
        let lease = OUTBOX_LEASE.as_secs_f64();
        let params: Params<'_> = &[&event_id.as_str(), &to_i64(epoch.0), &ids, &name, &lease];
        let rows = self.query(SQL, params).await?;
        if rows[0].get::<_, i64>(0) == 0 {
            return Ok(None);
        }
        let inserted: Vec<Uuid> = rows[0].get(1);
        telemetry::holds_ended(name, inserted.len());
        let end_now = |&id| Ended {
            hold_id: HoldId(id),
            outcome: unsold.into(),
            seats: Vec::new(),
            units: 0,
        };
        let mut ended: Vec<_> = inserted.iter().map(end_now).collect();
        if ended.len() < hold_ids.len() {
            let before: Vec<_> = ids.into_iter().filter(|id| !inserted.contains(id)).collect();
            ended.extend(self.find_outcomes(event_id, &before).await?);
        }
        Ok(Some(Settled { ended, outbox_ids: rows[0].get(2) }))
    }

    /// Ends a hold that Redis does not have, unless it has ended before, or the
    /// journal has heard of it since it stood `at` there; answers whether.
    pub async fn settle_missing(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_id: HoldId,
        at: Position,
        unsold: Unsold,
    ) -> Result<bool, Error> {
        const SQL: &str = "-- settle_missing
            WITH fence AS MATERIALIZED (
                SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
            ), standing AS MATERIALIZED (
                SELECT hold_id FROM holds
                WHERE event_id = $1 AND hold_id = $3 AND holds.epoch = $4 AND seq = $5 FOR UPDATE
            ), inserted AS (
                INSERT INTO hold_outcomes (hold_id, event_id, outcome)
                SELECT hold_id, $1, $6 FROM fence, standing
                ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING hold_id
            ), told AS (
                INSERT INTO order_events (kind, event_id, hold_ids)
                SELECT 'HOLDS_EXPIRED', $1, ARRAY[hold_id] FROM inserted WHERE $6 = 'expired'
            )
            SELECT hold_id FROM inserted";
        let (now_in, stood_in, seq) = (to_i64(epoch.0), to_i64(at.epoch.0), to_i64(at.seq));
        let name = name(unsold);
        let params: Params<'_> = &[&event_id.as_str(), &now_in, &hold_id.0, &stood_in, &seq, &name];
        let ended = self.query(SQL, params).await?.len();
        telemetry::holds_ended(name, ended);
        Ok(ended > 0)
    }

    /// How a hold ended, if it has.
    pub async fn find_outcome(
        &self,
        event_id: &EventId,
        hold_id: HoldId,
    ) -> Result<Option<Ended>, Error> {
        Ok(self.find_outcomes(event_id, &[hold_id.0]).await?.pop())
    }

    async fn find_outcomes(
        &self,
        event_id: &EventId,
        hold_ids: &[Uuid],
    ) -> Result<Vec<Ended>, Error> {
        const SQL: &str = concat!(
            "-- find_outcomes\nSELECT ",
            ended_columns!(),
            " FROM hold_outcomes o WHERE o.event_id = $1 AND o.hold_id = ANY($2)"
        );
        let rows = self.query(SQL, &[&event_id.as_str(), &hold_ids]).await?;
        rows.iter().map(|row| ended_from_row(row, 0)).collect()
    }
}

fn name(unsold: Unsold) -> &'static str {
    match unsold {
        Unsold::Released => "released",
        Unsold::Expired => "expired",
        Unsold::Lost => "lost",
    }
}

/// The columns that [`ended_from_row`] reads.
macro_rules! ended_columns {
    () => {
        "o.hold_id, o.outcome, o.order_id, \
         ARRAY(SELECT t.seat_index FROM tickets t \
               WHERE t.order_id = o.order_id AND t.seat_index IS NOT NULL ORDER BY 1), \
         (SELECT count(*)::int FROM tickets t WHERE t.order_id = o.order_id)"
    };
}
pub(super) use ended_columns;

/// How a hold ended, from [`ended_columns`] that begin at `at`.
pub(super) fn ended_from_row(row: &Row, at: usize) -> Result<Ended, Error> {
    let seats: Vec<i32> = row.get(at + 3);
    Ok(Ended {
        hold_id: HoldId(row.get(at)),
        outcome: outcome_from_row(row, at + 1)?,
        seats: seats.into_iter().map(|seat| SeatIndex(to_u32(seat))).collect(),
        units: to_u32(row.get(at + 4)),
    })
}

/// An outcome from its two columns, `outcome` at `at` and `order_id` after it.
pub(super) fn outcome_from_row(row: &Row, at: usize) -> Result<Outcome, Error> {
    match (row.get(at), row.get::<_, Option<Uuid>>(at + 1)) {
        ("confirmed", Some(order_id)) => Ok(Outcome::Confirmed(OrderId(order_id))),
        ("released", None) => Ok(Outcome::Released),
        ("expired", None) => Ok(Outcome::Expired),
        ("lost", None) => Ok(Outcome::Lost),
        (other, _) => Err(Error::Corrupt(format!("outcome {other}"))),
    }
}

//! What an operator looks at: counts of an event, its open holds, one seat's history.

use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, to_i32},
    journal::{hold_columns, hold_from_row},
    session::Params,
};
use crate::domain::{EventId, Happening, HoldId, HoldRecord, OrderId, SeatId, SeatIndex};

/// What Postgres has of an event, in numbers.
#[derive(Debug, Clone, Copy)]
pub struct EventCounts {
    pub seats: i64,
    pub seats_blocked: i64,
    pub seats_sold: i64,
    /// Units of all areas, and those of them that are sold.
    pub units: i64,
    pub units_sold: i64,
    /// Holds that neither ended nor ran out, by the journal, and what they have.
    pub holds: i64,
    pub places_held: i64,
}

impl Ledger {
    /// Counts an event.
    pub async fn event_counts(&self, event_id: &EventId) -> Result<EventCounts, Error> {
        const SQL: &str = "-- event_counts
            SELECT (SELECT count(*) FROM seats WHERE event_id = $1),
                (SELECT count(*) FROM seats WHERE event_id = $1 AND blocked),
                (SELECT count(*) FROM tickets WHERE event_id = $1 AND seat_index IS NOT NULL),
                (SELECT coalesce(sum(capacity), 0)::int8 FROM areas WHERE event_id = $1),
                (SELECT coalesce(sum(sold), 0)::int8 FROM areas WHERE event_id = $1),
                count(*), coalesce(sum(cardinality(seat_indexes)
                    + (SELECT coalesce(sum(q), 0) FROM unnest(area_quantities) AS q)), 0)::int8
            FROM holds h WHERE h.event_id = $1 AND h.expire_time > now() AND NOT EXISTS (
                SELECT FROM hold_outcomes o
                WHERE o.event_id = h.event_id AND o.hold_id = h.hold_id)";
        let rows = self.query(SQL, &[&event_id.as_str()]).await?;
        let row = &rows[0];
        Ok(EventCounts {
            seats: row.get(0),
            seats_blocked: row.get(1),
            seats_sold: row.get(2),
            units: row.get(3),
            units_sold: row.get(4),
            holds: row.get(5),
            places_held: row.get(6),
        })
    }

    /// Some of the holds that neither ended nor ran out, by the journal: those after an
    /// id, in the order of ids. Each with the order that was made of it.
    pub async fn open_holds(
        &self,
        event_id: &EventId,
        after: HoldId,
        count: usize,
    ) -> Result<Vec<(HoldId, HoldRecord)>, Error> {
        const SQL: &str = concat!(
            "-- open_holds\nSELECT ",
            hold_columns!(),
            ", (SELECT o.order_id FROM orders o WHERE o.event_id = h.event_id
                AND o.hold_id = h.hold_id)
            FROM holds h WHERE h.event_id = $1 AND h.hold_id > $2 AND h.expire_time > now()
                AND NOT EXISTS (SELECT FROM hold_outcomes o
                    WHERE o.event_id = h.event_id AND o.hold_id = h.hold_id)
            ORDER BY h.hold_id LIMIT $3"
        );
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.query(SQL, &[&event_id.as_str(), &after.0, &count]).await?;
        let hold = |row: &Row| {
            let (hold_id, record) = hold_from_row(row)?;
            let order_id = row.get::<_, Option<_>>(9).map(OrderId);
            Ok((hold_id, HoldRecord { order_id, ..record }))
        };
        rows.iter().map(hold).collect()
    }

    /// What happened to a seat, as far as Postgres has it: the latest `most`, the latest
    /// first. A hold counts that had the seat when it was journaled last.
    pub async fn seat_history(
        &self,
        event_id: &EventId,
        seat: SeatIndex,
        seat_id: &SeatId,
        most: usize,
    ) -> Result<Vec<Happening>, Error> {
        const SQL: &str = "-- seat_history
            WITH had AS MATERIALIZED (
                SELECT hold_id, holder_id, create_time, expire_time FROM holds
                WHERE event_id = $1 AND $2 = ANY(seat_indexes)
            ), owned AS MATERIALIZED (
                SELECT order_id FROM tickets WHERE event_id = $1 AND seat_index = $2
                UNION SELECT order_id FROM void_tickets WHERE event_id = $1 AND seat_index = $2
            ), ordered AS MATERIALIZED (
                SELECT order_id FROM order_items WHERE event_id = $1 AND seat_index = $2
            )
            SELECT * FROM (
                SELECT h.create_time AS at, 'journal', 'HELD', h.hold_id, coalesce((
                        SELECT a.holder_id FROM operator_actions a WHERE a.event_id = $1
                            AND a.hold_id = h.hold_id AND a.kind = 'REASSIGN'
                            AND a.done_time IS NOT NULL
                        ORDER BY a.operator_action_id LIMIT 1), h.holder_id),
                    NULL::uuid, NULL::text, NULL::text, NULL::text, h.expire_time, true
                FROM had h
                UNION ALL SELECT v.end_time, 'journal', upper(v.outcome), hold_id, h.holder_id,
                    v.order_id, NULL, NULL, NULL, NULL, true
                FROM had h JOIN hold_outcomes v USING (hold_id) WHERE v.event_id = $1
                UNION ALL SELECT o.create_time, 'orders', 'ORDERED', o.hold_id, o.holder_id,
                    order_id, NULL, NULL, NULL, o.price_expire_time, true
                FROM ordered JOIN orders o USING (order_id)
                UNION ALL SELECT o.cancel_time, 'orders', 'ORDER_CANCELLED', o.hold_id,
                    o.holder_id, order_id, o.cancelled_by, NULL, NULL, NULL, true
                FROM ordered JOIN orders o USING (order_id) WHERE o.cancel_time IS NOT NULL
                UNION ALL SELECT o.pay_time, 'orders', 'SOLD', o.hold_id, o.holder_id,
                    order_id, NULL, NULL, NULL, NULL, true
                FROM owned JOIN orders o USING (order_id)
                UNION ALL SELECT t.void_time, 'refunds', 'TICKET_VOID', o.hold_id, o.holder_id,
                    t.order_id, r.actor, r.reason, NULL, NULL, true
                FROM void_tickets t JOIN orders o ON o.order_id = t.order_id
                    JOIN refunds r ON r.refund_id = t.refund_id
                WHERE t.event_id = $1 AND t.seat_index = $2
                UNION ALL SELECT coalesce(a.done_time, a.create_time), 'operators',
                    'OPERATOR_' || a.kind, hold_id, a.holder_id, NULL, a.actor, a.reason,
                    a.new_holder_id, a.expire_time, a.done_time IS NOT NULL
                FROM had h JOIN operator_actions a USING (hold_id) WHERE a.event_id = $1
                UNION ALL SELECT c.create_time, 'channels', 'CHANNEL_' || c.kind, c.hold_id,
                    NULL, NULL, c.actor, c.reason, c.channel, NULL, true
                FROM channel_actions c WHERE c.event_id = $1 AND $3 = ANY(c.seat_ids)
            ) happened ORDER BY at DESC LIMIT $4";
        let (seat, most) = (to_i32(seat.0), i64::try_from(most).unwrap_or(i64::MAX));
        let params: Params<'_> = &[&event_id.as_str(), &seat, &seat_id.as_str(), &most];
        self.query(SQL, params).await?.iter().map(happening_from_row).collect()
    }

    /// Whether a seat is blocked, and by which order it is owned.
    pub async fn seat_now(
        &self,
        event_id: &EventId,
        seat: SeatIndex,
    ) -> Result<(bool, Option<OrderId>), Error> {
        const SQL: &str = "-- seat_now
            SELECT blocked, (SELECT order_id FROM tickets t
                WHERE t.event_id = s.event_id AND t.seat_index = s.seat_index)
            FROM seats s WHERE event_id = $1 AND seat_index = $2";
        let row = self.query_opt(SQL, &[&event_id.as_str(), &to_i32(seat.0)]).await?;
        let row =
            row.ok_or_else(|| Error::Corrupt("a chart has a seat that is not there".into()))?;
        Ok((row.get(0), row.get::<_, Option<Uuid>>(1).map(OrderId)))
    }
}

fn happening_from_row(row: &Row) -> Result<Happening, Error> {
    Ok(Happening {
        at: row.get::<_, OffsetDateTime>(0),
        source: row.get::<_, &str>(1).to_owned(),
        kind: row.get::<_, &str>(2).to_owned(),
        hold_id: row.get::<_, Option<_>>(3).map(HoldId),
        holder_id: row.get::<_, Option<&str>>(4).map(parse).transpose()?,
        order_id: row.get::<_, Option<_>>(5).map(OrderId),
        actor: row.get(6),
        reason: row.get(7),
        to: row.get(8),
        until: row.get(9),
        is_done: row.get(10),
    })
}

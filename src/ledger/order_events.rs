//! What downstream is told: numbered after its commit, and read by number.
//!
//! A row is written by the transaction that it tells of, without a number: ids and
//! times are given before a commit, so who reads by them misses what commits late.
//! Numbers are given here, by one transaction at a time, to rows that all can see: so
//! whoever has read up to a number has missed nothing below it.

use tokio_postgres::Row;

use super::{
    Error, Ledger,
    columns::parse,
    session::{Params, Tx, plan_anew_in_tx},
};
use crate::{
    domain::{EventId, HoldId, OrderEvent, OrderEventKind, OrderId, Seating, TicketId, Wanted},
    limits::{ORDER_EVENTS_READ, PUBLISH_BATCH},
    telemetry,
};

/// What one transaction has numbered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    pub events: usize,
    pub deliveries: usize,
    /// There may be more.
    pub is_full: bool,
}

/// The columns of an order event `e`, for [`order_event_from_row`].
macro_rules! order_event_columns {
    () => {
        "e.sequence, e.order_event_id, e.kind, e.event_id, e.order_id, e.hold_ids, e.create_time"
    };
}
pub(super) use order_event_columns;

impl Ledger {
    /// Numbers order events that were committed, as many as one transaction takes, and
    /// makes their deliveries: to webhooks that want them, and of kinds `by_mail` to
    /// buyers with an address.
    pub async fn publish_order_events(
        &self,
        by_mail: &[OrderEventKind],
    ) -> Result<Published, Error> {
        const SQL: &str = "-- publish_order_events
            WITH fresh AS (
                SELECT order_event_id, row_number() OVER (ORDER BY order_event_id) AS number
                FROM (SELECT order_event_id FROM order_events WHERE sequence IS NULL
                    ORDER BY order_event_id LIMIT $2) f
            ), numbered AS (
                UPDATE order_events e
                SET sequence = number + (SELECT coalesce(max(sequence), 0) FROM order_events)
                FROM fresh WHERE e.order_event_id = fresh.order_event_id
                RETURNING e.order_event_id, e.kind, e.event_id, e.order_id
            ), made AS (
                INSERT INTO deliveries (order_event_id, webhook_id)
                SELECT order_event_id, NULL FROM numbered n JOIN orders o USING (order_id)
                WHERE n.kind = ANY($1) AND o.buyer_email <> ''
                UNION ALL
                SELECT order_event_id, webhook_id FROM numbered n JOIN webhooks w
                    ON (w.kinds = '{}' OR n.kind = ANY(w.kinds))
                    AND (w.event_id IS NULL OR w.event_id = n.event_id)
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM numbered), (SELECT count(*) FROM made),
                ARRAY(SELECT kind FROM numbered GROUP BY kind ORDER BY kind),
                ARRAY(SELECT count(*) FROM numbered GROUP BY kind ORDER BY kind)";
        let kinds: Vec<&str> = by_mail.iter().map(|kind| kind.as_str()).collect();
        let kinds = &kinds;
        let (published, kinds, counts) = self
            .run_tx(|tx| {
                Box::pin(async move {
                    // A statement of its own: the next one sees what was numbered by whoever
                    // had the lock, which one statement that waits would not.
                    lock_numbering_in_tx(tx).await?;
                    plan_anew_in_tx(tx).await?;
                    let rows = tx.query(SQL, &[kinds, &PUBLISH_BATCH]).await?;
                    let (events, deliveries): (i64, i64) = (rows[0].get(0), rows[0].get(1));
                    let published = Published {
                        events: usize::try_from(events).unwrap_or_default(),
                        deliveries: usize::try_from(deliveries).unwrap_or_default(),
                        is_full: events == PUBLISH_BATCH,
                    };
                    let (kinds, counts): (Vec<String>, Vec<i64>) = (rows[0].get(2), rows[0].get(3));
                    Ok((published, kinds, counts))
                })
            })
            .await?;
        for (kind, count) in kinds.into_iter().zip(counts) {
            telemetry::order_events(kind, count);
        }
        Ok(published)
    }

    /// The last number that was given; 0 where none was.
    pub async fn last_order_event(&self) -> Result<i64, Error> {
        const SQL: &str = "-- last_order_event
            SELECT coalesce(max(sequence), 0) FROM order_events";
        let row = self.query_opt(SQL, &[]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    /// What is wanted of the numbers `after` (exclusive) to `to`, in order. No more
    /// than [`ORDER_EVENTS_READ`] numbers are looked through: answers the last of them,
    /// too.
    pub async fn read_order_events(
        &self,
        after: i64,
        to: i64,
        wanted: &Wanted,
    ) -> Result<(Vec<OrderEvent>, i64), Error> {
        const SQL: &str = concat!(
            "-- read_order_events
            SELECT ",
            order_event_columns!(),
            " FROM order_events e
            WHERE sequence > $1 AND sequence <= $2
                AND (cardinality($3::text[]) = 0 OR kind = ANY($3))
                AND ($4::text IS NULL OR event_id = $4)
            ORDER BY sequence"
        );
        let to = to.min(after.saturating_add(ORDER_EVENTS_READ));
        let kinds: Vec<&str> = wanted.kinds.iter().map(|kind| kind.as_str()).collect();
        let event_id = wanted.event_id.as_ref().map(EventId::as_str);
        let params: Params<'_> = &[&after, &to, &kinds, &event_id];
        let rows = self.query(SQL, params).await?;
        let events = rows.iter().map(|row| order_event_from_row(row, 0)).collect::<Result<_, _>>();
        Ok((events?, to))
    }

    /// Where the valid tickets of an order are, by the words of the chart.
    pub async fn find_seating(&self, order_id: OrderId) -> Result<Vec<(TicketId, Seating)>, Error> {
        const SQL: &str = "-- find_seating
            SELECT ticket_id, seat_id, row_id, sections.name, areas.name
            FROM tickets t
                LEFT JOIN seats USING (event_id, seat_index)
                LEFT JOIN sections USING (event_id, section_id)
                LEFT JOIN areas USING (event_id, area_index)
            WHERE order_id = $1";
        let rows = self.query(SQL, &[&order_id.0]).await?;
        rows.iter()
            .map(|row| {
                let seating = match (row.get(1), row.get(2), row.get(3), row.get(4)) {
                    (Some(seat_id), Some(row_id), Some(section), None) => {
                        Seating::Seat { seat_id, row_id, section }
                    }
                    (None, None, None, Some(name)) => Seating::Area { name },
                    _ => return Err(Error::corrupt("a ticket has no place, or two")),
                };
                Ok((TicketId(row.get(0)), seating))
            })
            .collect()
    }
}

/// Until the transaction ends, nobody else numbers events, or changes who is told of
/// them.
pub(super) async fn lock_numbering_in_tx(tx: &Tx<'_>) -> Result<(), Error> {
    const SQL: &str = "-- lock_numbering
        SELECT pg_advisory_xact_lock(hashtextextended('order events', 0))";
    tx.query(SQL, &[]).await?;
    Ok(())
}

/// From the columns of [`order_event_columns`], the first of them at `at`.
pub(super) fn order_event_from_row(row: &Row, at: usize) -> Result<OrderEvent, Error> {
    let hold_ids: Option<Vec<uuid::Uuid>> = row.get(at + 5);
    Ok(OrderEvent {
        sequence: row.get(at),
        order_event_id: row.get(at + 1),
        kind: parse(row.get(at + 2))?,
        event_id: parse(row.get(at + 3))?,
        order_id: row.get::<_, Option<_>>(at + 4).map(OrderId),
        hold_ids: hold_ids.unwrap_or_default().into_iter().map(HoldId).collect(),
        create_time: row.get(at + 6),
    })
}

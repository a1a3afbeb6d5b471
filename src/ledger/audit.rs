//! Postgres' picture of one event for an audit, and what Postgres contradicts
//! itself in: what no constraint guards.

use std::{collections::HashMap, time::Duration};

use scoped_futures::ScopedFutureExt;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, to_u32, unsigned},
    journal::{hold_columns, hold_from_row},
    outcomes::outcome_from_row,
    session::{Tx, plan_anew_in_tx},
};
use crate::domain::{
    AreaIndex, Epoch, EventId, HoldId, OrderId, Outcome, Position, Refusal, SeatIndex,
    audit::{AreaBook, Difference, JournalRow, PostgresPicture, RULES, RecentSale},
};
use crate::limits::{AUDIT_OUTBOX_OPEN, CLOSED_EVENT_KEPT};

impl Ledger {
    /// All events, those that changed last first.
    pub async fn all_events(&self) -> Result<Vec<EventId>, Error> {
        const SQL: &str = "-- all_events
            SELECT event_id FROM events ORDER BY update_time DESC, event_id";
        self.query(SQL, &[]).await?.iter().map(|row| parse(row.get(0))).collect()
    }

    /// All that an audit compares of an event, in one snapshot. `live` are the
    /// holds that live in Redis; `since` is the time that has passed since they
    /// were read, and more: sales marked as told within it are listed as recent.
    ///
    /// # Errors
    /// [`Refusal::EventNotFound`].
    pub async fn audit(
        &self,
        event_id: &EventId,
        live: &[HoldId],
        since: Duration,
    ) -> Result<PostgresPicture, Error> {
        let live: Vec<Uuid> = live.iter().map(|hold_id| hold_id.0).collect();
        let live = &live;
        self.on_snapshot(|tx| {
            async move {
                plan_anew_in_tx(tx).await?;
                let mut picture = event_in_tx(tx, event_id).await?;
                seats_in_tx(tx, event_id, &mut picture).await?;
                areas_in_tx(tx, event_id, &mut picture).await?;
                holds_in_tx(tx, event_id, live, &mut picture).await?;
                picture.recent = recent_in_tx(tx, event_id, since).await?;
                picture.gives_back = gives_back_in_tx(tx, event_id, since).await?;
                outbox_in_tx(tx, event_id, &mut picture.own).await?;
                orders_in_tx(tx, event_id, &mut picture.own).await?;
                money_in_tx(tx, event_id, &mut picture.own).await?;
                Ok(picture)
            }
            .scope_boxed()
        })
        .await
    }
}

async fn event_in_tx(tx: &Tx<'_>, event_id: &EventId) -> Result<PostgresPicture, Error> {
    const SQL: &str = "-- audit: event
        SELECT e.epoch, e.revision, c.epoch, c.seq,
            e.state NOT IN ('DRAFT', 'CLOSED') OR e.update_time > now() - $2 * interval '1 second',
            (SELECT count(*) FROM seats s WHERE s.event_id = e.event_id),
            state, hold_ttl_ms::text, max_hold_ms::text, max_units_per_hold::text,
            max_units_per_holder::text, (hold_durability = 'JOURNALED')::int::text,
            max_expired_holds::text, cool_down_ms::text, max_holds_per_holder::text
        FROM events e LEFT JOIN journal_cursors c USING (event_id) WHERE event_id = $1";
    let kept = CLOSED_EVENT_KEPT.as_secs_f64();
    let row = tx.query_opt(SQL, &[&event_id.as_str(), &kept]).await?;
    let row = row.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
    let cursor = Option::zip(row.get::<_, Option<i64>>(2), row.get::<_, Option<i64>>(3));
    let rules = (6..).zip(RULES).map(|(at, name)| (name.to_owned(), row.get(at)));
    Ok(PostgresPicture {
        epoch: Epoch(unsigned(row.get(0))?),
        revision: unsigned(row.get(1))?,
        cursor: cursor
            .map(|(epoch, seq)| {
                Ok::<_, Error>(Position { epoch: Epoch(unsigned(epoch)?), seq: unsigned(seq)? })
            })
            .transpose()?,
        is_active: row.get(4),
        seat_count: usize::try_from(row.get::<_, i64>(5)).map_err(Error::corrupt)?,
        rules: rules.collect(),
        ..PostgresPicture::default()
    })
}

async fn seats_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    picture: &mut PostgresPicture,
) -> Result<(), Error> {
    const BLOCKED: &str = "-- audit: blocked
        SELECT seat_index FROM seats WHERE event_id = $1 AND blocked";
    const SOLD: &str = "-- audit: sold
        SELECT seat_index, hold_id FROM tickets t JOIN orders o USING (order_id)
        WHERE t.event_id = $1 AND seat_index IS NOT NULL";
    const OWNED: &str = "-- audit: owned
        SELECT holder_id, count(*)::int FROM tickets t JOIN orders o USING (order_id)
        WHERE t.event_id = $1 GROUP BY holder_id";
    let id = event_id.as_str();
    let seat = |row: &Row| SeatIndex(to_u32(row.get(0)));
    picture.blocked = tx.query(BLOCKED, &[&id]).await?.iter().map(seat).collect();
    let sold = tx.query(SOLD, &[&id]).await?;
    picture.sold = sold.iter().map(|row| (seat(row), HoldId(row.get(1)))).collect();
    let owned = tx.query(OWNED, &[&id]).await?;
    let owned = owned.iter().map(|row| Ok((parse(row.get(0))?, to_u32(row.get(1)))));
    picture.owned = owned.collect::<Result<_, Error>>()?;
    Ok(())
}

async fn areas_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    picture: &mut PostgresPicture,
) -> Result<(), Error> {
    const SQL: &str = "-- audit: areas
        SELECT capacity, sold, area_id,
            (SELECT count(*)::int FROM tickets t
             WHERE t.event_id = a.event_id AND t.area_index = a.area_index)
        FROM areas a WHERE event_id = $1 ORDER BY area_index";
    for row in tx.query(SQL, &[&event_id.as_str()]).await? {
        let [capacity, sold, tickets] = [0, 1, 3].map(|at| to_u32(row.get(at)));
        if sold != tickets {
            picture.own.push(Difference::AreaSold { area: row.get(2), sold, tickets });
        }
        picture.areas.push(AreaBook { capacity, sold, tickets });
    }
    Ok(())
}

async fn holds_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    live: &[Uuid],
    picture: &mut PostgresPicture,
) -> Result<(), Error> {
    const JOURNAL: &str = concat!(
        "-- audit: journal\nSELECT ",
        hold_columns!(),
        ", h.expire_time > now() AND NOT coalesce((SELECT true FROM hold_outcomes o
            WHERE o.event_id = h.event_id AND o.hold_id = h.hold_id), false)
        FROM holds h
        WHERE h.event_id = $1 AND (h.hold_id = ANY ($2::uuid[]) OR h.expire_time > now())"
    );
    const OUTCOMES: &str = "-- audit: outcomes
        SELECT o.hold_id, o.outcome, o.order_id
        FROM unnest($2::uuid[]) AS id JOIN hold_outcomes o ON o.event_id = $1 AND o.hold_id = id";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&event_id.as_str(), &live];
    for row in tx.query(JOURNAL, &params).await? {
        let (hold_id, record) = hold_from_row(&row)?;
        picture.journal.insert(hold_id, JournalRow { record, is_live: row.get(9) });
    }
    let outcomes = tx.query(OUTCOMES, &params).await?;
    let outcomes = outcomes.iter().map(|row| Ok((HoldId(row.get(0)), outcome_from_row(row, 1)?)));
    picture.outcomes = outcomes.collect::<Result<HashMap<HoldId, Outcome>, Error>>()?;
    Ok(())
}

async fn recent_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    since: Duration,
) -> Result<Vec<RecentSale>, Error> {
    // Two halves, each by an index of its own; no index serves a clock that goes on
    // meanwhile, as clock_timestamp() does.
    const SQL: &str = "-- audit: recent
        WITH recent AS (
            SELECT hold_id FROM outbox
            WHERE done_at IS NULL AND event_id = $1 AND kind = 'sold'
            UNION SELECT hold_id FROM outbox
            WHERE done_at > statement_timestamp() - $2 * interval '1 second'
                AND done_at IS NOT NULL AND event_id = $1 AND kind = 'sold'
        )
        SELECT hold_id, o.holder_id, t.area_index, count(*)::int
        FROM recent JOIN orders o USING (hold_id) JOIN tickets t USING (order_id)
        WHERE o.event_id = $1 GROUP BY hold_id, o.holder_id, t.area_index";
    let mut sales: HashMap<HoldId, RecentSale> = HashMap::new();
    for row in tx.query(SQL, &[&event_id.as_str(), &since.as_secs_f64()]).await? {
        let (hold_id, units) = (HoldId(row.get(0)), to_u32(row.get(3)));
        let holder_id = parse(row.get(1))?;
        let sale = sales.entry(hold_id).or_insert_with(|| RecentSale {
            hold_id,
            holder_id,
            units: 0,
            areas: Vec::new(),
        });
        sale.units += units;
        if let Some(area) = row.get::<_, Option<i32>>(2) {
            sale.areas.push((AreaIndex(to_u32(area)), units));
        }
    }
    Ok(sales.into_values().collect())
}

/// Whether Redis was told of places that came back within `since`, or is still to be.
async fn gives_back_in_tx(tx: &Tx<'_>, event_id: &EventId, since: Duration) -> Result<bool, Error> {
    const SQL: &str = "-- audit: gives back
        SELECT EXISTS (SELECT FROM outbox
                WHERE done_at IS NULL AND event_id = $1 AND kind = 'returned')
            OR EXISTS (SELECT FROM outbox
                WHERE done_at > statement_timestamp() - $2 * interval '1 second'
                    AND done_at IS NOT NULL AND event_id = $1 AND kind = 'returned')";
    let rows = tx.query(SQL, &[&event_id.as_str(), &since.as_secs_f64()]).await?;
    Ok(rows[0].get(0))
}

async fn outbox_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    found: &mut Vec<Difference>,
) -> Result<(), Error> {
    const SQL: &str = "-- audit: outbox
        SELECT outbox_id, hold_id FROM outbox
        WHERE done_at IS NULL AND event_id = $1 AND create_time < now() - $2 * interval '1 second'";
    let rows = tx.query(SQL, &[&event_id.as_str(), &AUDIT_OUTBOX_OPEN.as_secs_f64()]).await?;
    found.extend(rows.iter().map(|row| Difference::OutboxOpen {
        outbox_id: row.get(0),
        hold: row.get::<_, Option<Uuid>>(1).map(HoldId),
    }));
    Ok(())
}

async fn orders_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    found: &mut Vec<Difference>,
) -> Result<(), Error> {
    const CONFIRMED: &str = "-- audit: confirmed without order
        SELECT v.hold_id FROM hold_outcomes v
        WHERE v.event_id = $1 AND v.outcome = 'confirmed' AND NOT EXISTS (
            SELECT FROM orders o WHERE o.order_id = v.order_id
                AND o.event_id = v.event_id AND o.hold_id = v.hold_id)";
    const ORDERS: &str = "-- audit: order without outcome
        SELECT o.order_id, o.hold_id FROM orders o
        WHERE o.event_id = $1 AND o.state = 'PAID' AND NOT EXISTS (
            SELECT FROM hold_outcomes v WHERE v.event_id = o.event_id
                AND v.hold_id = o.hold_id AND v.order_id = o.order_id)";
    // What is sold has a ticket for all that was paid, valid or void since; what is
    // not has none.
    const TICKETS: &str = "-- audit: tickets of orders
        SELECT o.order_id, o.total_micros, coalesce(sum(t.price_micros), 0)::int8,
            count(t.order_id), coalesce(bool_or(t.event_id <> o.event_id), false),
            count(*) FILTER (WHERE t.is_valid), o.state
        FROM orders o LEFT JOIN (
            SELECT order_id, event_id, price_micros, true AS is_valid FROM tickets
            UNION ALL
            SELECT order_id, event_id, price_micros, false FROM void_tickets
        ) t USING (order_id)
        WHERE o.event_id = $1 GROUP BY o.order_id
        HAVING (o.state = 'PAID') <> (count(*) FILTER (WHERE t.is_valid) > 0)
            OR (count(t.order_id) > 0 AND o.total_micros <> sum(t.price_micros))
            OR bool_or(t.event_id <> o.event_id)";
    let id = event_id.as_str();
    for row in tx.query(CONFIRMED, &[&id]).await? {
        found.push(Difference::ConfirmedWithoutOrder { hold: HoldId(row.get(0)) });
    }
    for row in tx.query(ORDERS, &[&id]).await? {
        let (order, hold) = (OrderId(row.get(0)), HoldId(row.get(1)));
        found.push(Difference::OrderWithoutOutcome { order, hold });
    }
    for row in tx.query(TICKETS, &[&id]).await? {
        let order = OrderId(row.get(0));
        let (total_micros, tickets_micros) = (row.get(1), row.get(2));
        let (valid, state): (i64, &str) = (row.get(5), row.get(6));
        found.push(match (valid, state, row.get(4)) {
            (0, "PAID", _) => Difference::OrderTickets { order, what: "has no tickets" },
            (1.., state, _) if state != "PAID" => {
                Difference::OrderTickets { order, what: "is not paid and has tickets" }
            }
            (_, _, true) => {
                Difference::OrderTickets { order, what: "has tickets of another event" }
            }
            _ => Difference::OrderTotal { order, total_micros, tickets_micros },
        });
    }
    Ok(())
}

/// Money that nobody sees to, or of which the books do not agree.
async fn money_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    found: &mut Vec<Difference>,
) -> Result<(), Error> {
    const SQL: &str = "-- audit: money
        SELECT order_id, 'has a payment that is not settled'
        FROM payments JOIN orders o USING (order_id)
        WHERE event_id = $1 AND payments.state = 'PAID' AND settlement IS NULL
            AND payments.pay_time < now() - $2 * interval '1 second'
        UNION ALL
        SELECT order_id, 'is REFUND_DUE, and nothing is to be given back' FROM orders o
        WHERE event_id = $1 AND state = 'REFUND_DUE' AND NOT EXISTS (
            SELECT FROM refunds r WHERE r.order_id = o.order_id AND r.state <> 'DONE')
        UNION ALL
        SELECT order_id, 'has void tickets of another sum than what is given back'
        FROM orders o JOIN void_tickets v USING (order_id)
        WHERE o.event_id = $1 GROUP BY order_id HAVING sum(v.price_micros) <> o.refunded_micros
        UNION ALL
        SELECT p.order_id, 'gives back more than was paid'
        FROM payments p JOIN orders o USING (order_id) JOIN refunds r USING (payment_id)
        WHERE o.event_id = $1 GROUP BY payment_id
        HAVING sum(r.amount_micros) FILTER (WHERE r.state <> 'FAILED') > p.amount_micros";
    let open = AUDIT_OUTBOX_OPEN.as_secs_f64();
    for row in tx.query(SQL, &[&event_id.as_str(), &open]).await? {
        found.push(Difference::OrderMoney { order: OrderId(row.get(0)), what: row.get(1) });
    }
    Ok(())
}

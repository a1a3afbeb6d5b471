//! Orders that wait for their payment: made, cancelled, given up.

use std::time::Duration;

use scoped_futures::ScopedFutureExt;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{millis, parse, to_i32, to_i64},
    session::{Params, Tx},
};
use crate::domain::{
    AreaIndex, Buyer, Epoch, EventId, HoldId, HolderId, Micros, Money, OrderId, PaymentId,
    SeatIndex,
};
use crate::limits::ORDER_LEASE;

/// An order that is to be made of a hold.
#[derive(Debug)]
pub struct NewOrder {
    pub order_id: OrderId,
    pub event_id: EventId,
    /// In which the hold is known to stay as the order has it.
    pub epoch: Epoch,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    pub total: Money,
    pub lines: Vec<OrderLine>,
    pub payment_provider: String,
    /// From now on.
    pub payment_window: Duration,
    pub buyer: Option<Buyer>,
    pub return_url: Option<String>,
    /// Where its provider has a page to pay at, the first attempt.
    pub payment_id: Option<PaymentId>,
}

/// A seat, or units of an area, in an order that is to be made.
#[derive(Debug)]
pub struct OrderLine {
    pub place: Result<SeatIndex, AreaIndex>,
    pub quantity: u32,
    /// Of one unit.
    pub price: Micros,
}

/// An order whose time is up.
#[derive(Debug, Clone)]
pub struct StaleOrder {
    pub order_id: OrderId,
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub price_expire_time: OffsetDateTime,
}

impl Ledger {
    /// Makes an order, if its event is still in its epoch; answers whether: a hold has one
    /// at most.
    pub async fn create_order(&self, order: &NewOrder) -> Result<bool, Error> {
        const ORDER: &str = "-- create_order
            WITH fence AS MATERIALIZED (
                SELECT FROM events WHERE event_id = $2 AND epoch = $13 FOR SHARE
            ), made AS (
                INSERT INTO orders (order_id, event_id, hold_id, holder_id, state, currency,
                    total_micros, payment_provider, price_expire_time, buyer_name, buyer_email,
                    buyer_language, return_url)
                SELECT $1, $2, $3, $4, 'PENDING', $5, $6, $7,
                    now() + $8 * interval '1 millisecond', $9, $10, $11, $12
                FROM fence WHERE NOT EXISTS
                    (SELECT FROM former_holds WHERE event_id = $2 AND hold_id = $3)
                ON CONFLICT DO NOTHING RETURNING order_id
            )
            INSERT INTO order_events (kind, event_id, order_id)
            SELECT 'ORDER_CREATED', $2, order_id FROM made RETURNING order_id";
        self.run_tx(|tx| {
            async move {
                let buyer = order.buyer.as_ref();
                let params: Params<'_> = &[
                    &order.order_id.0,
                    &order.event_id.as_str(),
                    &order.hold_id.0,
                    &order.holder_id.as_str(),
                    &order.total.currency.to_string(),
                    &order.total.micros,
                    &order.payment_provider,
                    &millis_f64(order.payment_window),
                    &buyer.map(|buyer| &buyer.name),
                    &buyer.map(|buyer| &buyer.email),
                    &buyer.map(|buyer| &buyer.language),
                    &order.return_url,
                    &to_i64(order.epoch.0),
                ];
                if tx.query_opt(ORDER, params).await?.is_none() {
                    return Ok(false);
                }
                items_in_tx(tx, order).await?;
                if let Some(payment_id) = order.payment_id {
                    begin_payment_in_tx(tx, order.order_id, payment_id).await?;
                }
                Ok(true)
            }
            .scope_boxed()
        })
        .await
    }

    /// Begins another attempt to pay a PENDING order; answers whether: none while
    /// one is under way.
    pub async fn begin_payment(
        &self,
        order_id: OrderId,
        payment_id: PaymentId,
    ) -> Result<bool, Error> {
        self.run_tx(|tx| {
            async move { begin_payment_in_tx(tx, order_id, payment_id).await }.scope_boxed()
        })
        .await
    }

    /// Ends an order that is not paid because `actor` wants it; answers whether it
    /// could. Its hold must have ended before, or others would wait for its places in
    /// vain.
    pub async fn cancel_order(
        &self,
        order_id: OrderId,
        actor: &str,
        reason: &str,
    ) -> Result<bool, Error> {
        const SQL: &str = "-- cancel_order
            WITH before AS MATERIALIZED (
                SELECT order_id, event_id, state FROM orders WHERE order_id = $1
                    AND (state = 'PENDING' OR (state = 'CANCELLED' AND cancelled_by IS NULL))
                FOR UPDATE
            ), cancelled AS (
                UPDATE orders SET state = 'CANCELLED', cancelled_by = $2,
                    cancel_time = coalesce(cancel_time, now())
                FROM before WHERE orders.order_id = before.order_id
            ), audited AS (
                INSERT INTO order_audit (order_id, action, actor, reason)
                SELECT order_id, 'cancel', $2, $3 FROM before
            ), told AS (
                INSERT INTO order_events (kind, event_id, order_id)
                SELECT 'ORDER_CANCELLED', event_id, order_id FROM before WHERE state = 'PENDING'
            )
            SELECT order_id FROM before";
        Ok(self.query_opt(SQL, &[&order_id.0, &actor, &reason]).await?.is_some())
    }

    /// Takes some PENDING orders whose time is up, the oldest first, for
    /// [`ORDER_LEASE`]; each is answered to one server only. With a payment that may
    /// have come, of which a provider knows, or without.
    pub async fn claim_stale_orders(
        &self,
        with_payment: bool,
        most: i64,
    ) -> Result<Vec<StaleOrder>, Error> {
        const SQL: &str = "-- claim_stale_orders
            UPDATE orders SET lease_until = now() + $1 * interval '1 second'
            WHERE order_id IN (
                SELECT order_id FROM orders o
                WHERE state = 'PENDING' AND price_expire_time < now()
                    AND (lease_until IS NULL OR lease_until < now())
                    AND $3 = EXISTS (SELECT FROM payments p
                        WHERE p.order_id = o.order_id AND p.state <> 'FAILED')
                ORDER BY price_expire_time LIMIT $2 FOR UPDATE OF o SKIP LOCKED)
            RETURNING order_id, event_id, hold_id, price_expire_time";
        let lease = ORDER_LEASE.as_secs_f64();
        let rows = self.query(SQL, &[&lease, &most, &with_payment]).await?;
        rows.iter()
            .map(|row| {
                Ok(StaleOrder {
                    order_id: OrderId(row.get(0)),
                    event_id: parse(row.get(1))?,
                    hold_id: HoldId(row.get(2)),
                    price_expire_time: row.get(3),
                })
            })
            .collect()
    }

    /// Cancels orders whose time is up and whose holds have ended without a sale;
    /// answers how many still were PENDING.
    pub async fn cancel_stale_orders(&self, order_ids: &[OrderId]) -> Result<usize, Error> {
        const SQL: &str = "-- cancel_stale_orders
            WITH stale AS MATERIALIZED (
                SELECT order_id FROM orders
                WHERE order_id = ANY($1) AND state = 'PENDING' AND price_expire_time < now()
                ORDER BY order_id FOR UPDATE
            ), cancelled AS (
                UPDATE orders SET state = 'CANCELLED', cancel_time = now() FROM stale
                WHERE orders.order_id = stale.order_id
                RETURNING orders.order_id, event_id
            )
            INSERT INTO order_events (kind, event_id, order_id)
            SELECT 'ORDER_CANCELLED', event_id, order_id FROM cancelled ORDER BY order_id
            RETURNING order_id";
        let order_ids: Vec<Uuid> = order_ids.iter().map(|id| id.0).collect();
        Ok(self.query(SQL, &[&order_ids]).await?.len())
    }
}

async fn items_in_tx(tx: &Tx<'_>, order: &NewOrder) -> Result<(), Error> {
    const SQL: &str = "-- create_order: items
        INSERT INTO order_items (order_id, item_index, event_id, seat_index, area_index, quantity,
            price_micros)
        SELECT $1, n, $2, seat_index, area_index, quantity, price_micros
        FROM unnest($3::int[], $4::int[], $5::int[], $6::int8[]) WITH ORDINALITY
            AS i (seat_index, area_index, quantity, price_micros, n)";
    let (mut seats, mut areas) = (Vec::new(), Vec::new());
    let (mut quantities, mut prices) = (Vec::new(), Vec::new());
    for line in &order.lines {
        seats.push(line.place.ok().map(|seat| to_i32(seat.0)));
        areas.push(line.place.err().map(|area| to_i32(area.0)));
        quantities.push(to_i32(line.quantity));
        prices.push(line.price);
    }
    let params: Params<'_> =
        &[&order.order_id.0, &order.event_id.as_str(), &seats, &areas, &quantities, &prices];
    tx.query(SQL, params).await.map(|_| ())
}

async fn begin_payment_in_tx(
    tx: &Tx<'_>,
    order_id: OrderId,
    payment_id: PaymentId,
) -> Result<bool, Error> {
    // Whoever comes at the same time waits for the order, and then sees this one.
    const LOCK: &str = "-- begin_payment: lock
        SELECT FROM orders WHERE order_id = $1 AND state = 'PENDING' FOR UPDATE";
    const BEGIN: &str = "-- begin_payment
        INSERT INTO payments (payment_id, order_id, provider, currency, amount_micros, state,
            begin_time)
        SELECT $2, order_id, payment_provider, currency, total_micros, 'BEGUN', now()
        FROM orders WHERE order_id = $1 AND NOT EXISTS (
            SELECT FROM payments p WHERE p.order_id = $1 AND p.state <> 'FAILED')
        RETURNING payment_id";
    if tx.query_opt(LOCK, &[&order_id.0]).await?.is_none() {
        return Ok(false);
    }
    Ok(tx.query_opt(BEGIN, &[&order_id.0, &payment_id.0]).await?.is_some())
}

#[expect(clippy::cast_precision_loss, reason = "a window has few milliseconds")]
fn millis_f64(span: Duration) -> f64 {
    millis(span) as f64
}

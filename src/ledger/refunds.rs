//! Money given back, and the places that go back on sale with it.

use scoped_futures::ScopedFutureExt;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, to_i64, to_u32},
    session::{Params, Tx},
};
use crate::domain::{
    AreaIndex, AreaUnits, Currency, Epoch, EventId, HoldId, HolderId, Money, Order, OrderId,
    OrderState, PaymentId, Refund, RefundId, RefundRequest, RefundState, Refusal, SeatIndex,
    TicketId,
};
use crate::limits::{OUTBOX_LEASE, REFUND_LEASE, REFUNDS_AT_ONCE};

/// What became of it.
#[derive(Debug)]
pub enum Refunded {
    /// Noted, or noted before by the same request; by this outbox row Redis hears of
    /// the places that came back by this id.
    Noted { returned: Option<(i64, Uuid)> },
    /// The event is not in this epoch any more.
    Fenced,
}

/// Places of a refund, which Redis is to be told of once.
#[derive(Debug)]
pub struct Returned {
    pub return_id: Uuid,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<AreaUnits>,
}

/// The columns that [`refund_from_row`] reads.
macro_rules! refund_columns {
    () => {
        "r.refund_id, r.order_id, r.payment_id, o.currency, r.amount_micros, r.state, r.reason, \
         r.actor, r.create_time, r.end_time"
    };
}

impl Ledger {
    /// Notes a refund of an order, which is in its event's `epoch`: tickets void,
    /// places back, money to be given back. `is_done`: whoever asks has given it back.
    ///
    /// # Errors
    /// [`Refusal::OrderNotFound`], [`Refusal::RefundIdReused`],
    /// [`Refusal::TicketNotFound`], [`Refusal::OrderState`].
    pub async fn refund_order(
        &self,
        order: &Order,
        epoch: Epoch,
        request: &RefundRequest,
        is_done: bool,
    ) -> Result<Refunded, Error> {
        self.run_tx(|tx| {
            async move {
                // 1. Whatever has a part in it is locked in the order of a sale's locks.
                if !fence_in_tx(tx, &order.event_id, epoch).await? {
                    return Ok(Refunded::Fenced);
                }
                let state = lock_in_tx(tx, order.order_id).await?;
                if let Some(before) = before_in_tx(tx, request.refund_id).await? {
                    return match before.as_deref() == Some(request.fingerprint.as_str()) {
                        true => Ok(Refunded::Noted { returned: None }),
                        false => Err(Refusal::RefundIdReused(request.refund_id).into()),
                    };
                }
                // 2. Money that came too late is due as it is; else tickets say how much.
                let state_after = if is_done { "DONE" } else { "ASKED" };
                let returned = match state {
                    OrderState::RefundDue if due_in_tx(tx, request, state_after).await? => None,
                    OrderState::Paid => {
                        Some(void_in_tx(tx, order, epoch, request, state_after).await?)
                    }
                    state => {
                        let order_id = order.order_id;
                        return Err(Refusal::OrderState { order_id, state }.into());
                    }
                };
                audit_in_tx(tx, request).await?;
                end_in_tx(tx, order.order_id, returned.is_some()).await?;
                Ok(Refunded::Noted { returned })
            }
            .scope_boxed()
        })
        .await
    }

    /// A refund.
    pub async fn find_refund(&self, refund_id: RefundId) -> Result<Option<Refund>, Error> {
        const SQL: &str = concat!(
            "-- find_refund\nSELECT ",
            refund_columns!(),
            " FROM refunds r JOIN orders o USING (order_id) WHERE refund_id = $1"
        );
        let row = self.query_opt(SQL, &[&refund_id.0]).await?;
        row.map(|row| refund_from_row(&row)).transpose()
    }

    /// All refunds of an order, the first one first.
    pub async fn refunds_of_order(&self, order_id: OrderId) -> Result<Vec<Refund>, Error> {
        const SQL: &str = concat!(
            "-- refunds_of_order\nSELECT ",
            refund_columns!(),
            " FROM refunds r JOIN orders o USING (order_id) WHERE order_id = $1
            ORDER BY r.create_time, refund_id"
        );
        self.query(SQL, &[&order_id.0]).await?.iter().map(refund_from_row).collect()
    }

    /// Takes some refunds that providers are to be asked for, for [`REFUND_LEASE`];
    /// each is answered to one server only. With each, how often it was tried.
    pub async fn claim_refunds(&self) -> Result<Vec<(Refund, u32)>, Error> {
        const SQL: &str = concat!(
            "-- claim_refunds
            WITH claimed AS (
                UPDATE refunds SET lease_until = now() + $1 * interval '1 second',
                    attempts = attempts + 1
                WHERE refund_id IN (
                    SELECT refund_id FROM refunds WHERE state = 'ASKED' AND next_time <= now()
                        AND (lease_until IS NULL OR lease_until < now())
                    ORDER BY next_time LIMIT $2 FOR UPDATE SKIP LOCKED)
                RETURNING *
            )
            SELECT ",
            refund_columns!(),
            ", r.attempts FROM claimed r JOIN orders o USING (order_id)"
        );
        let rows = self.query(SQL, &[&REFUND_LEASE.as_secs_f64(), &REFUNDS_AT_ONCE]).await?;
        let refund = |row: &Row| Ok((refund_from_row(row)?, to_u32(row.get(10))));
        rows.iter().map(refund).collect()
    }

    /// Notes that a refund came to its end; the order is `REFUNDED` where it was the
    /// last one that an order without tickets waited for.
    pub async fn end_refund(
        &self,
        refund: &Refund,
        ended: Result<&str, &str>,
    ) -> Result<(), Error> {
        const SQL: &str = "-- end_refund
            UPDATE refunds SET state = $2, end_time = now(), provider_reference = $3,
                last_error = $4
            WHERE refund_id = $1 AND state = 'ASKED'";
        let state = if ended.is_ok() { "DONE" } else { "FAILED" };
        self.run_tx(|tx| {
            async move {
                lock_in_tx(tx, refund.order_id).await?;
                tx.query(SQL, &[&refund.refund_id.0, &state, &ended.ok(), &ended.err()]).await?;
                end_in_tx(tx, refund.order_id, false).await
            }
            .scope_boxed()
        })
        .await
    }

    /// Notes that the provider has no answer to a refund yet: it is asked again after
    /// `wait_s` seconds.
    pub async fn delay_refund(
        &self,
        refund_id: RefundId,
        wait_s: f64,
        why: &str,
    ) -> Result<(), Error> {
        const SQL: &str = "-- delay_refund
            UPDATE refunds SET next_time = now() + $2 * interval '1 second', lease_until = NULL,
                last_error = $3
            WHERE refund_id = $1 AND state = 'ASKED'";
        self.query(SQL, &[&refund_id.0, &wait_s, &why]).await.map(|_| ())
    }

    /// How many refunds are not given back yet, by what they are at.
    pub async fn open_refunds(&self) -> Result<[(&'static str, i64); 3], Error> {
        const SQL: &str = "-- open_refunds
            SELECT count(*) FILTER (WHERE state = 'DUE'), count(*) FILTER (WHERE state = 'ASKED'),
                count(*) FILTER (WHERE state = 'FAILED')
            FROM refunds WHERE state <> 'DONE'";
        let row = &self.query(SQL, &[]).await?[0];
        Ok([("due", row.get(0)), ("asked", row.get(1)), ("failed", row.get(2))])
    }

    /// The places that came back by a refund.
    pub async fn find_returned(&self, return_id: Uuid) -> Result<Returned, Error> {
        const SQL: &str = "-- find_returned
            SELECT hold_id, holder_id, seat_index, area_index, count(*)::int
            FROM void_tickets JOIN orders USING (order_id) WHERE return_id = $1
            GROUP BY hold_id, holder_id, seat_index, area_index
            ORDER BY seat_index, area_index";
        let rows = self.query(SQL, &[&return_id]).await?;
        let first = rows.first().ok_or_else(|| Error::corrupt("nothing came back"))?;
        let seat = |row: &Row| row.get::<_, Option<i32>>(2).map(|seat| SeatIndex(to_u32(seat)));
        let area = |row: &Row| {
            let area = AreaIndex(to_u32(row.get::<_, Option<i32>>(3)?));
            Some(AreaUnits { area, quantity: to_u32(row.get(4)) })
        };
        Ok(Returned {
            return_id,
            hold_id: HoldId(first.get(0)),
            holder_id: parse(first.get(1))?,
            seats: rows.iter().filter_map(seat).collect(),
            areas: rows.iter().filter_map(area).collect(),
        })
    }
}

async fn fence_in_tx(tx: &Tx<'_>, event_id: &EventId, epoch: Epoch) -> Result<bool, Error> {
    const SQL: &str = "-- refund_order: fence
        SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE";
    Ok(tx.query_opt(SQL, &[&event_id.as_str(), &to_i64(epoch.0)]).await?.is_some())
}

async fn lock_in_tx(tx: &Tx<'_>, order_id: OrderId) -> Result<OrderState, Error> {
    const SQL: &str = "-- refund: lock
        SELECT state FROM orders WHERE order_id = $1 FOR UPDATE";
    let row = tx.query_opt(SQL, &[&order_id.0]).await?;
    let row = row.ok_or(Refusal::OrderNotFound(order_id))?;
    OrderState::from_name(row.get(0)).ok_or_else(|| Error::corrupt("order state"))
}

/// The fingerprint of the request that made this refund, if there is one.
async fn before_in_tx(tx: &Tx<'_>, refund_id: RefundId) -> Result<Option<Option<String>>, Error> {
    const SQL: &str = "-- refund_order: before
        SELECT fingerprint FROM refunds WHERE refund_id = $1";
    Ok(tx.query_opt(SQL, &[&refund_id.0]).await?.map(|row| row.get(0)))
}

/// Asks for the first refund that is due, or was refused before, under the caller's id.
async fn due_in_tx(tx: &Tx<'_>, request: &RefundRequest, state: &str) -> Result<bool, Error> {
    const SQL: &str = "-- refund_order: due
        UPDATE refunds SET refund_id = $2, state = $3, actor = $4, fingerprint = $5,
            next_time = now(), end_time = CASE $3 WHEN 'DONE' THEN now() END
        WHERE refund_id = (SELECT refund_id FROM refunds
            WHERE order_id = $1 AND state IN ('DUE', 'FAILED') ORDER BY create_time LIMIT 1)
        RETURNING refund_id";
    let params: Params<'_> =
        &[&request.order_id.0, &request.refund_id.0, &state, &request.actor, &request.fingerprint];
    Ok(tx.query_opt(SQL, params).await?.is_some())
}

/// Notes what is to be given back for tickets; answers the amount.
async fn note_in_tx(
    tx: &Tx<'_>,
    request: &RefundRequest,
    ticket_ids: &[Uuid],
    state: &str,
) -> Result<i64, Error> {
    const SQL: &str = "-- refund_order
        INSERT INTO refunds (refund_id, order_id, payment_id, amount_micros, state, reason, actor,
            fingerprint, end_time)
        SELECT $1, $2, (SELECT payment_id FROM payments
                WHERE order_id = $2 AND settlement = 'ORDER' ORDER BY payment_id LIMIT 1),
            coalesce(sum(price_micros), 0), $4, $5, $6, $7, CASE $4 WHEN 'DONE' THEN now() END
        FROM tickets WHERE order_id = $2
            AND (cardinality($3::uuid[]) = 0 OR ticket_id = ANY($3))
        RETURNING amount_micros";
    let params: Params<'_> = &[
        &request.refund_id.0,
        &request.order_id.0,
        &ticket_ids,
        &state,
        &request.reason,
        &request.actor,
        &request.fingerprint,
    ];
    Ok(tx.query(SQL, params).await?[0].get(0))
}

/// Voids tickets and gives their places back; answers the outbox row by which Redis
/// hears of it, and the id by which they come back.
async fn void_in_tx(
    tx: &Tx<'_>,
    order: &Order,
    epoch: Epoch,
    request: &RefundRequest,
    state: &str,
) -> Result<(i64, Uuid), Error> {
    const SQL: &str = "-- refund_order: void
        WITH void AS (
            DELETE FROM tickets WHERE order_id = $2
                AND (cardinality($3::uuid[]) = 0 OR ticket_id = ANY($3))
            RETURNING ticket_id, order_id, event_id, seat_index, area_index, price_micros
        ), moved AS (
            INSERT INTO void_tickets (ticket_id, order_id, event_id, seat_index, area_index,
                price_micros, refund_id, return_id)
            SELECT ticket_id, order_id, event_id, seat_index, area_index, price_micros, $1, $4
            FROM void RETURNING ticket_id
        ), back AS (
            SELECT event_id, area_index, count(*)::int AS quantity FROM void
            WHERE area_index IS NOT NULL GROUP BY event_id, area_index
        ), locked AS MATERIALIZED (
            SELECT event_id, area_index, quantity FROM back JOIN areas USING (event_id, area_index)
            ORDER BY area_index FOR NO KEY UPDATE OF areas
        ), counted AS (
            UPDATE areas SET sold = sold - locked.quantity FROM locked
            WHERE areas.event_id = locked.event_id AND areas.area_index = locked.area_index
        ), marked AS (
            UPDATE orders SET refunded_micros = refunded_micros + $5 WHERE order_id = $2
        ), noted AS (
            INSERT INTO outbox (kind, event_id, return_id, epoch, lease_until)
            VALUES ('returned', $6, $4, $7, now() + $8 * interval '1 second')
            RETURNING outbox_id
        )
        SELECT outbox_id, ARRAY(SELECT ticket_id FROM moved) FROM noted";
    let ticket_ids: Vec<Uuid> = request.ticket_ids.iter().map(|id| id.0).collect();
    let amount = note_in_tx(tx, request, &ticket_ids, state).await?;
    let (return_id, epoch, lease) = (Uuid::now_v7(), to_i64(epoch.0), OUTBOX_LEASE.as_secs_f64());
    let params: Params<'_> = &[
        &request.refund_id.0,
        &order.order_id.0,
        &ticket_ids,
        &return_id,
        &amount,
        &order.event_id.as_str(),
        &epoch,
        &lease,
    ];
    let rows = tx.query(SQL, params).await?;
    let moved: Vec<Uuid> = rows[0].get(1);
    let missing = |id: &&TicketId| !moved.contains(&id.0);
    let missing: Vec<TicketId> = request.ticket_ids.iter().filter(missing).copied().collect();
    if !missing.is_empty() {
        return Err(Refusal::TicketNotFound(missing).into());
    }
    Ok((rows[0].get(0), return_id))
}

async fn audit_in_tx(tx: &Tx<'_>, request: &RefundRequest) -> Result<(), Error> {
    const SQL: &str = "-- refund_order: audit
        INSERT INTO order_audit (order_id, action, actor, reason) VALUES ($1, 'refund', $2, $3)";
    tx.query(SQL, &[&request.order_id.0, &request.actor, &request.reason]).await.map(|_| ())
}

/// What the order is at now that a refund began or ended, and what is told of it: an
/// order without tickets is `REFUND_DUE` until all of its refunds are DONE.
async fn end_in_tx(tx: &Tx<'_>, order_id: OrderId, has_void_tickets: bool) -> Result<(), Error> {
    const SQL: &str = "-- refund: end
        WITH standing AS (
            SELECT o.order_id, o.state, CASE
                WHEN EXISTS (SELECT FROM tickets t WHERE t.order_id = $1) THEN 'PAID'
                WHEN EXISTS (SELECT FROM refunds r WHERE r.order_id = $1 AND r.state <> 'DONE')
                    THEN 'REFUND_DUE'
                ELSE 'REFUNDED' END AS state_now
            FROM orders o WHERE o.order_id = $1
        ), marked AS (
            UPDATE orders SET state = state_now FROM standing
            WHERE orders.order_id = $1 AND state_now <> standing.state
            RETURNING event_id, state_now
        )
        INSERT INTO order_events (kind, event_id, order_id)
        SELECT 'ORDER_' || state_now, event_id, $1 FROM marked
        UNION ALL
        SELECT 'ORDER_REFUNDED', event_id, $1 FROM standing JOIN orders USING (order_id)
        WHERE state_now = 'PAID' AND $2";
    tx.query(SQL, &[&order_id.0, &has_void_tickets]).await.map(|_| ())
}

fn refund_from_row(row: &Row) -> Result<Refund, Error> {
    let currency: Currency = parse(row.get(3))?;
    Ok(Refund {
        refund_id: RefundId(row.get(0)),
        order_id: OrderId(row.get(1)),
        payment_id: row.get::<_, Option<Uuid>>(2).map(PaymentId),
        amount: Money { currency, micros: row.get(4) },
        state: match row.get(5) {
            "DUE" => RefundState::Due,
            "ASKED" => RefundState::Asked,
            "DONE" => RefundState::Done,
            "FAILED" => RefundState::Failed,
            other => return Err(Error::Corrupt(format!("refund state {other}"))),
        },
        reason: row.get(6),
        actor: row.get(7),
        create_time: row.get(8),
        end_time: row.get(9),
    })
}

//! RefundOrder's transaction: tickets void, places back, money to be given back.

use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::to_i64,
    refunds::{end_in_tx, lock_in_tx},
    session::{Params, Tx},
};
use crate::domain::{Epoch, EventId, Order, OrderState, RefundRequest, Refusal, TicketId};
use crate::limits::OUTBOX_LEASE;

/// What became of it.
#[derive(Debug)]
pub enum Refunded {
    /// Noted, or noted before by the same request; by this outbox row Redis hears of
    /// the places that came back by this id.
    Noted { returned: Option<(i64, Uuid)> },
    /// The event is not in this epoch any more.
    Fenced,
}

impl Ledger {
    /// Notes a refund of an order, which is in its event's `epoch`: tickets void,
    /// places back, money to be given back. What no provider has passed on is given
    /// back by whoever asks, so it is done.
    ///
    /// # Errors
    /// [`Refusal::OrderNotFound`], [`Refusal::RefundIdReused`],
    /// [`Refusal::TicketNotFound`], [`Refusal::OrderState`].
    pub async fn refund_order(
        &self,
        order: &Order,
        epoch: Epoch,
        request: &RefundRequest,
    ) -> Result<Refunded, Error> {
        self.run_tx(|tx| {
            async move {
                // 1. Whatever has a part in it is locked in the order of a sale's locks.
                if !fence_in_tx(tx, &order.event_id, epoch).await? {
                    return Ok(Refunded::Fenced);
                }
                let state = lock_in_tx(tx, order.order_id).await?;
                match before_in_tx(tx, request).await? {
                    Before::None | Before::Open => {}
                    Before::Same => return Ok(Refunded::Noted { returned: None }),
                    Before::Other => {
                        return Err(Refusal::RefundIdReused(request.refund_id).into());
                    }
                }
                // 2. Money that came too late, or that the provider refused to give back,
                //    is due as it is; else tickets say how much.
                let asks_for_all = request.ticket_ids.is_empty();
                let returned = match state {
                    _ if asks_for_all && due_in_tx(tx, request).await? => None,
                    OrderState::Paid => Some(void_in_tx(tx, order, epoch, request).await?),
                    state => {
                        let order_id = order.order_id;
                        return Err(Refusal::OrderState { order_id, state }.into());
                    }
                };
                audit_in_tx(tx, request).await?;
                end_in_tx(tx, order.order_id, request.refund_id, returned.is_some()).await?;
                Ok(Refunded::Noted { returned })
            }
            .scope_boxed()
        })
        .await
    }
}

async fn fence_in_tx(tx: &Tx<'_>, event_id: &EventId, epoch: Epoch) -> Result<bool, Error> {
    const SQL: &str = "-- refund_order: fence
        SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE";
    Ok(tx.query_opt(SQL, &[&event_id.as_str(), &to_i64(epoch.0)]).await?.is_some())
}

/// What is known of a refund id.
enum Before {
    None,
    /// Of a refund of this order that waits to be asked for, also again.
    Open,
    /// Asked for by the same request.
    Same,
    Other,
}

async fn before_in_tx(tx: &Tx<'_>, request: &RefundRequest) -> Result<Before, Error> {
    const SQL: &str = "-- refund_order: before
        SELECT fingerprint = $2, order_id = $3 AND state IN ('DUE', 'FAILED')
        FROM refunds WHERE refund_id = $1";
    let params: Params<'_> = &[&request.refund_id.0, &request.fingerprint, &request.order_id.0];
    Ok(match tx.query_opt(SQL, params).await? {
        None => Before::None,
        Some(row) if row.get(1) => Before::Open,
        Some(row) if row.get::<_, Option<bool>>(0) == Some(true) => Before::Same,
        Some(_) => Before::Other,
    })
}

/// Asks for the refund of this id where it is due, or was refused before; or for the
/// first one that is, under this id, where the order has nothing but that to give back.
/// Answers whether there was one.
async fn due_in_tx(tx: &Tx<'_>, request: &RefundRequest) -> Result<bool, Error> {
    const SQL: &str = "-- refund_order: due
        UPDATE refunds SET refund_id = $2, actor = $3, fingerprint = $4, attempts = 0,
            state = CASE WHEN payment_id IS NULL THEN 'DONE' ELSE 'ASKED' END,
            next_time = now(), lease_until = NULL, last_error = NULL,
            end_time = CASE WHEN payment_id IS NULL THEN now() END
        WHERE refund_id = (
            SELECT refund_id FROM refunds r JOIN orders o USING (order_id)
            WHERE order_id = $1 AND r.state IN ('DUE', 'FAILED')
                AND (refund_id = $2 OR o.state = 'REFUND_DUE')
            ORDER BY refund_id = $2 DESC, r.create_time LIMIT 1)
        RETURNING refund_id";
    let params: Params<'_> =
        &[&request.order_id.0, &request.refund_id.0, &request.actor, &request.fingerprint];
    Ok(tx.query_opt(SQL, params).await?.is_some())
}

/// Notes what is to be given back for tickets; answers the amount.
async fn note_in_tx(
    tx: &Tx<'_>,
    request: &RefundRequest,
    ticket_ids: &[Uuid],
) -> Result<i64, Error> {
    const SQL: &str = "-- refund_order
        INSERT INTO refunds (refund_id, order_id, payment_id, amount_micros, state, reason, actor,
            fingerprint, end_time)
        SELECT $1, $2, payment_id, amount,
            CASE WHEN payment_id IS NULL OR amount = 0 THEN 'DONE' ELSE 'ASKED' END, $4, $5, $6,
            CASE WHEN payment_id IS NULL OR amount = 0 THEN now() END
        FROM (
            SELECT coalesce(sum(price_micros), 0) AS amount FROM tickets WHERE order_id = $2
                AND (cardinality($3::uuid[]) = 0 OR ticket_id = ANY($3))
        ) t LEFT JOIN payments ON order_id = $2 AND settlement = 'ORDER'
        RETURNING amount_micros";
    let params: Params<'_> = &[
        &request.refund_id.0,
        &request.order_id.0,
        &ticket_ids,
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
    let amount = note_in_tx(tx, request, &ticket_ids).await?;
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

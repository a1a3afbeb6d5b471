//! Money given back, and the places that go back on sale with it.

use scoped_futures::ScopedFutureExt;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, to_u32},
    session::{Params, Tx},
};
use crate::domain::{
    AreaIndex, AreaUnits, Currency, HoldId, HolderId, Money, OrderId, OrderState, PaymentId,
    Refund, RefundId, RefundState, Refusal, SeatIndex,
};
use crate::limits::{REFUND_LEASE, REFUNDS_AT_ONCE};

/// A refund that a provider is to be asked for.
#[derive(Debug)]
pub struct ClaimedRefund {
    pub refund: Refund,
    /// From 1 up.
    pub attempt: u32,
    /// The attempt before may have been done.
    pub in_doubt: bool,
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

    /// Takes some refunds that providers are to be asked for, for [`REFUND_LEASE`]; each
    /// is answered to one server only, and of each payment one after the other.
    pub async fn claim_refunds(&self) -> Result<Vec<ClaimedRefund>, Error> {
        const SQL: &str = concat!(
            "-- claim_refunds
            WITH claimed AS (
                UPDATE refunds r SET lease_until = now() + $1 * interval '1 second',
                    attempts = attempts + 1, in_doubt = true
                FROM (
                    SELECT refund_id, in_doubt FROM refunds f
                    WHERE state = 'ASKED' AND next_time <= now()
                        AND (lease_until IS NULL OR lease_until < now())
                        AND NOT EXISTS (SELECT FROM refunds g WHERE g.payment_id = f.payment_id
                            AND g.state = 'ASKED'
                            AND (g.create_time, g.refund_id) < (f.create_time, f.refund_id))
                    ORDER BY next_time LIMIT $2 FOR UPDATE SKIP LOCKED
                ) due
                WHERE r.refund_id = due.refund_id
                RETURNING r.*, due.in_doubt AS was_in_doubt
            )
            SELECT ",
            refund_columns!(),
            ", r.attempts, r.was_in_doubt FROM claimed r JOIN orders o USING (order_id)"
        );
        let rows = self.query(SQL, &[&REFUND_LEASE.as_secs_f64(), &REFUNDS_AT_ONCE]).await?;
        rows.iter()
            .map(|row| {
                Ok(ClaimedRefund {
                    refund: refund_from_row(row)?,
                    attempt: to_u32(row.get(10)),
                    in_doubt: row.get(11),
                })
            })
            .collect()
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
                last_error = $4, in_doubt = false
            WHERE refund_id = $1 AND state = 'ASKED' RETURNING refund_id";
        let (refund_id, order_id) = (refund.refund_id, refund.order_id);
        let state = if ended.is_ok() { "DONE" } else { "FAILED" };
        self.run_tx(|tx| {
            async move {
                lock_in_tx(tx, order_id).await?;
                let params: Params<'_> = &[&refund_id.0, &state, &ended.ok(), &ended.err()];
                match tx.query_opt(SQL, params).await? {
                    Some(_) => end_in_tx(tx, order_id, refund_id, false).await,
                    // Another server was told the same.
                    None => Ok(()),
                }
            }
            .scope_boxed()
        })
        .await
    }

    /// Notes that the provider has no answer to a refund yet, or may have done it, if
    /// `in_doubt`: it is asked again after `wait_s` seconds.
    pub async fn delay_refund(
        &self,
        refund_id: RefundId,
        in_doubt: bool,
        wait_s: f64,
        why: &str,
    ) -> Result<(), Error> {
        const SQL: &str = "-- delay_refund
            UPDATE refunds SET next_time = now() + $2 * interval '1 second', lease_until = NULL,
                last_error = $3, in_doubt = $4
            WHERE refund_id = $1 AND state = 'ASKED'";
        self.query(SQL, &[&refund_id.0, &wait_s, &why, &in_doubt]).await.map(|_| ())
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

pub(super) async fn lock_in_tx(tx: &Tx<'_>, order_id: OrderId) -> Result<OrderState, Error> {
    const SQL: &str = "-- refund: lock
        SELECT state FROM orders WHERE order_id = $1 FOR UPDATE";
    let row = tx.query_opt(SQL, &[&order_id.0]).await?;
    let row = row.ok_or(Refusal::OrderNotFound(order_id))?;
    OrderState::from_name(row.get(0)).ok_or_else(|| Error::corrupt("order state"))
}

/// What the order is at now that a refund began or ended, and what is told of it: an
/// order without tickets is `REFUND_DUE` until all of its refunds are DONE. That money is
/// due is told with the tickets that are void; that it was given back, once it was.
pub(super) async fn end_in_tx(
    tx: &Tx<'_>,
    order_id: OrderId,
    refund_id: RefundId,
    has_void_tickets: bool,
) -> Result<(), Error> {
    const SQL: &str = "-- refund: end
        WITH standing AS (
            SELECT o.order_id, o.event_id, o.state, CASE
                WHEN EXISTS (SELECT FROM tickets t WHERE t.order_id = $1) THEN 'PAID'
                WHEN EXISTS (SELECT FROM refunds r WHERE r.order_id = $1 AND r.state <> 'DONE')
                    THEN 'REFUND_DUE'
                ELSE 'REFUNDED' END AS state_now
            FROM orders o WHERE o.order_id = $1
        ), marked AS (
            UPDATE orders SET state = state_now FROM standing
            WHERE orders.order_id = $1 AND state_now <> standing.state
        ), told AS (
            SELECT state_now AS kind FROM standing WHERE state_now <> state
            UNION
            SELECT CASE state WHEN 'DONE' THEN 'REFUNDED' ELSE 'REFUND_DUE' END FROM refunds
            WHERE refund_id = $2 AND (state = 'DONE' OR $3)
        )
        INSERT INTO order_events (kind, event_id, order_id)
        SELECT 'ORDER_' || kind, event_id, order_id FROM told, standing
        ORDER BY kind = 'REFUNDED'";
    tx.query(SQL, &[&order_id.0, &refund_id.0, &has_void_tickets]).await.map(|_| ())
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

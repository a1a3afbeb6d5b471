//! Payments through providers: what they are at, and what they came to.

use tokio_postgres::Row;

use super::{Error, Ledger, columns::parse, session::Params};
use crate::domain::{
    Money, OrderId, Payment, PaymentId, PaymentReference, PaymentState, RefundId, Settlement,
};
use crate::limits::{
    PAYMENT_ASK_WAIT, PAYMENTS_ASKED_AT_ONCE, PAYMENTS_SETTLED_AT_ONCE, SETTLE_LEASE,
};

/// The columns that [`payment_from_row`] reads.
macro_rules! payment_columns {
    () => {
        "payment_id, order_id, provider, currency, amount_micros, state, provider_reference, \
         begin_time, pay_time, settlement"
    };
}

/// A payment that did not become a sale.
#[derive(Debug)]
pub struct Unsellable {
    pub order_id: OrderId,
    /// `None` where Confirm was told of it.
    pub payment_id: Option<PaymentId>,
    pub payment_reference: PaymentReference,
    pub amount: Money,
}

impl Ledger {
    /// A payment.
    pub async fn find_payment(&self, payment_id: PaymentId) -> Result<Option<Payment>, Error> {
        const SQL: &str = concat!(
            "-- find_payment\nSELECT ",
            payment_columns!(),
            " FROM payments WHERE payment_id = $1"
        );
        let row = self.query_opt(SQL, &[&payment_id.0]).await?;
        row.map(|row| payment_from_row(&row)).transpose()
    }

    /// All attempts to pay an order, the first one first.
    pub async fn payments_of_order(&self, order_id: OrderId) -> Result<Vec<Payment>, Error> {
        const SQL: &str = concat!(
            "-- payments_of_order\nSELECT ",
            payment_columns!(),
            " FROM payments WHERE order_id = $1 ORDER BY payment_id"
        );
        self.query(SQL, &[&order_id.0]).await?.iter().map(payment_from_row).collect()
    }

    /// Notes that the provider has the money; answers whether that is news.
    pub async fn note_paid(
        &self,
        payment_id: PaymentId,
        provider_reference: &str,
    ) -> Result<bool, Error> {
        const SQL: &str = "-- note_paid
            UPDATE payments SET state = 'PAID', provider_reference = $2, pay_time = now(),
                lease_until = now() + $3 * interval '1 second'
            WHERE payment_id = $1 AND state <> 'PAID' RETURNING payment_id";
        let lease = SETTLE_LEASE.as_secs_f64();
        let noted = self.query_opt(SQL, &[&payment_id.0, &provider_reference, &lease]).await?;
        Ok(noted.is_some())
    }

    /// Notes that a payment came to nothing, unless it is paid.
    pub async fn note_failed(&self, payment_id: PaymentId) -> Result<(), Error> {
        const SQL: &str = "-- note_failed
            UPDATE payments SET state = 'FAILED' WHERE payment_id = $1 AND state = 'BEGUN'";
        self.query(SQL, &[&payment_id.0]).await.map(|_| ())
    }

    /// Takes some payments that were not settled by whoever learned of them, for
    /// [`SETTLE_LEASE`]; each is answered to one server only.
    pub async fn claim_unsettled_payments(&self) -> Result<Vec<Payment>, Error> {
        const SQL: &str = concat!(
            "-- claim_unsettled_payments
            UPDATE payments SET lease_until = now() + $1 * interval '1 second'
            WHERE payment_id IN (
                SELECT payment_id FROM payments WHERE state = 'PAID' AND settlement IS NULL
                    AND (lease_until IS NULL OR lease_until < now())
                ORDER BY pay_time LIMIT $2 FOR UPDATE SKIP LOCKED)
            RETURNING ",
            payment_columns!()
        );
        let params: Params<'_> = &[&SETTLE_LEASE.as_secs_f64(), &PAYMENTS_SETTLED_AT_ONCE];
        self.query(SQL, params).await?.iter().map(payment_from_row).collect()
    }

    /// Takes some payments of orders that have ended which nobody has told of, those that
    /// wait longest first; each is answered to one server only, and comes again after
    /// [`PAYMENT_ASK_WAIT`].
    pub async fn claim_begun_payments(&self) -> Result<Vec<Payment>, Error> {
        const SQL: &str = concat!(
            "-- claim_begun_payments
            UPDATE payments SET lease_until = now() + greatest($1 * interval '1 second',
                least($2 * interval '1 second', (now() - begin_time) / 2))
            WHERE payment_id IN (
                SELECT payment_id FROM payments p JOIN orders o USING (order_id)
                WHERE p.state = 'BEGUN' AND o.state <> 'PENDING'
                    AND (p.lease_until IS NULL OR p.lease_until < now())
                ORDER BY begin_time LIMIT $3 FOR UPDATE OF p SKIP LOCKED)
            RETURNING ",
            payment_columns!()
        );
        let [least, most] = [PAYMENT_ASK_WAIT.start(), PAYMENT_ASK_WAIT.end()];
        let (least, most) = (least.as_secs_f64(), most.as_secs_f64());
        let rows = self.query(SQL, &[&least, &most, &PAYMENTS_ASKED_AT_ONCE]).await?;
        rows.iter().map(payment_from_row).collect()
    }

    /// Notes that a payment paid its order.
    pub async fn settle_by_order(&self, payment_id: PaymentId) -> Result<(), Error> {
        const SQL: &str = "-- settle_by_order
            UPDATE payments SET settlement = 'ORDER'
            WHERE payment_id = $1 AND state = 'PAID' AND settlement IS NULL";
        self.query(SQL, &[&payment_id.0]).await.map(|_| ())
    }

    /// Notes that money is to be given back: the order, where it still waited for its
    /// payment, is `REFUND_DUE` from then on, and never sold. Once for a payment, and not
    /// where it has paid the order meanwhile.
    ///
    /// Answers whether the order waited, or was `REFUND_DUE` by this payment before.
    /// Where it did not and nothing names a payment, nothing is changed: Confirm's
    /// caller is refused instead.
    pub async fn settle_by_refund(&self, unsellable: &Unsellable) -> Result<bool, Error> {
        const SQL: &str = "-- settle_by_refund
            WITH before AS MATERIALIZED (
                SELECT order_id, event_id, state, state IN ('PENDING', 'CANCELLED') AS waits,
                    payment_reference IS NOT DISTINCT FROM $3 AS is_ours
                FROM orders WHERE order_id = $1 FOR UPDATE
            ), settled AS (
                UPDATE payments SET settlement = 'REFUND' FROM before
                WHERE payment_id = $2 AND payments.state = 'PAID' AND settlement IS NULL
                    AND (waits OR NOT is_ours)
                RETURNING payment_id
            ), due AS (
                INSERT INTO refunds (refund_id, order_id, payment_id, amount_micros, state, reason,
                    actor)
                SELECT $4, order_id, $2, $5, 'DUE', 'late_payment', 'holdfast' FROM before
                WHERE EXISTS (SELECT FROM settled) OR ($2 IS NULL AND waits)
                RETURNING order_id
            ), marked AS (
                UPDATE orders SET state = 'REFUND_DUE', payment_reference = $3, pay_time = now(),
                    refunded_micros = $5
                FROM before JOIN due USING (order_id)
                WHERE orders.order_id = before.order_id AND waits
            ), told AS (
                INSERT INTO order_events (kind, event_id, order_id)
                SELECT 'ORDER_REFUND_DUE', event_id, order_id FROM before JOIN due USING (order_id)
            )
            SELECT waits OR (state IN ('REFUND_DUE', 'REFUNDED') AND is_ours) FROM before";
        let params: Params<'_> = &[
            &unsellable.order_id.0,
            &unsellable.payment_id.map(|id| id.0),
            &unsellable.payment_reference.as_str(),
            &RefundId::new_v7().0,
            &unsellable.amount.micros,
        ];
        let row = self.query_opt(SQL, params).await?;
        Ok(row.and_then(|row| row.get::<_, Option<bool>>(0)).unwrap_or(false))
    }
}

fn payment_from_row(row: &Row) -> Result<Payment, Error> {
    let settlement = match row.get::<_, Option<&str>>(9) {
        None => None,
        Some("ORDER") => Some(Settlement::Order),
        Some("REFUND") => Some(Settlement::Refund),
        Some(other) => return Err(Error::Corrupt(format!("settlement {other}"))),
    };
    Ok(Payment {
        payment_id: PaymentId(row.get(0)),
        order_id: OrderId(row.get(1)),
        provider: row.get(2),
        amount: Money { currency: parse(row.get(3))?, micros: row.get(4) },
        state: match row.get(5) {
            "BEGUN" => PaymentState::Begun,
            "PAID" => PaymentState::Paid,
            "FAILED" => PaymentState::Failed,
            other => return Err(Error::Corrupt(format!("payment state {other}"))),
        },
        provider_reference: row.get(6),
        begin_time: row.get(7),
        pay_time: row.get(8),
        settlement,
    })
}

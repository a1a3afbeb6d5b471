//! The sale: one statement, one transaction; where many wait, one for some of them.

mod parameters;

use std::{collections::HashSet, sync::Arc};

use deadpool_postgres::Pool;
use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::{Error, Ledger, session::one_query};
use crate::batch::{Batcher, Bounds, Claim};
use crate::domain::{
    AreaIndex, Epoch, EventId, HoldId, HoldRecord, Micros, Money, OrderId, PaymentReference,
    SeatIndex, TicketId,
};
use crate::limits::{
    MAX_EVENTS_PER_STATEMENT, MAX_SALES_OF_AN_EVENT, MAX_SALES_WAITING, POSTGRES_WAIT_TIMEOUT,
    SALES_ALONE_AT_ONCE, SALES_AT_ONCE, STATEMENTS_AT_ONCE,
};
use parameters::Parameters;

/// All that one sale writes: of a new order, or of one that waits for its payment.
/// Seats first, then areas, each ascending, so that
/// two sales take their locks in one order.
#[derive(Debug)]
pub struct Sale {
    pub event_id: EventId,
    pub epoch: Epoch,
    pub hold_id: HoldId,
    /// The hold as it is when it is sold.
    pub hold: HoldRecord,
    pub order_id: OrderId,
    pub payment_reference: PaymentReference,
    pub total: Money,
    pub tickets: Vec<SaleTicket>,
}

/// One ticket of a sale.
#[derive(Debug, Clone, Copy)]
pub struct SaleTicket {
    pub ticket_id: TicketId,
    pub place: Result<SeatIndex, AreaIndex>,
    pub price: Micros,
}

/// What became of a sale.
#[derive(Debug, Clone, Copy)]
pub enum SaleVerdict {
    /// Committed.
    Sold { create_time: OffsetDateTime, pay_time: OffsetDateTime, outbox_id: i64 },
    /// Nothing was changed: the hold had ended before, its outcome tells how; or it has
    /// another order; or this order is not for sale any more.
    Decided,
    /// Nothing was changed: the event is not in this epoch any more.
    Fenced,
}

/// The statement of [`Ledger::confirm`], with what the fence does where an event is
/// locked.
///
/// Its plan is kept by each session, from when the tables were small, perhaps: so what
/// it looks for in them it looks for row by row, where an index is the way at any size.
macro_rules! confirm {
    ($where_locked:literal) => {
        concat!(
            "-- confirm
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::int8[], $3::uuid[], $4::uuid[], $5::text[],
            $6::text[], $7::int8[], $8::text[], $9::text[], $10::int8[], $11::int8[],
            $12::int8[], $13::text[], $14::text[], $15::text[], $16::text[])
            WITH ORDINALITY AS a (event_id, epoch, hold_id, order_id, holder_id, currency,
                total, payment_reference, fingerprint, created_ms, expires_ms, seq, seats,
                areas, quantities, at_first, n)
    ), fence AS MATERIALIZED (
        SELECT event_id, epoch FROM events WHERE event_id = ANY($1)
        ORDER BY event_id FOR SHARE",
            $where_locked,
            "
    ), waiting AS MATERIALIZED (
        SELECT o.* FROM (SELECT order_id FROM asked ORDER BY order_id) a
            CROSS JOIN LATERAL (
                SELECT order_id, hold_id AS made_of, state = 'PENDING'
                    OR (state = 'CANCELLED' AND cancelled_by IS NULL) AS is_payable
                FROM orders WHERE order_id = a.order_id FOR UPDATE) o
    ), verdict AS (
        INSERT INTO hold_outcomes (hold_id, event_id, outcome, order_id)
        SELECT hold_id, event_id, 'confirmed', order_id
        FROM asked JOIN fence USING (event_id, epoch) LEFT JOIN waiting USING (order_id)
        WHERE is_payable IS NOT FALSE AND order_id = coalesce((
            SELECT o.order_id FROM orders o WHERE o.event_id = asked.event_id
                AND o.hold_id = asked.hold_id), order_id)
        ORDER BY n
        ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING order_id
    ), made AS (
        INSERT INTO orders (order_id, event_id, hold_id, holder_id, state, currency,
            total_micros, payment_reference, pay_time)
        SELECT order_id, event_id, hold_id, holder_id, 'PAID', currency, total,
            payment_reference, now()
        FROM asked JOIN verdict USING (order_id)
        WHERE order_id NOT IN (SELECT order_id FROM waiting) ORDER BY n
        RETURNING order_id, create_time
    ), paid AS (
        UPDATE orders SET state = 'PAID', hold_id = asked.hold_id, pay_time = now(),
            payment_reference = asked.payment_reference, cancel_time = NULL
        FROM asked JOIN verdict USING (order_id) JOIN waiting USING (order_id)
        WHERE orders.order_id = asked.order_id
        RETURNING orders.order_id, create_time, made_of
    ), former AS (
        INSERT INTO former_holds (event_id, hold_id, order_id)
        SELECT event_id, made_of, order_id FROM asked JOIN paid USING (order_id)
        WHERE made_of <> hold_id
    ), sale AS (
        SELECT order_id, create_time FROM made
        UNION ALL SELECT order_id, create_time FROM paid
    ), told AS (
        INSERT INTO order_events (kind, event_id, order_id)
        SELECT 'ORDER_PAID', event_id, order_id FROM asked JOIN sale USING (order_id)
        ORDER BY n
    ), issued AS (
        INSERT INTO tickets
            (ticket_id, order_id, event_id, seat_index, area_index, price_micros)
        SELECT ticket_id, order_id, event_id, seat_index, area_index, price
        FROM sale JOIN unnest($17::uuid[], $18::uuid[], $19::text[], $20::int[], $21::int[],
            $22::int8[]) WITH ORDINALITY
            AS t (order_id, ticket_id, event_id, seat_index, area_index, price, n)
            USING (order_id)
        ORDER BY n
    ), wanted AS (
        SELECT event_id, area_index, count(*)::int AS quantity
        FROM sale JOIN unnest($17::uuid[], $19::text[], $21::int[])
            AS t (order_id, event_id, area_index) USING (order_id)
        WHERE area_index IS NOT NULL GROUP BY event_id, area_index
    ), locked AS MATERIALIZED (
        SELECT event_id, area_index, quantity
        FROM wanted JOIN areas USING (event_id, area_index)
        ORDER BY event_id, area_index FOR NO KEY UPDATE OF areas
    ), counted AS (
        UPDATE areas SET sold = sold + locked.quantity FROM locked
        WHERE areas.event_id = locked.event_id AND areas.area_index = locked.area_index
    ), journaled AS (
        INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
            expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
            epoch, seq)
        SELECT hold_id, event_id, holder_id, fingerprint, to_timestamp(created_ms / 1e3),
            to_timestamp(expires_ms / 1e3), seats::int[], areas::int[], quantities::int[],
            at_first::int[], epoch, seq
        FROM asked JOIN sale USING (order_id)
        WHERE NOT EXISTS (
            SELECT FROM holds h WHERE h.event_id = asked.event_id
                AND h.hold_id = asked.hold_id AND (h.epoch, h.seq) >= (asked.epoch, asked.seq))
        ORDER BY n
        ON CONFLICT (event_id, hold_id) DO UPDATE SET expire_time = excluded.expire_time,
            seat_indexes = excluded.seat_indexes, area_indexes = excluded.area_indexes,
            area_quantities = excluded.area_quantities, area_at_first = excluded.area_at_first,
            epoch = excluded.epoch, seq = excluded.seq
        WHERE holds.fingerprint = excluded.fingerprint
            AND (holds.epoch, holds.seq) < (excluded.epoch, excluded.seq)
    ), noted AS (
        INSERT INTO outbox (kind, event_id, hold_id, lease_until)
        SELECT 'sold', event_id, hold_id, now() + $23 * interval '1 second'
        FROM asked JOIN sale USING (order_id)
        RETURNING event_id, hold_id, outbox_id
    )
    SELECT fence.epoch IS NOT NULL, create_time, now(), outbox_id
    FROM asked LEFT JOIN fence USING (event_id, epoch) LEFT JOIN sale USING (order_id)
        LEFT JOIN noted USING (event_id, hold_id)
    ORDER BY n"
        )
    };
}

/// The statement for a sale that is made alone; public for benchmarks that run the same
/// by another client. It waits for an event that is built anew.
pub const CONFIRM: &str = confirm!("");

/// For all that are asked for. What has to wait is left out: the others shall not wait
/// with it.
const CONFIRM_TOGETHER: &str = confirm!(" SKIP LOCKED");

type Sold = Result<SaleVerdict, Arc<Error>>;

/// Sales of one event that are asked for at the same time.
pub(super) type SaleBatcher = Batcher<EventId, Arc<Sale>, Sold>;

/// What waits of one event when a statement begins.
type EventSales = Arc<Claim<EventId, Arc<Sale>, Sold>>;

/// What becomes one statement: what waits of each of some events as it begins. So an
/// event that everybody wants has two places in the queue; and what has to wait does
/// so in a place of its event, not in one of all.
pub(super) fn batcher(pool: &Pool, group_pool: &Pool) -> Arc<SaleBatcher> {
    let of_all = Bounds {
        calls: STATEMENTS_AT_ONCE,
        asks: MAX_EVENTS_PER_STATEMENT,
        // Groups, of which each event has so few.
        waiting: usize::MAX,
        patience: POSTGRES_WAIT_TIMEOUT,
    };
    let (pool, group_pool) = (pool.clone(), group_pool.clone());
    let statements = Batcher::new(of_all, move |(), events: Vec<EventSales>| {
        let group_pool = group_pool.clone();
        async move {
            // Now, and no earlier: whoever has come meanwhile goes along.
            let groups: Vec<_> = events.iter().map(|event| event.take()).collect();
            let sold = sell_together(&group_pool, groups.iter().flatten().cloned().collect());
            let mut sold = sold.await.into_iter();
            let part = |sales: Vec<Arc<Sale>>| {
                let sold = sold.by_ref().take(sales.len()).collect::<Vec<_>>();
                (sales, sold)
            };
            groups.into_iter().map(part).collect()
        }
    });
    let of_one_event = Bounds {
        calls: SALES_AT_ONCE,
        asks: MAX_SALES_OF_AN_EVENT,
        waiting: MAX_SALES_WAITING,
        patience: POSTGRES_WAIT_TIMEOUT,
    };
    Batcher::later(of_one_event, move |_, sales: EventSales| {
        let (statements, pool) = (statements.clone(), pool.clone());
        async move {
            match statements.ask((), sales.clone()).await {
                Ok((sales, sold)) => sell_what_is_left(&pool, &sales, sold).await,
                Err(unanswered) => {
                    let error = Arc::new(Error::from(unanswered));
                    sales.take().iter().map(|_| Err(error.clone())).collect()
                }
            }
        }
    })
}

impl Ledger {
    /// Sells all or nothing. The outcome row is inserted before anything else:
    /// where another attempt has it under way, this one waits for its end. The
    /// hold is journaled, if it is not yet: Redis may be lost before the journal
    /// has heard of it, and its sale must be found by it.
    ///
    /// Sales that wait for others share a statement, and so a transaction; none of
    /// them fails with another.
    ///
    /// # Errors
    /// [`Error::Constraint`] where a seat or an area's last unit is sold
    /// already, or the payment paid for another hold; [`Error::Unknown`] and
    /// [`Error::GivenUp`] where it may have been committed: the same sale again
    /// tells.
    pub async fn confirm(&self, sale: Arc<Sale>) -> Sold {
        let asked = self.sale_batcher.ask(sale.event_id.clone(), sale).await;
        asked.map_err(|unanswered| Arc::new(Error::from(unanswered)))?
    }
}

/// Sells by one statement. `None` for what it left out, or for all where it failed: to
/// be made alone, so that none fails with another.
async fn sell_together(group_pool: &Pool, sales: Vec<Arc<Sale>>) -> Vec<Option<Sold>> {
    if sales.is_empty() {
        return Vec::new();
    }
    // Rows that two transactions may both want are written in one order.
    let count = sales.len();
    let mut sales: Vec<(usize, Arc<Sale>)> = sales.into_iter().enumerate().collect();
    sales.sort_by_key(|(_, sale)| sale.hold_id);
    // An order that is paid by two at once is sold by one; the other finds it sold.
    let mut orders = HashSet::new();
    sales.retain(|(_, sale)| orders.insert(sale.order_id));
    let (places, sales): (Vec<usize>, Vec<Arc<Sale>>) = sales.into_iter().unzip();
    let parameters = Parameters::new(&sales);
    let sold: Vec<Option<Sold>> =
        match one_query(group_pool, CONFIRM_TOGETHER, &parameters.all()).await {
            Ok(rows) => rows
                .iter()
                .map(|row| Some(verdict(row)).filter(|v| !matches!(v, SaleVerdict::Fenced)))
                .map(|verdict| verdict.map(Ok))
                .collect(),
            Err(error @ Error::Unknown(_)) => {
                let error = Arc::new(error);
                sales.iter().map(|_| Some(Err(error.clone()))).collect()
            }
            Err(error) => {
                tracing::debug!(%error, sales = sales.len(), "sales are made one by one");
                sales.iter().map(|_| None).collect()
            }
        };
    let mut told: Vec<Option<Sold>> = (0..count).map(|_| None).collect();
    for (place, verdict) in places.into_iter().zip(sold) {
        told[place] = verdict;
    }
    told
}

async fn sell_what_is_left(
    pool: &Pool,
    sales: &[Arc<Sale>],
    mut sold: Vec<Option<Sold>>,
) -> Vec<Sold> {
    let left: Vec<_> =
        sales.iter().cloned().enumerate().filter(|(i, _)| sold[*i].is_none()).collect();
    let mut alone = stream::iter(left)
        .map(|(i, sale)| async move { (i, sell_alone(pool, &sale).await) })
        .buffer_unordered(SALES_ALONE_AT_ONCE);
    while let Some((i, verdict)) = alone.next().await {
        sold[i] = Some(verdict);
    }
    drop(alone);
    sold.into_iter().flatten().collect()
}

async fn sell_alone(pool: &Pool, sale: &Arc<Sale>) -> Sold {
    let parameters = Parameters::new(std::slice::from_ref(sale));
    let rows = one_query(pool, CONFIRM, &parameters.all()).await.map_err(Arc::new)?;
    Ok(verdict(&rows[0]))
}

/// What the statement has to say of one sale.
fn verdict(row: &Row) -> SaleVerdict {
    let sold = row.get::<_, Option<_>>(1).zip(row.get::<_, Option<_>>(3));
    match (row.get(0), sold) {
        (_, Some((create_time, outbox_id))) => {
            SaleVerdict::Sold { create_time, pay_time: row.get(2), outbox_id }
        }
        (false, None) => SaleVerdict::Fenced,
        (true, None) => SaleVerdict::Decided,
    }
}

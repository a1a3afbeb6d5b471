//! The sale: one statement, one transaction; and where many wait, one transaction
//! for some of them.

use std::{collections::BTreeSet, sync::Arc};

use deadpool_postgres::{Object, Pool};
use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{to_i32, to_i64},
    session::{Params, one_query, one_tx, session},
};
use crate::batch::{Batcher, Bounds};
use crate::domain::{
    AreaHolding, AreaIndex, Epoch, EventId, HoldId, HoldRecord, Micros, Money, OrderId,
    PaymentReference, SeatIndex, TicketId,
};
use crate::limits::{
    MAX_SALES_PER_TRANSACTION, MAX_SALES_WAITING, OUTBOX_LEASE, POSTGRES_WAIT_TIMEOUT,
    SALES_AT_ONCE,
};

/// All that one sale writes. Seats first, then areas, each ascending, so that
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
    Sold { create_time: OffsetDateTime, outbox_id: i64 },
    /// Nothing was changed: the hold had ended before; its outcome tells how.
    Decided,
    /// Nothing was changed: the event is not in this epoch any more.
    Fenced,
}

/// The statement of [`Ledger::confirm`]; public for benchmarks that run the same
/// by another client.
pub const CONFIRM: &str = "-- confirm
    WITH fence AS MATERIALIZED (
        SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
    ), verdict AS (
        INSERT INTO hold_outcomes (hold_id, event_id, outcome, order_id)
        SELECT $3, $1, 'confirmed', $4 FROM fence
        ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING order_id
    ), sale AS (
        INSERT INTO orders (order_id, event_id, hold_id, holder_id, state, currency,
            total_micros, payment_reference, pay_time)
        SELECT order_id, $1, $3, $5, 'PAID', $6, $7, $8, now() FROM verdict
        RETURNING order_id, create_time
    ), issued AS (
        INSERT INTO tickets
            (ticket_id, order_id, event_id, seat_index, area_index, price_micros)
        SELECT ticket_id, order_id, $1, seat_index, area_index, price
        FROM sale, unnest($9::uuid[], $10::int[], $11::int[], $12::int8[])
            WITH ORDINALITY AS t (ticket_id, seat_index, area_index, price, n)
        ORDER BY n
    ), locked AS MATERIALIZED (
        SELECT area_index, t.quantity
        FROM sale, areas JOIN unnest($13::int[], $14::int[]) AS t (area_index, quantity)
            USING (area_index)
        WHERE event_id = $1 ORDER BY area_index FOR NO KEY UPDATE OF areas
    ), counted AS (
        UPDATE areas SET sold = sold + locked.quantity FROM locked
        WHERE areas.event_id = $1 AND areas.area_index = locked.area_index
    ), journaled AS (
        INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
            expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
            epoch, seq)
        SELECT $3, $1, $5, $16, to_timestamp($17::int8 / 1e3), to_timestamp($18::int8 / 1e3),
            array_remove($10::int[], NULL), $13, $14, $19::int[], $2, $20 FROM sale
        ON CONFLICT (event_id, hold_id) DO UPDATE SET expire_time = excluded.expire_time,
            seat_indexes = excluded.seat_indexes, area_indexes = excluded.area_indexes,
            area_quantities = excluded.area_quantities, epoch = excluded.epoch,
            seq = excluded.seq
        WHERE holds.fingerprint = excluded.fingerprint
            AND (holds.epoch, holds.seq) < (excluded.epoch, excluded.seq)
    ), noted AS (
        INSERT INTO outbox (kind, event_id, hold_id, lease_until)
        SELECT 'sold', $1, $3, now() + $15 * interval '1 second' FROM sale
        RETURNING outbox_id
    )
    SELECT (SELECT count(*) FROM fence), (SELECT create_time FROM sale),
        (SELECT outbox_id FROM noted)";

/// Takes what several sales of an event will change, in one order: two
/// transactions that take areas one by one could wait for each other.
const LOCK_AREAS: &str = "-- confirm: lock_areas
    WITH fence AS MATERIALIZED (SELECT FROM events WHERE event_id = $1 FOR SHARE)
    SELECT FROM fence, areas WHERE event_id = $1 AND area_index = ANY($2)
    ORDER BY area_index FOR NO KEY UPDATE OF areas";

/// Sales of one event that are asked for at the same time.
pub(super) type SaleBatcher = Batcher<EventId, Arc<Sale>, Result<SaleVerdict, Arc<Error>>>;

pub(super) fn batcher(pool: &Pool) -> Arc<SaleBatcher> {
    let pool = pool.clone();
    let bounds = Bounds {
        calls: SALES_AT_ONCE,
        asks: MAX_SALES_PER_TRANSACTION,
        waiting: MAX_SALES_WAITING,
        patience: POSTGRES_WAIT_TIMEOUT,
    };
    Batcher::new(bounds, move |_, sales: Vec<Arc<Sale>>| {
        let pool = pool.clone();
        async move {
            match &sales[..] {
                [sale] => vec![sell(&pool, sale).await.map_err(Arc::new)],
                _ => sell_together(&pool, sales).await,
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
    /// Sales of one event that wait for others share a transaction; none of them
    /// fails with another.
    ///
    /// # Errors
    /// [`Error::Constraint`] where a seat or an area's last unit is sold
    /// already, or the payment paid for another hold; [`Error::Unknown`] and
    /// [`Error::GivenUp`] where it may have been committed: the same sale again
    /// tells.
    pub async fn confirm(&self, sale: Arc<Sale>) -> Result<SaleVerdict, Arc<Error>> {
        let asked = self.sale_batcher.ask(sale.event_id.clone(), sale).await;
        asked.map_err(|unanswered| Arc::new(Error::from(unanswered)))?
    }
}

async fn sell(pool: &Pool, sale: &Sale) -> Result<SaleVerdict, Error> {
    let columns = Columns::new(sale);
    Ok(verdict(&one_query(pool, CONFIRM, &columns.params(sale)).await?))
}

/// Sells in one transaction; where that fails, each in one of its own, so that
/// none fails with another.
async fn sell_together(pool: &Pool, sales: Vec<Arc<Sale>>) -> Vec<Result<SaleVerdict, Arc<Error>>> {
    // Rows that two transactions may both want are written in one order.
    let mut sales: Vec<(usize, Arc<Sale>)> = sales.into_iter().enumerate().collect();
    sales.sort_by_key(|(_, sale)| sale.hold_id);
    let (places, sales): (Vec<usize>, Vec<Arc<Sale>>) = sales.into_iter().unzip();
    let verdicts = match session(pool).await {
        Err(error) => Err(error),
        Ok(session) => match in_one_transaction(session, &sales).await {
            Err(error) if !matches!(error, Error::Unknown(_)) => {
                tracing::debug!(%error, sales = sales.len(), "sales are made one by one");
                let alone = join_all(sales.iter().map(|sale| sell(pool, sale))).await;
                Ok(alone.into_iter().map(|sold| sold.map_err(Arc::new)).collect())
            }
            verdicts => verdicts.map(|verdicts| verdicts.into_iter().map(Ok).collect()),
        },
    };
    let verdicts: Vec<_> = verdicts.unwrap_or_else(|error| {
        let error = Arc::new(error);
        sales.iter().map(|_| Err(error.clone())).collect()
    });
    let mut told: Vec<_> = places.into_iter().zip(verdicts).collect();
    told.sort_by_key(|(place, _)| *place);
    told.into_iter().map(|(_, verdict)| verdict).collect()
}

async fn in_one_transaction(
    session: Object,
    sales: &[Arc<Sale>],
) -> Result<Vec<SaleVerdict>, Error> {
    let event_id = sales[0].event_id.as_str();
    let areas: BTreeSet<i32> = sales
        .iter()
        .flat_map(|sale| sale.hold.areas.iter().map(|part| to_i32(part.area.0)))
        .collect();
    let areas: Vec<i32> = areas.into_iter().collect();
    let columns: Vec<Columns> = sales.iter().map(|sale| Columns::new(sale)).collect();
    let params: Vec<_> =
        columns.iter().zip(sales).map(|(columns, sale)| columns.params(sale)).collect();
    let lock: Params<'_> = &[&event_id, &areas];
    let mut statements = vec![(LOCK_AREAS, lock)];
    if areas.is_empty() {
        statements.clear();
    }
    let locks = statements.len();
    statements.extend(params.iter().map(|params| (CONFIRM, &params[..])));
    let answers = one_tx(session, &statements).await?;
    Ok(answers[locks..].iter().map(|rows| verdict(rows)).collect())
}

/// What the statement has to say of one sale.
fn verdict(rows: &[Row]) -> SaleVerdict {
    let row = &rows[0];
    let sold = row.get::<_, Option<_>>(1).zip(row.get::<_, Option<_>>(2));
    match (row.get::<_, i64>(0), sold) {
        (_, Some((create_time, outbox_id))) => SaleVerdict::Sold { create_time, outbox_id },
        (0, None) => SaleVerdict::Fenced,
        (_, None) => SaleVerdict::Decided,
    }
}

/// What the statement's parameters borrow from.
struct Columns<'a> {
    event_id: &'a str,
    epoch: i64,
    holder_id: &'a str,
    currency: String,
    payment_reference: &'a str,
    ticket_ids: Vec<Uuid>,
    seats: Vec<Option<i32>>,
    areas: Vec<Option<i32>>,
    prices: Vec<Micros>,
    held_areas: Vec<i32>,
    quantities: Vec<i32>,
    at_first: Vec<i32>,
    lease: f64,
    seq: i64,
}

impl<'a> Columns<'a> {
    fn new(sale: &'a Sale) -> Self {
        let (tickets, hold) = (&sale.tickets, &sale.hold);
        let of_areas = |of: fn(&AreaHolding) -> u32| -> Vec<i32> {
            hold.areas.iter().map(|part| to_i32(of(part))).collect()
        };
        Self {
            event_id: sale.event_id.as_str(),
            epoch: to_i64(sale.epoch.0),
            holder_id: hold.holder_id.as_str(),
            currency: sale.total.currency.to_string(),
            payment_reference: sale.payment_reference.as_str(),
            ticket_ids: tickets.iter().map(|ticket| ticket.ticket_id.0).collect(),
            seats: tickets.iter().map(|t| t.place.ok().map(|seat| to_i32(seat.0))).collect(),
            areas: tickets.iter().map(|t| t.place.err().map(|area| to_i32(area.0))).collect(),
            prices: tickets.iter().map(|ticket| ticket.price).collect(),
            held_areas: of_areas(|part| part.area.0),
            quantities: of_areas(|part| part.quantity),
            at_first: of_areas(|part| part.at_first),
            lease: OUTBOX_LEASE.as_secs_f64(),
            seq: to_i64(hold.seq),
        }
    }

    fn params(&'a self, sale: &'a Sale) -> [&'a (dyn ToSql + Sync); 20] {
        [
            &self.event_id,
            &self.epoch,
            &sale.hold_id.0,
            &sale.order_id.0,
            &self.holder_id,
            &self.currency,
            &sale.total.micros,
            &self.payment_reference,
            &self.ticket_ids,
            &self.seats,
            &self.areas,
            &self.prices,
            &self.held_areas,
            &self.quantities,
            &self.lease,
            &sale.hold.fingerprint,
            &sale.hold.created_ms,
            &sale.hold.expires_ms,
            &self.at_first,
            &self.seq,
        ]
    }
}

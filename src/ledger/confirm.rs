//! The sale: one statement, one transaction; where many wait, one for some of them.

mod parameters;
mod statement;

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
use crate::telemetry::{self, Trace};
use parameters::Parameters;
pub use statement::CONFIRM_NEW;
use statement::{CONFIRM, CONFIRM_NEW_TOGETHER, CONFIRM_TOGETHER};

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
    /// Whether the order is there already, and waits for this payment.
    pub order_waits: bool,
    pub payment_reference: PaymentReference,
    pub total: Money,
    pub tickets: Vec<SaleTicket>,
    /// For whom it is made.
    pub trace: Trace,
}

impl Sale {
    /// Whether the smaller of the statements sells it.
    fn is_plain(&self) -> bool {
        !self.order_waits && self.hold.areas.is_empty()
    }
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
        let span = telemetry::wait("confirm");
        let asked = self.sale_batcher.ask(sale.event_id.clone(), sale).await;
        drop(span);
        let sold = asked.map_err(|unanswered| Arc::new(Error::from(unanswered)))?;
        if matches!(sold, Ok(SaleVerdict::Sold { .. })) {
            telemetry::holds_ended("confirmed", 1);
        }
        sold
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
    let traces = sales.iter().map(|sale| sale.trace);
    let work = sell(group_pool, &sales, CONFIRM_NEW_TOGETHER, CONFIRM_TOGETHER);
    let sold: Vec<Option<Sold>> = match telemetry::together("confirm", traces, work).await {
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
    let sales = std::slice::from_ref(sale);
    let work = sale.trace.around(sell(pool, sales, CONFIRM_NEW, CONFIRM));
    let rows = work.await.map_err(Arc::new)?;
    Ok(verdict(&rows[0]))
}

/// Sells by `of_new_orders`, if that can sell all of them.
async fn sell(
    pool: &Pool,
    sales: &[Arc<Sale>],
    of_new_orders: &str,
    of_any: &str,
) -> Result<Vec<Row>, Error> {
    let parameters = Parameters::new(sales);
    if sales.iter().all(|sale| sale.is_plain()) {
        one_query(pool, of_new_orders, &parameters.of_new_orders()).await
    } else {
        one_query(pool, of_any, &parameters.of_any()).await
    }
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

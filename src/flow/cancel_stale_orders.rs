//! Orders whose time is up: paid after all, or cancelled, their places on sale again.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    Error, Flows,
    ask_providers::{Word, is_long_ago},
};
use crate::{
    domain::{Ended, EventId, Outcome, PaymentState, Unsold},
    failpoint::failpoint,
    ledger::StaleOrder,
    limits::{
        MAX_EPOCH_ATTEMPTS, PROVIDER_CALLS_AT_ONCE, STALE_ORDERS_ASKED_AT_ONCE,
        STALE_ORDERS_ASKED_FOR, STALE_ORDERS_AT_ONCE,
    },
};

impl Flows {
    /// Sees to orders whose time is up; answers how many it cancelled.
    ///
    /// # Errors
    /// The first trouble with some; the others were seen to all the same.
    pub async fn cancel_stale_orders(self: &Arc<Self>) -> Result<usize, Error> {
        let (unasked, asked) = (self.cancel_unpayable().await, self.cancel_payable().await);
        Ok(unasked? + asked?)
    }

    /// Those that nobody can have paid without our knowing.
    async fn cancel_unpayable(self: &Arc<Self>) -> Result<usize, Error> {
        let (mut cancelled, mut done) = (0, Ok(()));
        loop {
            // Each order is one server's for a while.
            let claimed = self.ledger.claim_stale_orders(false, STALE_ORDERS_AT_ONCE).await?;
            let full = i64::try_from(claimed.len()).is_ok_and(|n| n >= STALE_ORDERS_AT_ONCE);
            failpoint!("stale:claimed");
            let mut by_event: HashMap<EventId, Vec<StaleOrder>> = HashMap::new();
            for order in claimed {
                by_event.entry(order.event_id.clone()).or_default().push(order);
            }
            for (event_id, orders) in by_event {
                match self.cancel_stale(&event_id, &orders).await {
                    Ok(count) => cancelled += count,
                    Err(error) => done = done.and(Err(error)),
                }
            }
            if !full {
                return done.map(|()| cancelled);
            }
        }
    }

    /// Those whose provider may have money that it has not told us of: each is seen to
    /// as soon as the answer is there. Where there is none, the order waits for a
    /// later run.
    async fn cancel_payable(self: &Arc<Self>) -> Result<usize, Error> {
        let (begun, mut cancelled, mut done) = (Instant::now(), 0, Ok(()));
        loop {
            let claimed = self.ledger.claim_stale_orders(true, STALE_ORDERS_ASKED_AT_ONCE).await?;
            let full = i64::try_from(claimed.len()).is_ok_and(|n| n >= STALE_ORDERS_ASKED_AT_ONCE);
            let mut seen_to = stream::iter(claimed)
                .map(async |order| match self.is_unpaid(&order).await? {
                    true => self.cancel_stale(&order.event_id, std::slice::from_ref(&order)).await,
                    false => Ok(0),
                })
                .buffer_unordered(PROVIDER_CALLS_AT_ONCE);
            while let Some(seen_to) = seen_to.next().await {
                match seen_to {
                    Ok(count) => cancelled += count,
                    Err(error) => done = done.and(Err(error)),
                }
            }
            if !full || begun.elapsed() > STALE_ORDERS_ASKED_FOR {
                return done.map(|()| cancelled);
            }
        }
    }

    /// Whether no provider has money for an order, as far as they can tell by now.
    async fn is_unpaid(self: &Arc<Self>, order: &StaleOrder) -> Result<bool, Error> {
        let payments = self.ledger.payments_of_order(order.order_id).await?;
        let mut is_unpaid = true;
        for payment in payments {
            is_unpaid &= match payment.state {
                PaymentState::Begun => match self.ask_provider(&payment).await? {
                    Word::Paid => false,
                    // Who still pays is late.
                    Word::Unpaid => true,
                    Word::None => is_long_ago(order.price_expire_time),
                },
                PaymentState::Failed => true,
                // Its settling is under way.
                PaymentState::Paid => payment.settlement.is_some(),
            };
        }
        Ok(is_unpaid)
    }

    async fn cancel_stale(
        self: &Arc<Self>,
        event_id: &EventId,
        orders: &[StaleOrder],
    ) -> Result<usize, Error> {
        let hold_ids: Vec<_> = orders.iter().map(|order| order.hold_id).collect();
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            // The outcome first: a payment that is under way is either before it, and
            // its order is paid, or after it, and is late.
            let event = self.event(event_id).await?;
            let expired = Unsold::Expired;
            let settled = self.ledger.settle(event_id, event.epoch, &hold_ids, expired).await?;
            let Some(settled) = settled else {
                self.event_anew(event_id).await?;
                continue;
            };
            failpoint!("stale:settled");
            // Redis frees what is left of them. Where it is not told, the holds run out
            // there, and the sweep finds them ended.
            if !self.finish(event_id, event.epoch, &settled.ended).await? {
                tracing::debug!(%event_id, "Redis is told by whoever builds the event anew");
            }
            let sold = |ended: &&Ended| matches!(ended.outcome, Outcome::Confirmed(_));
            let sold: Vec<_> = settled.ended.iter().filter(sold).map(|e| e.hold_id).collect();
            let unsold = orders.iter().filter(|order| !sold.contains(&order.hold_id));
            let unsold: Vec<_> = unsold.map(|order| order.order_id).collect();
            let count = self.ledger.cancel_stale_orders(&unsold).await?;
            self.order_events_written();
            return Ok(count);
        }
        Err(Error::unsettled())
    }
}

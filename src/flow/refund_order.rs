//! RefundOrder: tickets void, their places on sale again, their money given back.

use std::sync::Arc;

use uuid::Uuid;

use super::{Error, Flows};
use crate::{
    domain::{Epoch, EventId, HoldId, Order, OrderState, Refund, RefundRequest},
    failpoint::failpoint,
    holds::{Reply, ReturnArgs},
    ledger::Refunded,
    limits::MAX_EPOCH_ATTEMPTS,
};

impl Flows {
    /// Notes the refund, or finds it noted by the same request before; answers the
    /// order and the refund as they are then. The provider is asked by a job.
    pub async fn refund_order(
        self: &Arc<Self>,
        request: RefundRequest,
    ) -> Result<(Order, Refund), Error> {
        let _span = crate::telemetry::flow("refund_order");
        let order = self.order(request.order_id).await?;
        // 1. Which payment the money goes back to must be known before.
        for payment in self.ledger.payments_of_order(order.order_id).await? {
            Box::pin(self.settle_payment(&payment)).await?;
        }
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            // 2. Redis knows of the sale before it hears that the places came back.
            let epoch = self.tell_of_sale(&order).await.map_err(|error| error.after(attempt))?;
            // 3. One transaction: tickets, money, who wanted it and why.
            let refunded = self.ledger.refund_order(&order, epoch, &request).await;
            match refunded.map_err(|error| Error::from(error).after(attempt))? {
                Refunded::Fenced => {
                    self.event_anew(&order.event_id).await?;
                }
                Refunded::Noted { returned } => {
                    self.order_events_written();
                    failpoint!("refund:noted");
                    // 4. Redis, and with it everybody who watches. What fails here, the
                    //    outbox repeats.
                    if let Some((outbox_id, return_id)) = returned {
                        let told = self.return_places(&order.event_id, epoch, return_id).await;
                        if told.is_ok_and(|told| told) {
                            self.mark_later(&[outbox_id]);
                        }
                    }
                    return self.refunded(&request).await.map_err(Error::after_a_change);
                }
            }
        }
        Err(Error::unsettled())
    }

    async fn refunded(&self, request: &RefundRequest) -> Result<(Order, Refund), Error> {
        let order = self.order(request.order_id).await?;
        let refund = self.ledger.find_refund(request.refund_id).await?;
        Ok((order, refund.ok_or_else(|| Error::internal("a refund has gone"))?))
    }

    /// Tells Redis how the order was sold, if it was; answers the epoch in which Redis
    /// knows it.
    async fn tell_of_sale(self: &Arc<Self>, order: &Order) -> Result<Epoch, Error> {
        let event_id = &order.event_id;
        let ended = match order.state {
            OrderState::Paid => self.ledger.find_outcome(event_id, order.hold_id).await?,
            _ => None,
        };
        let ended: Vec<_> = ended.into_iter().collect();
        let (event, _) =
            self.on_event(event_id, |epoch| self.holds.finish(event_id, epoch, &ended)).await?;
        Ok(event.epoch)
    }

    /// Tells Redis of places that came back in `epoch`; answers whether it knows. A
    /// later epoch was built from what Postgres had after that.
    pub(super) async fn return_places(
        self: &Arc<Self>,
        event_id: &EventId,
        epoch: Epoch,
        return_id: Uuid,
    ) -> Result<bool, Error> {
        let returned = self.ledger.find_returned(return_id).await?;
        let args = ReturnArgs {
            return_id: HoldId(return_id),
            hold_id: returned.hold_id,
            holder: returned.holder_id,
            seats: returned.seats,
            areas: returned.areas.iter().map(|units| (units.area, units.quantity)).collect(),
        };
        match self.holds.return_places(event_id, epoch, &args).await? {
            Reply::Done(_) => Ok(true),
            Reply::Epoch(now) if now > epoch => Ok(true),
            behind => {
                self.load_in_background(event_id, behind.epoch());
                Ok(false)
            }
        }
    }
}

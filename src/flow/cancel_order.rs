//! CancelOrder: ends an order that is not paid, and its hold.

use std::sync::Arc;

use super::{Error, Flows, ReleaseRequest};
use crate::{
    domain::{Order, OrderId, OrderState, Refusal},
    failpoint::failpoint,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct CancelOrderRequest {
    pub order_id: OrderId,
    pub actor: String,
    pub reason: String,
}

impl Flows {
    /// Cancels; answers the order as it is then.
    pub async fn cancel_order(
        self: &Arc<Self>,
        request: CancelOrderRequest,
    ) -> Result<Order, Error> {
        let _span = crate::telemetry::flow("cancel_order");
        let order_id = request.order_id;
        let order = self.order(order_id).await?;
        if order.state == OrderState::Cancelled && order.cancelled_by.is_some() {
            return Ok(order);
        }
        if !order.is_payable() {
            return Err(Refusal::OrderState { order_id, state: order.state }.into());
        }
        // 1. Its places go back on sale. A Confirm that comes between is either before
        //    it, and the order is paid, or after it, and is told so.
        let released = self.release(ReleaseRequest {
            event_id: order.event_id,
            hold_id: order.hold_id,
            holder_id: order.holder_id,
            seat_ids: Vec::new(),
            areas: Vec::new(),
        });
        match Box::pin(released).await {
            Ok(_)
            | Err(Error::Refused(
                Refusal::HoldExpired(_)
                | Refusal::HoldLost(_)
                | Refusal::HoldNotFound(_)
                | Refusal::HoldConfirmed { .. },
            )) => {}
            Err(error) => return Err(error),
        }
        failpoint!("cancel:released");
        // 2. The order, unless it was paid meanwhile.
        let (actor, reason) = (&request.actor, &request.reason);
        let cancelled = self.ledger.cancel_order(order_id, actor, reason).await;
        cancelled.map_err(|error| Error::from(error).after_a_change())?;
        self.order_events_written();
        let order = self.order(order_id).await.map_err(Error::after_a_change)?;
        match order.state {
            OrderState::Cancelled => Ok(order),
            state => Err(Refusal::OrderState { order_id, state }.into()),
        }
    }
}

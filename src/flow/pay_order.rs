//! What a payment comes to: its order's sale, in time or late, or money to give back.
//!
//! Never two owners, never silence: the hold's outcome decides whether the order is
//! sold, and an order that is to be given back is never sold afterwards.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{ChannelKeys, ConfirmRequest, Error, Flows, HoldRequest, Right, confirm::Sold};
use crate::{
    domain::{
        AreaId, HoldId, LatePayment, Money, Order, OrderId, Outcome, Payment, PaymentId,
        PaymentReference, PaymentState, Place, Refusal, SeatId,
    },
    failpoint::failpoint,
    ledger::Unsellable,
    limits::{LATE_HOLD_TTL, MAX_EPOCH_ATTEMPTS},
};

/// Money that has arrived.
#[derive(Debug, Clone)]
pub(super) struct Paying {
    /// `None` where Confirm tells of it.
    pub payment_id: Option<PaymentId>,
    pub reference: PaymentReference,
    pub amount: Money,
}

impl Flows {
    /// Sees to a payment that the provider has; again does no harm.
    pub(super) async fn settle_payment(self: &Arc<Self>, payment: &Payment) -> Result<(), Error> {
        if payment.state != PaymentState::Paid || payment.settlement.is_some() {
            return Ok(());
        }
        let order = self.order(payment.order_id).await?;
        let reference = payment.reference().map_err(Error::internal)?;
        let paying =
            Paying { payment_id: Some(payment.payment_id), reference, amount: payment.amount };
        self.pay_order(order, &paying).await?;
        failpoint!("payment:settled");
        // Where it came to a refund, that is noted already.
        Ok(self.ledger.settle_by_order(payment.payment_id).await?)
    }

    /// Sells an order that is paid, or notes that the money is to be given back;
    /// answers the order as it is then.
    pub(super) async fn pay_order(
        self: &Arc<Self>,
        mut order: Order,
        paying: &Paying,
    ) -> Result<Order, Error> {
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            if order.payment_reference.as_ref() == Some(&paying.reference) {
                return Ok(order);
            }
            if !order.is_payable() {
                break;
            }
            // 1. In time: the hold that the order was made of is sold.
            let order_id = order.order_id;
            let sold = match self.sell_order(&order, order.hold_id, paying).await? {
                Sold::Order(order) => return Ok(order),
                Sold::Ended(Outcome::Confirmed(_)) => None,
                Sold::Ended(_) => Some(()),
            };
            // 2. Late: its places are taken again, all of them or none, and that hold
            //    is sold at once.
            if sold.is_some() {
                let late_hold_id = late_hold_id(order_id);
                if !self.hold_again(&order, late_hold_id).await? {
                    // Another attempt of this payment may have had them before.
                    order = self.order(order_id).await?;
                    if order.payment_reference.as_ref() == Some(&paying.reference) {
                        return Ok(order);
                    }
                    break;
                }
                failpoint!("payment:held_again");
                match self.sell_order(&order, late_hold_id, paying).await? {
                    Sold::Order(order) => return Ok(order),
                    Sold::Ended(Outcome::Confirmed(_)) => {}
                    Sold::Ended(_) => break,
                }
            }
            order = self.order(order_id).await?;
        }
        // 3. In vain: from here on the order is not for sale, and the money is due.
        let order_id = order.order_id;
        let unsellable = Unsellable {
            order_id,
            payment_id: paying.payment_id,
            payment_reference: paying.reference.clone(),
            amount: paying.amount,
        };
        let waited = self.ledger.settle_by_refund(&unsellable).await;
        let waited = waited.map_err(|error| match error.constraint() {
            Some("orders_payment_reference_key") => {
                Refusal::PaymentReferenceUsed(paying.reference.clone()).into()
            }
            _ => Error::from(error),
        })?;
        self.order_events_written();
        failpoint!("payment:due");
        tracing::warn!(%order_id, waited, "a payment is to be given back");
        self.order(order_id).await
    }

    async fn sell_order(
        self: &Arc<Self>,
        order: &Order,
        hold_id: HoldId,
        paying: &Paying,
    ) -> Result<Sold, Error> {
        let request = ConfirmRequest {
            event_id: order.event_id.clone(),
            hold_id,
            holder_id: order.holder_id.clone(),
            payment_reference: paying.reference.clone(),
            order: Some(Arc::new(order.clone())),
        };
        // Boxed, as all here that is far from the way of a hold.
        match Box::pin(self.sell_hold(request)).await {
            // It never was, as far as anybody knows any more: it cannot be sold.
            Err(Error::Refused(Refusal::HoldNotFound(_))) => Ok(Sold::Ended(Outcome::Lost)),
            result => result,
        }
    }

    /// Takes an order's places again where its event wants that; answers whether it has
    /// all of them.
    async fn hold_again(
        self: &Arc<Self>,
        order: &Order,
        late_hold_id: HoldId,
    ) -> Result<bool, Error> {
        let stored = self.ledger.find_event(&order.event_id).await?;
        let event = stored.ok_or_else(|| Error::internal("an order's event has gone"))?.event;
        if event.late_payment == LatePayment::Refund {
            return Ok(false);
        }
        let (mut seat_ids, mut areas): (Vec<SeatId>, Vec<(AreaId, u32)>) = Default::default();
        for item in order.checkout.iter().flat_map(|checkout| &checkout.items) {
            match &item.place {
                Place::Seat(seat_id) => seat_ids.push(seat_id.clone()),
                Place::Area(area_id) => areas.push((area_id.clone(), item.quantity)),
            }
        }
        let ttl = LATE_HOLD_TTL.min(event.max_hold_time);
        let held = self.hold(HoldRequest {
            event_id: order.event_id.clone(),
            holder_id: order.holder_id.clone(),
            hold_id: late_hold_id,
            seat_ids,
            areas,
            best_available: None,
            ttl_ms: Some(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            keys: ChannelKeys::default(),
            admission_token: String::new(),
            right: Right::Order,
        });
        match Box::pin(held).await {
            Ok(_) => Ok(true),
            Err(Error::Refused(refusal)) => {
                let order_id = order.order_id;
                tracing::info!(%order_id, %refusal, "places cannot be taken again");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn order(&self, order_id: OrderId) -> Result<Order, Error> {
        let order = self.ledger.find_order(order_id).await?;
        Ok(order.ok_or(Refusal::OrderNotFound(order_id))?)
    }
}

/// The hold by which a payment that comes late takes the places again: the same for
/// the same order, so that two who see to it at once do not take them from each
/// other. A UUIDv8 of the SHA-256 of the order's id (RFC 9562, 5.8).
fn late_hold_id(order_id: OrderId) -> HoldId {
    let digest = Sha256::digest(format!("late payment of {order_id}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    HoldId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

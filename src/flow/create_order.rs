//! CreateOrder: an order that waits for its payment, made of an active hold.

use std::{net::IpAddr, sync::Arc};

use time::OffsetDateTime;

use super::{Error, Flows, ended::ended_by, hold::standing};
use crate::{
    domain::{
        Buyer, Epoch, Event, EventId, Hold, HoldId, HoldState, HolderId, Money, Order, OrderId,
        OrderState, Outcome, PaymentId, PaymentState, Refusal,
    },
    failpoint::failpoint,
    holds::{OrderHoldArgs, OrderHoldReply},
    ledger::{NewOrder, OrderLine},
    limits::MAX_EPOCH_ATTEMPTS,
    payments::{Charge, MANUAL, Provider},
};

/// What a caller asks for.
#[derive(Debug)]
pub struct CreateOrderRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    /// `manual`, where empty.
    pub payment_provider: String,
    pub buyer: Option<Buyer>,
    pub return_url: Option<String>,
    /// Of the buyer's browser.
    pub client_ip: Option<IpAddr>,
}

/// An order, and where to pay it.
#[derive(Debug)]
pub struct OrderToPay {
    pub order: Order,
    /// `None` where nobody pays by browser, or nothing is to be paid any more.
    pub payment_url: Option<String>,
    pub hold_expire_time: OffsetDateTime,
}

impl Flows {
    /// Makes the order of a hold, or answers the one that was made before.
    pub async fn create_order(
        self: &Arc<Self>,
        mut request: CreateOrderRequest,
    ) -> Result<OrderToPay, Error> {
        let _span = crate::telemetry::flow("create_order");
        if request.payment_provider.is_empty() {
            MANUAL.clone_into(&mut request.payment_provider);
        }
        let CreateOrderRequest { event_id, hold_id, .. } = &request;
        let provider = self.providers.get(&request.payment_provider).ok_or_else(|| {
            let names: Vec<_> = self.providers.names().collect();
            Refusal::field("payment_provider", format!("must be one of {}", names.join(", ")))
        })?;
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            // 1. A hold has one order.
            if let Some(order) = self.ledger.find_order_of_hold(event_id, *hold_id).await? {
                return self.order_again(&request, order).await;
            }
            let stored = self.ledger.find_event(event_id).await?;
            let event = stored.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?.event;
            let hold = self.living_hold(&request).await?;
            let order = self.order_of(&request, &event, &hold, &*provider).await?;
            // 2. The hold stays as it is from here on, and lives as long as the order may
            //    be paid, if its event lets it. That is forgotten with the epoch.
            let Some((order, hold)) = self.order_hold(order).await? else { continue };
            failpoint!("order:extended");
            // 3. The order, at the prices of now, in the same epoch. A hold that ends
            //    meanwhile does no harm: its payment is late then.
            let made = self.ledger.create_order(&order).await;
            if made.map_err(|error| Error::from(error).after_a_change())? {
                self.order_events_written();
                failpoint!("order:made");
                let order = self.ledger.find_order(order.order_id).await;
                let order = order.map_err(|error| Error::from(error).after_a_change())?;
                let order = order.ok_or_else(|| Error::internal("an order has gone"))?;
                return self.to_pay(&request, order, hold.expire_time).await;
            }
        }
        Err(Error::unsettled().after_a_change())
    }

    /// The holder's hold, if it can still be sold.
    async fn living_hold(self: &Arc<Self>, request: &CreateOrderRequest) -> Result<Hold, Error> {
        let hold_id = request.hold_id;
        let hold = self.get_hold(&request.event_id, hold_id).await?;
        if hold.holder_id != request.holder_id {
            return Err(Refusal::HoldNotFound(hold_id).into());
        }
        let outcome = match (hold.state, hold.order_id) {
            (HoldState::Active, _) => return Ok(hold),
            (HoldState::Confirmed, Some(order_id)) => Outcome::Confirmed(order_id),
            (HoldState::Confirming | HoldState::Confirmed, _) => {
                return Err(Refusal::HoldConfirming(hold_id).into());
            }
            (HoldState::Released, _) => Outcome::Released,
            (HoldState::Expired, _) => Outcome::Expired,
            (HoldState::Lost, _) => Outcome::Lost,
        };
        Err(ended_by(hold_id, outcome).into())
    }

    /// The order that is to be made of a hold.
    async fn order_of(
        &self,
        request: &CreateOrderRequest,
        event: &Event,
        hold: &Hold,
        provider: &dyn Provider,
    ) -> Result<NewOrder, Error> {
        let items = self.items(&event.event_id, &hold.seat_ids, &hold.areas).await?;
        let chart = self.event(&event.event_id).await?.chart.clone();
        let unpriced = || Error::internal("a hold names seats that no chart has");
        let seats = items.seats.iter().map(|&seat| {
            Some(OrderLine { place: Ok(seat), quantity: 1, price: chart.seat_price(seat)?.micros })
        });
        let areas = items.areas.iter().map(|units| {
            let price = chart.area_price(units.area)?.micros;
            Some(OrderLine { place: Err(units.area), quantity: units.quantity, price })
        });
        let lines = seats.chain(areas).collect::<Option<Vec<_>>>().ok_or_else(unpriced)?;
        let micros = lines.iter().map(|line| line.price * i64::from(line.quantity)).sum();
        let total = Money { currency: chart.currency().ok_or_else(unpriced)?, micros };
        if let Some(why) = provider.refuses(total) {
            let provider = request.payment_provider.clone();
            return Err(Refusal::PaymentNotTaken { provider, why }.into());
        }
        Ok(NewOrder {
            order_id: OrderId::new_v7(),
            event_id: event.event_id.clone(),
            // Until the hold is asked.
            epoch: Epoch::default(),
            hold_id: hold.hold_id,
            holder_id: hold.holder_id.clone(),
            total,
            lines,
            payment_provider: request.payment_provider.clone(),
            payment_window: event.payment_window,
            buyer: request.buyer.clone(),
            return_url: request.return_url.clone(),
            payment_id: provider.has_page().then(PaymentId::new_v7),
        })
    }

    /// The order as it is to be made, and the hold that stays so; `None` where the hold is
    /// of something else by now, or is to be asked for again.
    async fn order_hold(
        self: &Arc<Self>,
        order: NewOrder,
    ) -> Result<Option<(NewOrder, Hold)>, Error> {
        let (event_id, hold_id) = (&order.event_id, order.hold_id);
        let mut args = OrderHoldArgs {
            hold_id,
            holder: order.holder_id.clone(),
            order: order.order_id,
            window_ms: u64::try_from(order.payment_window.as_millis()).unwrap_or(u64::MAX),
            seats: Vec::new(),
            areas: Vec::new(),
        };
        for line in &order.lines {
            match line.place {
                Ok(seat) => args.seats.push(seat),
                Err(area) => args.areas.push((area, line.quantity)),
            }
        }
        let (event, reply) =
            self.on_event(event_id, |epoch| self.holds.order_hold(event_id, epoch, &args)).await?;
        let record = match reply {
            OrderHoldReply::Ordered(record) => record,
            OrderHoldReply::Changed | OrderHoldReply::Missing => return Ok(None),
            OrderHoldReply::Standing(record) => return Err(standing(hold_id, &record).into()),
        };
        // One that did not come to its end may have named its order before.
        let order_id = record.order_id.unwrap_or(order.order_id);
        let journaled = self.journal_first(&event, hold_id, record).await;
        match journaled.map_err(Error::after_a_change)? {
            None => Ok(None),
            Some(record) if record.state == HoldState::Active => {
                let hold = self.hold_of(&event, hold_id, &record).await?;
                Ok(Some((NewOrder { order_id, epoch: event.epoch, ..order }, hold)))
            }
            Some(record) => Err(standing(hold_id, &record).into()),
        }
    }

    /// For a hold that has its order.
    async fn order_again(
        self: &Arc<Self>,
        request: &CreateOrderRequest,
        order: Order,
    ) -> Result<OrderToPay, Error> {
        let hold_id = request.hold_id;
        if order.holder_id != request.holder_id {
            return Err(Refusal::HoldNotFound(hold_id).into());
        }
        let Some(checkout) = &order.checkout else {
            return Err(Refusal::HoldConfirmed { hold_id, order_id: order.order_id }.into());
        };
        match order.state {
            OrderState::Pending | OrderState::Paid => {}
            state => return Err(Refusal::OrderState { order_id: order.order_id, state }.into()),
        }
        if checkout.payment_provider != request.payment_provider {
            let was = format!("must be {}, as the order was made", checkout.payment_provider);
            return Err(Refusal::field("payment_provider", was).into());
        }
        let hold = self.get_hold(&order.event_id, order.hold_id).await?;
        self.to_pay(request, order, hold.expire_time).await
    }

    /// An order with where to pay it: another attempt where the last one has failed.
    async fn to_pay(
        &self,
        request: &CreateOrderRequest,
        order: Order,
        hold_expire_time: OffsetDateTime,
    ) -> Result<OrderToPay, Error> {
        let unpayable = OrderToPay { order, payment_url: None, hold_expire_time };
        let Some(checkout) = &unpayable.order.checkout else { return Ok(unpayable) };
        let provider = self.providers.get(&checkout.payment_provider);
        let provider = provider.filter(|provider| provider.has_page());
        let (Some(provider), OrderState::Pending) = (provider, unpayable.order.state) else {
            return Ok(unpayable);
        };
        let order_id = unpayable.order.order_id;
        let mut payments = self.ledger.payments_of_order(order_id).await?;
        if payments.iter().all(|payment| payment.state == PaymentState::Failed) {
            self.ledger.begin_payment(order_id, PaymentId::new_v7()).await?;
            payments = self.ledger.payments_of_order(order_id).await?;
        }
        let open = payments.iter().find(|payment| payment.state == PaymentState::Begun);
        let payment_url = open.and_then(|payment| {
            provider.payment_url(&Charge {
                payment,
                expire_time: checkout.price_expire_time,
                client_ip: request.client_ip,
                language: checkout.buyer.as_ref().map_or("", |buyer| &buyer.language),
            })
        });
        Ok(OrderToPay { payment_url, ..unpayable })
    }
}

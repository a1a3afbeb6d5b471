//! Confirm: sells every item of a hold in one Postgres transaction, or none.

use std::sync::Arc;

use super::{
    Error, Flows, draw_up::places, ended::ended_by, event::LoadedEvent, pay_order::Paying,
};
use crate::{
    domain::{
        Ended, EventId, HoldId, HoldRecord, HoldState, HolderId, Order, OrderId, Outcome,
        PaymentReference, Refusal, Unsold,
    },
    failpoint::failpoint,
    holds::ConfirmReply,
    ledger::{self, Sale, SaleTicket, SaleVerdict},
    limits::{MAX_CONFIRM_ATTEMPTS, MAX_EPOCH_ATTEMPTS},
};

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct ConfirmRequest {
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    pub payment_reference: PaymentReference,
    /// The order that is paid so; where `None`, the sale makes one, unless the hold has
    /// one that waits.
    pub order: Option<Arc<Order>>,
}

/// What selling a hold came to.
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
pub(super) enum Sold {
    /// By this call.
    Order(Order),
    /// It had ended so before.
    Ended(Outcome),
}

/// What one attempt in one epoch came to.
enum Attempt {
    /// The hold has ended so.
    Ended(Outcome),
    /// Sold by this attempt.
    Sold(Order),
    /// This order waits for it.
    Ordered(Order),
    /// The event has moved to another epoch: fence again.
    Fenced,
}

impl Flows {
    /// Sells the hold, or answers the order that sold it before.
    pub async fn confirm(self: &Arc<Self>, request: ConfirmRequest) -> Result<Order, Error> {
        let _span = crate::telemetry::flow("confirm");
        let by_us = request.payment_reference.as_str().split_once(':').map_or("", |(by, _)| by);
        if self.providers.get(by_us).is_some_and(|provider| provider.has_page()) {
            let why = "must not begin as what a payment provider tells";
            return Err(Refusal::field("payment_reference", why).into());
        }
        match self.sell_hold(request.clone()).await {
            Ok(Sold::Order(order)) => Ok(order),
            Ok(Sold::Ended(Outcome::Confirmed(order_id))) => {
                self.confirmed_before(&request, order_id).await
            }
            Ok(Sold::Ended(outcome)) => {
                let refusal = ended_by(request.hold_id, outcome);
                Box::pin(self.confirm_late(&request, refusal)).await
            }
            Err(Error::Refused(refusal @ Refusal::HoldNotFound(_))) => {
                Box::pin(self.confirm_late(&request, refusal)).await
            }
            Err(error) => Err(error),
        }
    }

    /// For a hold that cannot be sold any more: where it has an order, whoever confirms
    /// says that the order was paid, if late.
    async fn confirm_late(
        self: &Arc<Self>,
        request: &ConfirmRequest,
        refusal: Refusal,
    ) -> Result<Order, Error> {
        let found = self.ledger.find_order_of_hold(&request.event_id, request.hold_id).await?;
        let reference = &request.payment_reference;
        let is_paid_so = |order: &Order| order.payment_reference.as_ref() == Some(reference);
        let found = found.filter(|order| order.holder_id == request.holder_id);
        let Some(order) = found.filter(|order| order.is_payable() || is_paid_so(order)) else {
            return Err(refusal.into());
        };
        let (payment_id, amount) = (None, order.total);
        let paying = Paying { payment_id, reference: reference.clone(), amount };
        let paid = Box::pin(self.pay_order(order, &paying));
        let order = paid.await.map_err(Error::after_a_change)?;
        if is_paid_so(&order) { Ok(order) } else { Err(refusal.into()) }
    }

    /// Sells a hold under `request.order`, or under the order that it has, or a new one.
    pub(super) async fn sell_hold(
        self: &Arc<Self>,
        mut request: ConfirmRequest,
    ) -> Result<Sold, Error> {
        for attempt in 0..MAX_EPOCH_ATTEMPTS {
            let attempted = self.confirm_in_epoch(&request).await;
            match attempted.map_err(|error| error.after(attempt))? {
                Attempt::Sold(order) => return Ok(Sold::Order(order)),
                Attempt::Ended(outcome) => return Ok(Sold::Ended(outcome)),
                Attempt::Ordered(order) => request.order = Some(Arc::new(order)),
                // Its sale may have been made: an answer of it may be lost.
                Attempt::Fenced => {
                    let anew = self.event_anew(&request.event_id).await;
                    anew.map_err(Error::after_a_change)?;
                }
            }
        }
        Err(Error::unsettled().after_a_change())
    }

    async fn confirm_in_epoch(
        self: &Arc<Self>,
        request: &ConfirmRequest,
    ) -> Result<Attempt, Error> {
        let ConfirmRequest { event_id, hold_id, holder_id, .. } = request;
        // 1. Fence the hold in Redis: from here on it neither expires nor is
        //    released, so nobody else is promised its seats while we sell them.
        let (event, reply) = self
            .on_event(event_id, |epoch| self.holds.confirm(event_id, epoch, *hold_id, holder_id))
            .await?;
        match reply {
            ConfirmReply::Fenced(record) => {
                self.sell_fenced(&event, request, record).await.map_err(Error::after_a_change)
            }
            not_fenced => self.why_not(&event, request, not_fenced).await,
        }
    }

    async fn sell_fenced(
        &self,
        event: &LoadedEvent,
        request: &ConfirmRequest,
        record: HoldRecord,
    ) -> Result<Attempt, Error> {
        let ConfirmRequest { event_id, hold_id, .. } = request;
        failpoint!("confirm:fenced");
        // 2. Sell it in Postgres. The ids are made once, so that an attempt whose
        //    answer was lost is made again as the same attempt.
        let Some(order) = self.draw_up(event, request, &record).await? else {
            // A part of what its order is for was released: it cannot pay for that.
            let outcome = self.end_hold(event, *hold_id, Unsold::Released).await?;
            return Ok(outcome.map_or(Attempt::Fenced, Attempt::Ended));
        };
        let tickets = order.tickets.iter().zip(places(&record));
        let tickets = tickets.map(|(ticket, place)| SaleTicket {
            ticket_id: ticket.ticket_id,
            place,
            price: ticket.price.micros,
        });
        let sale = Arc::new(Sale {
            event_id: event_id.clone(),
            epoch: event.epoch,
            hold_id: *hold_id,
            order_id: order.order_id,
            order_waits: request.order.is_some(),
            payment_reference: request.payment_reference.clone(),
            total: order.total,
            tickets: tickets.collect(),
            hold: record,
            trace: crate::telemetry::Trace::here(),
        });
        let verdict = match self.sell(&sale).await {
            Ok(verdict) => verdict,
            Err(error) => match &*error {
                ledger::Error::Constraint { constraint, .. } => {
                    return self.forbidden(event, request, constraint).await;
                }
                #[cfg(feature = "mutant-unfence-after-unknown")]
                ledger::Error::Unknown(_) => return self.unfence(event, *hold_id).await,
                _ => return Err(error.into()),
            },
        };
        let (create_time, pay_time, outbox_id) = match verdict {
            SaleVerdict::Sold { create_time, pay_time, outbox_id } => {
                (create_time, pay_time, outbox_id)
            }
            SaleVerdict::Fenced => return Ok(Attempt::Fenced),
            SaleVerdict::Decided => return self.decided(event, request).await,
        };
        failpoint!("confirm:sold");
        // 3. Tell Redis, and with it everybody who watches. The sale is durable
        //    already: what fails here, the outbox repeats.
        let outcome = Outcome::Confirmed(order.order_id);
        let (seats, units) = (sale.hold.seats.clone(), sale.hold.units());
        let ended = Ended { hold_id: *hold_id, outcome, seats, units };
        let told = self.finish(event_id, event.epoch, &[ended]).await;
        failpoint!("confirm:finished");
        if told.is_ok_and(|told| told) {
            self.mark_later(&[outbox_id]);
        }
        Ok(Attempt::Sold(Order { create_time, pay_time: Some(pay_time), ..order }))
    }

    /// One sale, and the same one again where its answer was lost.
    async fn sell(&self, sale: &Arc<Sale>) -> Result<SaleVerdict, Arc<ledger::Error>> {
        use ledger::Error::{GivenUp, Race, Unknown};
        let mut attempt = 1;
        loop {
            let error = match self.ledger.confirm(sale.clone()).await {
                Err(error) if attempt < MAX_CONFIRM_ATTEMPTS => error,
                result => {
                    self.order_events_written();
                    return result;
                }
            };
            let is_worth_it = matches!(&*error, Unknown(_) | GivenUp | Race(_));
            if !is_worth_it || cfg!(feature = "mutant-unfence-after-unknown") {
                return Err(error);
            }
            tracing::warn!(hold_id = %sale.hold_id, attempt, %error, "sale is tried again");
            attempt += 1;
        }
    }

    /// Frees a hold because no outcome is to be seen: the sale whose answer was
    /// lost may still be committed.
    #[cfg(feature = "mutant-unfence-after-unknown")]
    async fn unfence(&self, event: &LoadedEvent, hold_id: HoldId) -> Result<Attempt, Error> {
        let ended = self.ledger.find_outcome(&event.event_id, hold_id).await?;
        let freed = Ended { hold_id, outcome: Outcome::Lost, seats: Vec::new(), units: 0 };
        let ended = ended.unwrap_or(freed);
        let outcome = ended.outcome;
        self.finish(&event.event_id, event.epoch, &[ended]).await?;
        Ok(Attempt::Ended(outcome))
    }

    /// The hold had ended before this attempt: by another one, by the sweep, or
    /// by this very sale, whose answer was lost.
    async fn decided(
        &self,
        event: &LoadedEvent,
        request: &ConfirmRequest,
    ) -> Result<Attempt, Error> {
        let hold_id = request.hold_id;
        let ended = self.ledger.find_outcome(&event.event_id, hold_id).await?;
        let Some(ended) = ended else { return self.ordered(event, request).await };
        let outcome = ended.outcome;
        failpoint!("confirm:decided");
        self.finish(&event.event_id, event.epoch, &[ended]).await?;
        Ok(Attempt::Ended(outcome))
    }

    /// Redis says no; Postgres has the last word.
    async fn why_not(
        &self,
        event: &LoadedEvent,
        request: &ConfirmRequest,
        reply: ConfirmReply,
    ) -> Result<Attempt, Error> {
        let hold_id = request.hold_id;
        let record = match reply {
            ConfirmReply::Fenced(_) => unreachable!("told apart by the caller"),
            ConfirmReply::Standing(record) => record,
            // Its seats are gone from Redis, perhaps to others: it is over.
            ConfirmReply::Torn(record) => HoldRecord { state: HoldState::Lost, ..record },
            ConfirmReply::Missing => {
                let ended = self.end_missing_hold(event, hold_id, Some(&request.holder_id)).await?;
                return Ok(ended.map_or(Attempt::Fenced, |(_, outcome)| Attempt::Ended(outcome)));
            }
        };
        let outcome = match record.state {
            HoldState::Active | HoldState::Confirming => unreachable!("such a hold is fenced"),
            HoldState::Confirmed | HoldState::Released => {
                self.ledger.find_outcome(&event.event_id, hold_id).await?.map(|ended| ended.outcome)
            }
            HoldState::Expired => self.end_hold(event, hold_id, Unsold::Expired).await?,
            HoldState::Lost => self.end_hold(event, hold_id, Unsold::Lost).await?,
        };
        Ok(outcome.map_or(Attempt::Fenced, Attempt::Ended))
    }

    /// A constraint of Postgres' stands against the sale.
    async fn forbidden(
        &self,
        event: &LoadedEvent,
        request: &ConfirmRequest,
        constraint: &str,
    ) -> Result<Attempt, Error> {
        match constraint {
            // The hold stays fenced: the caller may come with another payment,
            // and until it runs out nobody else can have the seats.
            "orders_payment_reference_key" => {
                Err(Refusal::PaymentReferenceUsed(request.payment_reference.clone()).into())
            }
            // CreateOrder made one meanwhile.
            "orders_hold_id_key" => self.ordered(event, request).await,
            // Somebody owns what Redis promised to this hold.
            "tickets_seat_key" | "areas_sold_within_capacity" => {
                tracing::warn!(hold_id = %request.hold_id, constraint, "hold cannot be sold");
                let outcome = self.end_hold(event, request.hold_id, Unsold::Lost).await?;
                Ok(outcome.map_or(Attempt::Fenced, Attempt::Ended))
            }
            other => Err(Error::internal(format!("constraint {other} forbids a sale"))),
        }
    }

    /// The hold has an order that this attempt did not know of; or the order that the
    /// attempt would pay is not for sale any more.
    async fn ordered(
        &self,
        event: &LoadedEvent,
        request: &ConfirmRequest,
    ) -> Result<Attempt, Error> {
        let hold_id = request.hold_id;
        if request.order.is_some() {
            // Whoever pays an order pays no other.
            let outcome = self.end_hold(event, hold_id, Unsold::Released).await?;
            return Ok(outcome.map_or(Attempt::Fenced, Attempt::Ended));
        }
        let order = self.ledger.find_order_of_hold(&request.event_id, hold_id).await?;
        order.map(Attempt::Ordered).ok_or_else(|| Error::internal("an outcome row has gone"))
    }

    /// The order that sold the hold, for whoever paid it by the same payment.
    async fn confirmed_before(
        &self,
        request: &ConfirmRequest,
        order_id: OrderId,
    ) -> Result<Order, Error> {
        let hold_id = request.hold_id;
        let order = self.ledger.find_order(order_id).await?;
        let order = order.ok_or_else(|| Error::internal("an outcome names no order"))?;
        if order.holder_id != request.holder_id || order.event_id != request.event_id {
            return Err(Refusal::HoldNotFound(hold_id).into());
        }
        if order.payment_reference.as_ref() != Some(&request.payment_reference) {
            return Err(Refusal::HoldConfirmed { hold_id, order_id }.into());
        }
        Ok(order)
    }
}

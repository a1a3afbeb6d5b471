//! Deliveries: e-mail to buyers, and calls of webhooks, until they are taken.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep};

use super::{Error, Flows};
use crate::{
    domain::{
        Letter, LetterKind, Money, Order, OrderEvent, OrderEventKind, OrderState, Place, Ticket,
        Undelivered, Webhook,
    },
    ledger::Delivery,
    limits::{DELIVERY_BACKOFF, DELIVERY_LEASE, MAX_DELIVERY_ATTEMPTS},
    telemetry,
};

impl Flows {
    /// Begins what is due and what there is room for; does not wait for its end.
    pub async fn deliver(self: &Arc<Self>) -> Result<(), Error> {
        // 1. Each target has room of its own: one that hangs keeps none of the others
        //    waiting. Whoever ends a try claims anew.
        let claiming = self.couriers.claiming.lock().await;
        // 2. What is claimed is this server's for a lease, which is longer than any try;
        //    should the server end, another one has it after that.
        let room = self.couriers.room_for_mails();
        if self.couriers.mail.is_some() && room > 0 {
            for delivery in self.ledger.claim_mails(room).await? {
                self.begin(delivery);
            }
        }
        for delivery in self.ledger.claim_calls(&self.couriers.rooms_for_calls()).await? {
            self.begin(delivery);
        }
        drop(claiming);
        Ok(())
    }

    /// Tries a delivery, outside of any transaction, and notes how it went.
    fn begin(self: &Arc<Self>, delivery: Delivery) {
        let (flows, trip) = (self.clone(), self.trip(delivery.target()));
        let work = async move {
            let tried = match delivery.attempt > MAX_DELIVERY_ATTEMPTS {
                // Each try so far ended with its server.
                true => Err(Undelivered::for_good("no try came to an end")),
                false => AssertUnwindSafe(flows.try_delivery(&delivery))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| Err(Undelivered::for_now("a fault of the server's"))),
            };
            flows.note_delivery(&delivery, tried).await;
            drop(trip);
        };
        self.couriers.tasks.spawn(telemetry::in_job("delivery", work));
    }

    async fn try_delivery(self: &Arc<Self>, delivery: &Delivery) -> Result<(), Undelivered> {
        let event = &delivery.event;
        match (&delivery.webhook, event.order_id, &self.couriers.mail) {
            (Some(webhook), ..) => self.call(webhook, event).await,
            (None, Some(_), Some(mail)) => match self.letter(event).await? {
                Some(letter) => mail.send(&letter).await,
                None => Ok(()),
            },
            (None, ..) => Err(Undelivered::for_good("there is nobody to write to")),
        }
    }

    /// Notes how a try went. Where Postgres is away, for a while again and again: a mail
    /// that was sent and is not noted is sent twice.
    async fn note_delivery(&self, delivery: &Delivery, tried: Result<(), Undelivered>) {
        let (target, patience) = (delivery.target(), Instant::now() + DELIVERY_LEASE / 3);
        self.couriers.note(target, tried.as_ref().is_err_and(|failure| !failure.is_final));
        loop {
            let session = self.couriers.sessions.acquire().await;
            let noted = match &tried {
                Ok(()) => self.ledger.finish_delivery(delivery).await.map(|()| "done"),
                Err(failure) => {
                    let is_dead = self.ledger.fail_delivery(delivery, failure).await;
                    is_dead.map(|is_dead| if is_dead { "dead" } else { "failed" })
                }
            };
            drop(session);
            match noted {
                Ok(result) => {
                    telemetry::delivery(target.kind(), result);
                    if let (Err(failure), sequence) = (&tried, delivery.event.sequence) {
                        let (target, attempt) = (target.kind(), delivery.attempt);
                        let why = &failure.why;
                        tracing::info!(target, sequence, attempt, result, why, "not delivered");
                    }
                    return;
                }
                Err(error) if Instant::now() < patience => {
                    tracing::debug!(%error, "a delivery is not noted yet");
                    sleep(DELIVERY_BACKOFF).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a delivery is not noted; it is made again");
                    return;
                }
            }
        }
    }

    /// What the buyer is written now; `None` where it is not true any more.
    async fn letter(self: &Arc<Self>, told: &OrderEvent) -> Result<Option<Letter>, Undelivered> {
        let Some(order) = self.order_told(told).await? else { return Ok(None) };
        let (kind, holds) = match told.kind {
            OrderEventKind::OrderPaid => (LetterKind::Tickets, !order.tickets.is_empty()),
            OrderEventKind::OrderCancelled => {
                (LetterKind::Cancelled, order.state == OrderState::Cancelled)
            }
            OrderEventKind::OrderRefunded => (LetterKind::Refunded, true),
            _ => return Ok(None),
        };
        if !holds {
            return Ok(None);
        }
        let mut key = format!("{}.{}", order.order_id, told.kind.as_str().to_ascii_lowercase());
        // An order can be refunded in parts.
        if kind == LetterKind::Refunded {
            key = format!("{key}.{}", told.sequence);
        }
        let _session = self.couriers.sessions.acquire().await.map_err(for_now)?;
        let event = self.ledger.find_event(&told.event_id).await.map_err(for_now)?;
        let event = event.ok_or_else(|| Undelivered::for_good("the event is not there"))?.event;
        let seating = self.ledger.find_seating(order.order_id).await.map_err(for_now)?;
        Ok(Some(Letter { kind, key, order, event, seating }))
    }

    async fn call(&self, webhook: &Webhook, told: &OrderEvent) -> Result<(), Undelivered> {
        let order = self.order_told(told).await?;
        let body = body(told, order.as_ref()).to_string();
        self.couriers.caller.call(webhook, &message_id(told), body).await
    }

    async fn order_told(&self, told: &OrderEvent) -> Result<Option<Order>, Undelivered> {
        match told.order_id {
            Some(order_id) => {
                let _session = self.couriers.sessions.acquire().await.map_err(for_now)?;
                self.ledger.find_order(order_id).await.map_err(for_now)
            }
            None => Ok(None),
        }
    }
}

/// What tells an order event from all others, by whatever way it comes.
pub fn message_id(event: &OrderEvent) -> String {
    format!("evt_{}", event.order_event_id)
}

fn for_now(error: impl std::fmt::Display) -> Undelivered {
    Undelivered::for_now(error.to_string())
}

/// The body of a webhook's call: what has happened, and the order as it is now.
fn body(event: &OrderEvent, order: Option<&Order>) -> Value {
    let mut body = json!({
        "sequence": event.sequence,
        "kind": event.kind.as_str(),
        "event_id": event.event_id.as_str(),
        "time": event.create_time.format(&Rfc3339).unwrap_or_default(),
    });
    match order {
        None => {
            let hold_ids: Vec<String> = event.hold_ids.iter().map(ToString::to_string).collect();
            body["hold_ids"] = hold_ids.into();
        }
        Some(order) => {
            body["order"] = json!({
                "order_id": order.order_id.to_string(),
                "hold_id": order.hold_id.to_string(),
                "holder_id": order.holder_id.as_str(),
                "state": order.state.as_str(),
                "total": money(order.total),
                "refunded": money(Money { micros: order.refunded_micros, ..order.total }),
                "tickets": order.tickets.iter().map(ticket).collect::<Vec<_>>(),
            });
        }
    }
    body
}

/// As google.type.Money is in JSON: 64-bit numbers are texts.
fn money(money: Money) -> Value {
    let (units, nanos) = money.units_and_nanos();
    json!({"currency_code": money.currency.to_string(), "units": units.to_string(), "nanos": nanos})
}

fn ticket(ticket: &Ticket) -> Value {
    let mut value =
        json!({"ticket_id": ticket.ticket_id.to_string(), "price": money(ticket.price)});
    match &ticket.place {
        Place::Seat(seat_id) => value["seat_id"] = seat_id.as_str().into(),
        Place::Area(area_id) => value["area_id"] = area_id.as_str().into(),
    }
    value
}

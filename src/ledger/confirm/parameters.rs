//! What the statements of sales are given.

use std::sync::Arc;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Sale;
use crate::{
    domain::Micros,
    ledger::columns::{to_i32, to_i64},
    limits::OUTBOX_LEASE,
};

/// The statements' parameters: of each sale, then of each ticket.
#[derive(Default)]
pub(super) struct Parameters<'a> {
    event_ids: Vec<&'a str>,
    epochs: Vec<i64>,
    hold_ids: Vec<Uuid>,
    order_ids: Vec<Uuid>,
    holder_ids: Vec<&'a str>,
    currencies: Vec<String>,
    totals: Vec<Micros>,
    payment_references: Vec<&'a str>,
    fingerprints: Vec<&'a str>,
    created_ms: Vec<i64>,
    expires_ms: Vec<i64>,
    seqs: Vec<i64>,
    /// Arrays, as text: Postgres has no arrays of arrays.
    seats: Vec<String>,
    areas: Vec<String>,
    quantities: Vec<String>,
    at_first: Vec<String>,
    ticket_orders: Vec<Uuid>,
    ticket_ids: Vec<Uuid>,
    ticket_events: Vec<&'a str>,
    ticket_seats: Vec<Option<i32>>,
    ticket_areas: Vec<Option<i32>>,
    prices: Vec<Micros>,
    lease: f64,
}

impl<'a> Parameters<'a> {
    pub fn new(sales: &'a [Arc<Sale>]) -> Self {
        let mut parameters = Self { lease: OUTBOX_LEASE.as_secs_f64(), ..Self::default() };
        for sale in sales {
            parameters.add(sale);
        }
        parameters
    }

    fn add(&mut self, sale: &'a Sale) {
        let hold = &sale.hold;
        self.event_ids.push(sale.event_id.as_str());
        self.epochs.push(to_i64(sale.epoch.0));
        self.hold_ids.push(sale.hold_id.0);
        self.order_ids.push(sale.order_id.0);
        self.holder_ids.push(hold.holder_id.as_str());
        self.currencies.push(sale.total.currency.to_string());
        self.totals.push(sale.total.micros);
        self.payment_references.push(sale.payment_reference.as_str());
        self.fingerprints.push(&hold.fingerprint);
        self.created_ms.push(hold.created_ms);
        self.expires_ms.push(hold.expires_ms);
        self.seqs.push(to_i64(hold.seq));
        self.seats.push(array(hold.seats.iter().map(|seat| seat.0)));
        self.areas.push(array(hold.areas.iter().map(|part| part.area.0)));
        self.quantities.push(array(hold.areas.iter().map(|part| part.quantity)));
        self.at_first.push(array(hold.areas.iter().map(|part| part.at_first)));
        for ticket in &sale.tickets {
            self.ticket_orders.push(sale.order_id.0);
            self.ticket_ids.push(ticket.ticket_id.0);
            self.ticket_events.push(sale.event_id.as_str());
            self.ticket_seats.push(ticket.place.ok().map(|seat| to_i32(seat.0)));
            self.ticket_areas.push(ticket.place.err().map(|area| to_i32(area.0)));
            self.prices.push(ticket.price);
        }
    }

    /// In the order of the statement of any sales.
    pub fn of_any(&self) -> [&(dyn ToSql + Sync); 23] {
        [
            &self.event_ids,
            &self.epochs,
            &self.hold_ids,
            &self.order_ids,
            &self.holder_ids,
            &self.currencies,
            &self.totals,
            &self.payment_references,
            &self.fingerprints,
            &self.created_ms,
            &self.expires_ms,
            &self.seqs,
            &self.seats,
            &self.areas,
            &self.quantities,
            &self.at_first,
            &self.ticket_orders,
            &self.ticket_ids,
            &self.ticket_events,
            &self.ticket_seats,
            &self.ticket_areas,
            &self.prices,
            &self.lease,
        ]
    }

    /// In the order of the statement of sales that make their orders, of seats alone.
    pub fn of_new_orders(&self) -> [&(dyn ToSql + Sync); 18] {
        [
            &self.event_ids,
            &self.epochs,
            &self.hold_ids,
            &self.order_ids,
            &self.holder_ids,
            &self.currencies,
            &self.totals,
            &self.payment_references,
            &self.fingerprints,
            &self.created_ms,
            &self.expires_ms,
            &self.seqs,
            &self.seats,
            &self.ticket_orders,
            &self.ticket_ids,
            &self.ticket_seats,
            &self.prices,
            &self.lease,
        ]
    }
}

/// An array of numbers as Postgres writes it.
fn array(numbers: impl Iterator<Item = u32>) -> String {
    format!("{{{}}}", numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(","))
}

//! An order, from its making to its tickets.

use std::fmt;

use time::OffsetDateTime;

use super::{
    AreaId, EventId, HoldId, HolderId, Micros, Money, OrderId, PaymentReference, SeatId, TicketId,
};

/// What an order is at.
///
/// Pending goes to Paid, Cancelled or `RefundDue`; Cancelled, where only its time was
/// up, to Paid or `RefundDue`; Paid to `RefundDue`, and that to Refunded. Nothing leaves
/// Refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    Pending,
    Paid,
    Cancelled,
    RefundDue,
    Refunded,
}

impl OrderState {
    /// Its name in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Cancelled => "CANCELLED",
            Self::RefundDue => "REFUND_DUE",
            Self::Refunded => "REFUNDED",
        }
    }

    /// From its name in Postgres.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Paid, Self::Cancelled, Self::RefundDue, Self::Refunded]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A sale, or what may become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub order_id: OrderId,
    pub event_id: EventId,
    /// The hold it came from; after a late payment, the one that took its places again.
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    /// Those that are valid.
    pub tickets: Vec<Ticket>,
    pub void_tickets: Vec<Ticket>,
    pub state: OrderState,
    pub total: Money,
    /// Once it is paid.
    pub payment_reference: Option<PaymentReference>,
    pub create_time: OffsetDateTime,
    pub pay_time: Option<OffsetDateTime>,
    /// What `CreateOrder` made of it; `None` for what Confirm alone sold.
    pub checkout: Option<Checkout>,
    pub cancel_time: Option<OffsetDateTime>,
    /// Somebody asked for its end: a payment that still comes is given back.
    pub cancelled_by: Option<String>,
    /// Given back, or to be given back.
    pub refunded_micros: Micros,
}

impl Order {
    /// Whether a payment still makes it a sale.
    pub fn is_payable(&self) -> bool {
        match self.state {
            OrderState::Pending => true,
            OrderState::Cancelled => self.cancelled_by.is_none(),
            OrderState::Paid | OrderState::RefundDue | OrderState::Refunded => false,
        }
    }

    /// This order, paid by a sale that was drawn up of a hold: its own id and prices.
    /// `None` where the hold does not have what the order is for.
    pub fn paid_with(&self, sale: Self) -> Option<Self> {
        let items = &self.checkout.as_ref()?.items;
        let places = items
            .iter()
            .flat_map(|item| (0..item.quantity).map(move |_| (&item.place, item.price)));
        let mut tickets = sale.tickets;
        if places.clone().count() != tickets.len() {
            return None;
        }
        for (ticket, (place, price)) in tickets.iter_mut().zip(places) {
            if ticket.place != *place {
                return None;
            }
            ticket.price = price;
        }
        Some(Self {
            tickets,
            hold_id: sale.hold_id,
            state: OrderState::Paid,
            payment_reference: sale.payment_reference,
            cancel_time: None,
            ..self.clone()
        })
    }
}

/// What an order has that waits, or waited, for its payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    pub items: Vec<OrderItem>,
    pub payment_provider: String,
    pub price_expire_time: OffsetDateTime,
    pub buyer: Option<Buyer>,
    pub return_url: Option<String>,
}

/// A seat, or units of an area, at the price of when the order was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub place: Place,
    pub quantity: u32,
    /// Of one unit.
    pub price: Money,
}

/// Who buys. What is personal stays out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Buyer {
    pub name: String,
    /// Nowhere to send the tickets to where it is empty.
    pub email: String,
    /// A BCP 47 tag, such as `vi` or `vi-VN`.
    pub language: String,
}

impl fmt::Debug for Buyer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buyer").field("language", &self.language).finish_non_exhaustive()
    }
}

/// The right to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub ticket_id: TicketId,
    pub place: Place,
    /// When it was sold.
    pub price: Money,
}

/// A seat, or one unit of an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Seat(SeatId),
    Area(AreaId),
}

/// Orders in which something is looked for; both `None` is all of them.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    pub holder_id: Option<HolderId>,
    pub event_id: Option<EventId>,
    /// Any, where empty.
    pub states: Vec<OrderState>,
    /// Only those made before this one.
    pub before: Option<OrderId>,
}

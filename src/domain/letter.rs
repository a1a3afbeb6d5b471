//! What a buyer is written.

use super::{Event, Order, TicketId};

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterKind {
    /// The order is paid, and these are its tickets.
    Tickets,
    /// The order has ended without a payment.
    Cancelled,
    /// Money was given back.
    Refunded,
}

/// Where a ticket's place is in the house, in the words of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seating {
    Seat { seat_id: String, row_id: String, section: String },
    Area { name: String },
}

/// All that a letter says.
#[derive(Debug, Clone)]
pub struct Letter {
    pub kind: LetterKind,
    /// The same for every try to send it, and for no other letter.
    pub key: String,
    pub order: Order,
    pub event: Event,
    pub seating: Vec<(TicketId, Seating)>,
}

//! A sale and its tickets.

use time::OffsetDateTime;

use super::{
    AreaId, EventId, HoldId, HolderId, Money, OrderId, PaymentReference, SeatId, TicketId,
};

/// What an order is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    Pending,
    Paid,
    Cancelled,
    RefundDue,
    Refunded,
}

/// A sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub order_id: OrderId,
    pub event_id: EventId,
    pub hold_id: HoldId,
    pub holder_id: HolderId,
    pub tickets: Vec<Ticket>,
    pub state: OrderState,
    pub total: Money,
    pub payment_reference: PaymentReference,
    pub create_time: OffsetDateTime,
    pub pay_time: Option<OffsetDateTime>,
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

//! Orders and their tickets.

use tokio_postgres::Row;

use super::{Error, Ledger, columns::parse};
use crate::domain::{HoldId, Money, Order, OrderId, OrderState, Place, Ticket, TicketId};

impl Ledger {
    /// An order with its tickets: seats in the order of their numbers, then
    /// area units.
    pub async fn find_order(&self, order_id: OrderId) -> Result<Option<Order>, Error> {
        const ORDER: &str = "-- find_order
            SELECT event_id, hold_id, holder_id, state, currency, total_micros,
                payment_reference, create_time, pay_time
            FROM orders WHERE order_id = $1";
        const TICKETS: &str = "-- find_order: tickets
            SELECT ticket_id, seat_id, area_id, price_micros
            FROM tickets
                LEFT JOIN seats USING (event_id, seat_index)
                LEFT JOIN areas USING (event_id, area_index)
            WHERE order_id = $1 ORDER BY seat_index NULLS LAST, area_index, ticket_id";
        let Some(order) = self.query_opt(ORDER, &[&order_id.0]).await? else { return Ok(None) };
        let currency = parse(order.get(4))?;
        let tickets = self.query(TICKETS, &[&order_id.0]).await?;
        let tickets = tickets.iter().map(|row| {
            Ok(Ticket {
                ticket_id: TicketId(row.get(0)),
                place: place_from_row(row)?,
                price: Money { currency, micros: row.get(3) },
            })
        });
        Ok(Some(Order {
            order_id,
            event_id: parse(order.get(0))?,
            hold_id: HoldId(order.get(1)),
            holder_id: parse(order.get(2))?,
            tickets: tickets.collect::<Result<_, Error>>()?,
            state: state_from_name(order.get(3))?,
            total: Money { currency, micros: order.get(5) },
            payment_reference: parse(order.get(6))?,
            create_time: order.get(7),
            pay_time: order.get(8),
        }))
    }
}

fn place_from_row(row: &Row) -> Result<Place, Error> {
    match (row.get(1), row.get(2)) {
        (Some(seat_id), None) => Ok(Place::Seat(parse(seat_id)?)),
        (None, Some(area_id)) => Ok(Place::Area(parse(area_id)?)),
        _ => Err(Error::corrupt("a ticket has no place, or two")),
    }
}

fn state_from_name(name: &str) -> Result<OrderState, Error> {
    Ok(match name {
        "PENDING" => OrderState::Pending,
        "PAID" => OrderState::Paid,
        "CANCELLED" => OrderState::Cancelled,
        "REFUND_DUE" => OrderState::RefundDue,
        "REFUNDED" => OrderState::Refunded,
        other => return Err(Error::Corrupt(format!("order state {other}"))),
    })
}

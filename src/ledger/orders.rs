//! Orders as they are: what they are for, their tickets, what they are at.

use tokio_postgres::Row;

use super::{
    Error, Ledger,
    columns::{parse, to_u32},
    session::Params,
};
use crate::domain::{
    Buyer, Checkout, Currency, EventId, HoldId, HolderId, Money, Order, OrderFilter, OrderId,
    OrderItem, OrderState, Place, Ticket, TicketId,
};

/// A whole order: one row for each item, ticket and void ticket, seats in the order of
/// their numbers, then areas. One statement, so all of it is of one moment.
macro_rules! read_orders {
    ($orders:literal) => {
        concat!(
            "
    WITH found AS MATERIALIZED (",
            $orders,
            ")
    SELECT o.order_id, o.event_id, hold_id, holder_id, state, currency, total_micros,
        payment_reference, create_time, pay_time, payment_provider, price_expire_time,
        buyer_name, buyer_email, buyer_language, return_url, cancel_time, cancelled_by,
        refunded_micros, kind, ticket_id, seat_id, area_id, quantity, price_micros
    FROM found o LEFT JOIN LATERAL (
        SELECT 'item' AS kind, NULL::uuid AS ticket_id, event_id, seat_index, area_index,
            quantity, price_micros
        FROM order_items WHERE order_id = o.order_id
        UNION ALL
        SELECT 'ticket', ticket_id, event_id, seat_index, area_index, 1, price_micros
        FROM tickets WHERE order_id = o.order_id
        UNION ALL
        SELECT 'void', ticket_id, event_id, seat_index, area_index, 1, price_micros
        FROM void_tickets WHERE order_id = o.order_id
    ) p ON true
        LEFT JOIN seats s ON s.event_id = p.event_id AND s.seat_index = p.seat_index
        LEFT JOIN areas a ON a.event_id = p.event_id AND a.area_index = p.area_index
    ORDER BY o.order_id DESC, p.seat_index NULLS LAST, p.area_index, ticket_id"
        )
    };
}

impl Ledger {
    /// An order.
    pub async fn find_order(&self, order_id: OrderId) -> Result<Option<Order>, Error> {
        const SQL: &str =
            concat!("-- find_order", read_orders!("SELECT * FROM orders WHERE order_id = $1"));
        Ok(self.read_orders(SQL, &[&order_id.0]).await?.pop())
    }

    /// The order that was made of a hold, also where another hold sold it since.
    pub async fn find_order_of_hold(
        &self,
        event_id: &EventId,
        hold_id: HoldId,
    ) -> Result<Option<Order>, Error> {
        const SQL: &str = concat!(
            "-- find_order_of_hold",
            read_orders!(
                "SELECT * FROM orders WHERE event_id = $1 AND hold_id = $2
                UNION ALL SELECT orders.* FROM former_holds f JOIN orders USING (order_id)
                WHERE f.event_id = $1 AND f.hold_id = $2"
            )
        );
        Ok(self.read_orders(SQL, &[&event_id.as_str(), &hold_id.0]).await?.pop())
    }

    /// So many orders at most, the latest first.
    pub async fn list_orders(
        &self,
        filter: &OrderFilter,
        page_size: u32,
    ) -> Result<Vec<Order>, Error> {
        const SQL: &str = concat!(
            "-- list_orders",
            read_orders!(
                "SELECT * FROM orders
                WHERE ($1::text IS NULL OR holder_id = $1) AND ($2::text IS NULL OR event_id = $2)
                    AND (cardinality($3::text[]) = 0 OR state = ANY($3))
                    AND ($4::uuid IS NULL OR order_id < $4)
                ORDER BY order_id DESC LIMIT $5"
            )
        );
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        let params: Params<'_> = &[
            &filter.holder_id.as_ref().map(HolderId::as_str),
            &filter.event_id.as_ref().map(EventId::as_str),
            &states,
            &filter.before.map(|order_id| order_id.0),
            &i64::from(page_size),
        ];
        self.read_orders(SQL, params).await
    }

    async fn read_orders(&self, sql: &str, params: Params<'_>) -> Result<Vec<Order>, Error> {
        let rows = self.query(sql, params).await?;
        let of_one = rows.chunk_by(|a, b| a.get::<_, uuid::Uuid>(0) == b.get::<_, uuid::Uuid>(0));
        of_one.map(order_from_rows).collect()
    }
}

/// An order from the rows of [`read_orders`] that are its own.
fn order_from_rows(rows: &[Row]) -> Result<Order, Error> {
    let row = &rows[0];
    let currency: Currency = parse(row.get(5))?;
    let (mut items, mut tickets, mut void_tickets) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let Some(kind) = row.get::<_, Option<&str>>(19) else { continue };
        let price = Money { currency, micros: row.get(24) };
        let place = place_from_row(row)?;
        match (kind, row.get::<_, Option<_>>(20).map(TicketId)) {
            ("item", _) => {
                items.push(OrderItem { place, quantity: to_u32(row.get(23)), price });
            }
            ("ticket", Some(ticket_id)) => tickets.push(Ticket { ticket_id, place, price }),
            ("void", Some(ticket_id)) => void_tickets.push(Ticket { ticket_id, place, price }),
            (other, _) => return Err(Error::Corrupt(format!("an order has a {other}"))),
        }
    }
    let state = row.get(4);
    Ok(Order {
        order_id: OrderId(row.get(0)),
        event_id: parse(row.get(1))?,
        hold_id: HoldId(row.get(2)),
        holder_id: parse(row.get(3))?,
        tickets,
        void_tickets,
        state: OrderState::from_name(state)
            .ok_or_else(|| Error::Corrupt(format!("order state {state}")))?,
        total: Money { currency, micros: row.get(6) },
        payment_reference: row.get::<_, Option<&str>>(7).map(parse).transpose()?,
        create_time: row.get(8),
        pay_time: row.get(9),
        checkout: checkout_from_row(row, items),
        cancel_time: row.get(16),
        cancelled_by: row.get(17),
        refunded_micros: row.get(18),
    })
}

fn checkout_from_row(row: &Row, items: Vec<OrderItem>) -> Option<Checkout> {
    let email: Option<String> = row.get(13);
    Some(Checkout {
        items,
        payment_provider: row.get::<_, Option<_>>(10)?,
        price_expire_time: row.get::<_, Option<_>>(11)?,
        buyer: email.map(|email| Buyer {
            name: row.get::<_, Option<_>>(12).unwrap_or_default(),
            email,
            language: row.get::<_, Option<_>>(14).unwrap_or_default(),
        }),
        return_url: row.get(15),
    })
}

fn place_from_row(row: &Row) -> Result<Place, Error> {
    match (row.get(21), row.get(22)) {
        (Some(seat_id), None) => Ok(Place::Seat(parse(seat_id)?)),
        (None, Some(area_id)) => Ok(Place::Area(parse(area_id)?)),
        _ => Err(Error::corrupt("a ticket has no place, or two")),
    }
}

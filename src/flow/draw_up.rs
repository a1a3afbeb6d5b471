//! The order that a sale makes, or pays: what a hold has, at the chart's prices or at
//! those of when its order was made.

use super::{ConfirmRequest, Error, Flows, event::LoadedEvent};
use crate::domain::{
    AreaIndex, HoldRecord, Money, Order, OrderId, OrderState, Place, SeatIndex, Ticket, TicketId,
};

impl Flows {
    /// The order that this attempt would make, or pay; `None` where the hold is not
    /// what the order is for.
    pub(super) async fn draw_up(
        &self,
        event: &LoadedEvent,
        request: &ConfirmRequest,
        record: &HoldRecord,
    ) -> Result<Option<Order>, Error> {
        let order_of = |event: &LoadedEvent| draw_up_by_chart(event, request, record);
        let drawn_up = match order_of(event) {
            Some(order) => order,
            // The hold was made on a chart that has grown since we read ours.
            None => order_of(&*self.event_anew(&event.event_id).await?)
                .ok_or_else(|| Error::internal("a hold names seats that no chart has"))?,
        };
        Ok(match &request.order {
            None => Some(drawn_up),
            Some(order) => order.paid_with(drawn_up),
        })
    }
}

/// Where each ticket of a hold leads: its seats, then every unit of its areas.
pub(super) fn places(record: &HoldRecord) -> impl Iterator<Item = Result<SeatIndex, AreaIndex>> {
    let units = record.areas.iter().flat_map(|part| (0..part.quantity).map(|_| Err(part.area)));
    record.seats.iter().map(|&seat| Ok(seat)).chain(units)
}

fn draw_up_by_chart(
    event: &LoadedEvent,
    request: &ConfirmRequest,
    record: &HoldRecord,
) -> Option<Order> {
    let chart = &event.chart;
    let tickets: Vec<Ticket> = places(record)
        .map(|place| {
            let (place, price) = match place {
                Ok(seat) => (Place::Seat(chart.seat_id(seat)?.clone()), chart.seat_price(seat)?),
                Err(area) => (Place::Area(chart.area_id(area)?.clone()), chart.area_price(area)?),
            };
            Some(Ticket { ticket_id: TicketId::new_v7(), place, price })
        })
        .collect::<Option<_>>()?;
    let micros = tickets.iter().map(|ticket| ticket.price.micros).sum();
    let unknown_yet = time::OffsetDateTime::UNIX_EPOCH;
    Some(Order {
        order_id: OrderId::new_v7(),
        event_id: request.event_id.clone(),
        hold_id: request.hold_id,
        holder_id: request.holder_id.clone(),
        tickets,
        state: OrderState::Paid,
        total: Money { currency: chart.currency()?, micros },
        payment_reference: Some(request.payment_reference.clone()),
        create_time: unknown_yet,
        pay_time: None,
        void_tickets: Vec::new(),
        checkout: None,
        cancel_time: None,
        cancelled_by: None,
        refunded_micros: 0,
    })
}

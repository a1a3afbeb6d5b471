//! Orders, payments and refunds.

use super::{money, signed, timestamp};
use crate::{
    domain::{
        Buyer, Money, Order, OrderItem, OrderState, Payment, PaymentState, Place, Refund,
        RefundState, Ticket,
    },
    flow::OrderToPay,
    proto::{self, order_item::Place as ItemPlace, ticket::Place as TicketPlace},
};

pub fn order_to_pay(made: OrderToPay) -> proto::CreateOrderResponse {
    let OrderToPay { order, payment_url, hold_expire_time } = made;
    let price_expire_time = order.checkout.as_ref().map(|made| timestamp(made.price_expire_time));
    proto::CreateOrderResponse {
        order: Some(self::order(order)),
        payment_url: payment_url.unwrap_or_default(),
        hold_expire_time: Some(timestamp(hold_expire_time)),
        price_expire_time,
    }
}

pub fn order(order: Order) -> proto::Order {
    let currency = order.total.currency;
    let checkout = order.checkout;
    let price_expire_time = checkout.as_ref().map(|checkout| timestamp(checkout.price_expire_time));
    let (items, payment_provider, buyer) = match checkout {
        Some(checkout) => (checkout.items, checkout.payment_provider, checkout.buyer),
        None => (Vec::new(), String::new(), None),
    };
    proto::Order {
        order_id: order.order_id.to_string(),
        event_id: order.event_id.to_string(),
        hold_id: order.hold_id.to_string(),
        holder_id: order.holder_id.to_string(),
        tickets: order.tickets.into_iter().map(ticket).collect(),
        state: order_state(order.state).into(),
        total: Some(money(order.total)),
        payment_reference: order.payment_reference.map(|r| r.to_string()).unwrap_or_default(),
        create_time: Some(timestamp(order.create_time)),
        pay_time: order.pay_time.map(timestamp),
        items: items.into_iter().map(item).collect(),
        price_expire_time,
        payment_provider,
        buyer: buyer.map(|Buyer { name, email, language }| proto::Buyer { name, email, language }),
        cancel_time: order.cancel_time.map(timestamp),
        refunded: Some(money(Money { currency, micros: order.refunded_micros })),
        void_tickets: order.void_tickets.into_iter().map(ticket).collect(),
    }
}

pub fn order_state(state: OrderState) -> proto::OrderState {
    match state {
        OrderState::Pending => proto::OrderState::Pending,
        OrderState::Paid => proto::OrderState::Paid,
        OrderState::Cancelled => proto::OrderState::Cancelled,
        OrderState::RefundDue => proto::OrderState::RefundDue,
        OrderState::Refunded => proto::OrderState::Refunded,
    }
}

fn item(item: OrderItem) -> proto::OrderItem {
    proto::OrderItem {
        place: Some(match item.place {
            Place::Seat(seat_id) => ItemPlace::SeatId(seat_id.to_string()),
            Place::Area(area_id) => ItemPlace::AreaId(area_id.to_string()),
        }),
        quantity: signed(item.quantity),
        price: Some(money(item.price)),
    }
}

fn ticket(ticket: Ticket) -> proto::Ticket {
    proto::Ticket {
        ticket_id: ticket.ticket_id.to_string(),
        place: Some(match ticket.place {
            Place::Seat(seat_id) => TicketPlace::SeatId(seat_id.to_string()),
            Place::Area(area_id) => TicketPlace::AreaId(area_id.to_string()),
        }),
        price: Some(money(ticket.price)),
    }
}

pub fn payment(payment: Payment) -> proto::Payment {
    proto::Payment {
        payment_id: payment.payment_id.to_string(),
        payment_provider: payment.provider,
        state: match payment.state {
            PaymentState::Begun => proto::PaymentState::Begun,
            PaymentState::Paid => proto::PaymentState::Paid,
            PaymentState::Failed => proto::PaymentState::Failed,
        }
        .into(),
        amount: Some(money(payment.amount)),
        provider_reference: payment.provider_reference.unwrap_or_default(),
        begin_time: Some(timestamp(payment.begin_time)),
        pay_time: payment.pay_time.map(timestamp),
    }
}

pub fn refund(refund: Refund) -> proto::Refund {
    proto::Refund {
        refund_id: refund.refund_id.to_string(),
        state: match refund.state {
            RefundState::Due => proto::RefundState::Due,
            RefundState::Asked => proto::RefundState::Asked,
            RefundState::Done => proto::RefundState::Done,
            RefundState::Failed => proto::RefundState::Failed,
        }
        .into(),
        amount: Some(money(refund.amount)),
        reason: refund.reason,
        actor: refund.actor,
        create_time: Some(timestamp(refund.create_time)),
        end_time: refund.end_time.map(timestamp),
    }
}

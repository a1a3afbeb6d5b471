//! `holdfast audit` of money: orders in every state are in order, and what nobody sees
//! to is told.

use holdfast::proto::OrderState;
use uuid::Uuid;

use crate::{
    audit::{assert_told, audit},
    support::{Stage, eventually, floor, hold_request},
};

/// What is done to a PENDING order, to one that is `REFUND_DUE`, to one that was given back
/// in part, and to one that was given back whole.
const BREAKS: [&str; 4] = [
    "INSERT INTO payments (payment_id, order_id, provider, currency, amount_micros, state,
                begin_time, pay_time, lease_until)
            SELECT gen_random_uuid(), order_id, 'vnpay', currency, total_micros, 'PAID', now(),
                now() - interval '1 h', now() + interval '1 h'
            FROM orders WHERE order_id = $1::text::uuid",
    "DELETE FROM refunds WHERE order_id = $1::text::uuid",
    "UPDATE orders SET refunded_micros = refunded_micros + 1
            WHERE order_id = $1::text::uuid",
    "WITH paid AS (
                INSERT INTO payments (payment_id, order_id, provider, currency, amount_micros,
                    state, begin_time, pay_time, settlement)
                SELECT gen_random_uuid(), order_id, 'vnpay', currency, 1, 'PAID', now(), now(),
                    'ORDER'
                FROM orders WHERE order_id = $1::text::uuid RETURNING payment_id, order_id)
            INSERT INTO refunds (refund_id, order_id, payment_id, amount_micros, state, reason,
                actor)
            SELECT gen_random_uuid(), order_id, payment_id, 2, 'DONE', '', 'ann' FROM paid",
];

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_nobody_sees_to_is_told() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let order = async |seats: &[&str]| {
        let mut request = hold_request("ann", seats);
        request.areas = floor(2);
        let hold = server.hold(request).await.unwrap();
        (server.create_order(&hold).await.unwrap().order.unwrap().order_id, hold)
    };
    let (pending, _) = order(&["A-1"]).await;
    let (cancelled, _) = order(&["A-2"]).await;
    server.cancel_order(&cancelled).await.unwrap();
    let (in_part, hold) = order(&["A-3", "A-4"]).await;
    let paid = server.confirm(&hold, "pay-1").await.unwrap();
    let ticket = paid.tickets[0].ticket_id.as_str();
    server.refund_order(&in_part, &new_id(), &[ticket]).await.unwrap();
    let (whole, hold) = order(&["A-5"]).await;
    server.confirm(&hold, "pay-2").await.unwrap();
    server.refund_order(&whole, &new_id(), &[]).await.unwrap();
    let (late, hold) = order(&["A-6"]).await;
    server.expire(&hold).await;
    let late_hold = eventually("its seat is taken", async || {
        server.hold(hold_request("bob", &["A-6"])).await.ok()
    })
    .await;
    let due = server.confirm(&hold, "pay-3").await.unwrap();
    assert_eq!(due.state(), OrderState::RefundDue);
    server.release(&late_hold, &[], vec![]).await.unwrap();
    let (code, told) = audit(&stage.stores, &[]).await;
    assert_eq!(code, 0, "{told}");

    let postgres = stage.stores.postgres().await;
    for (sql, order) in BREAKS.iter().zip([&pending, &late, &in_part, &whole]) {
        assert_eq!(postgres.execute(*sql, &[order]).await.unwrap(), 1, "{sql}");
    }
    let (code, told) = audit(&stage.stores, &[]).await;
    assert_eq!(code, 1, "{told}");
    let lines = [
        format!("order {pending} has a payment that is not settled"),
        format!("order {late} is REFUND_DUE, and nothing is to be given back"),
        format!("order {in_part} has void tickets of another sum than what is given back"),
        format!("order {whole} gives back more than was paid"),
    ];
    assert_told(&told, &lines.each_ref().map(String::as_str));
}

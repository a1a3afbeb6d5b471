//! A payment that comes late: the places again, or the money back; never silence.

use futures_util::future::join_all;
use holdfast::{
    domain::{Money, PaymentId},
    ledger::{Ledger, Settings, Unsellable},
    proto::{Hold, LatePayment, Order, OrderState, RefundState, SeatStatus},
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{EVENT, Stage, code_and_reason, eventually, floor, hold_request, small_event};

/// An order of two seats and two units of the floor, whose hold has run out.
async fn late_order(stage: &Stage, holder: &str, seats: [&str; 2]) -> (Hold, Order) {
    let mut request = hold_request(holder, &seats);
    request.areas = floor(2);
    let hold = stage.server.hold(request).await.unwrap();
    let order = stage.server.create_order(&hold).await.unwrap().order.unwrap();
    stage.server.expire(&hold).await;
    eventually("its seats are free", async || {
        let house = stage.server.house().await;
        (house.seats[seats[0]] == SeatStatus::Available).then_some(())
    })
    .await;
    (hold, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn late_the_places_are_taken_again_where_all_are_free() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let (hold, order) = late_order(&stage, "ann", ["A-1", "A-2"]).await;
    let paid = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!((paid.state(), &paid.order_id), (OrderState::Paid, &order.order_id));
    assert_eq!((paid.tickets.len(), &*paid.payment_reference), (4, "pay-1"));
    assert_ne!(paid.hold_id, hold.hold_id, "by a hold of its own");
    let house = server.house().await;
    assert_eq!((house.count(SeatStatus::Sold), house.areas["floor"]), (2, 98));
    // Whoever asks again, by the hold that it was made of, is told the same.
    assert_eq!(server.confirm(&hold, "pay-1").await.unwrap(), paid);
    assert_eq!(server.create_order(&hold).await.unwrap().order.unwrap(), paid);
    let told = code_and_reason(server.confirm(&hold, "pay-2").await);
    assert_eq!(told, (Code::FailedPrecondition, "HOLD_EXPIRED".to_owned()));
    assert!(server.get_order(&order.order_id).await.unwrap().refunds.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn late_and_gone_the_money_is_due() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let (hold, order) = late_order(&stage, "ann", ["A-1", "A-2"]).await;
    let bobs = server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    let due = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!((due.state(), &due.order_id), (OrderState::RefundDue, &order.order_id));
    assert!(due.tickets.is_empty());
    assert_eq!(due.refunded.as_ref().unwrap().units, 2 * 30 + 2 * 12);
    assert_eq!(server.confirm(&hold, "pay-1").await.unwrap(), due);
    let refunds = server.get_order(&order.order_id).await.unwrap().refunds;
    assert_eq!(refunds.len(), 1);
    assert_eq!((refunds[0].state(), &*refunds[0].reason), (RefundState::Due, "late_payment"));
    // The seat that was free is not lost to it, and bob has his.
    let house = server.house().await;
    assert_eq!((house.seats["A-1"], house.areas["floor"]), (SeatStatus::Available, 100));
    server.confirm(&bobs, "pay-2").await.unwrap();
    // Even where the seats come free again, it stays what it is.
    let refund_id = Uuid::now_v7().to_string();
    let refunded = server.refund_order(&order.order_id, &refund_id, &[]).await.unwrap();
    let (order, refund) = (refunded.order.unwrap(), refunded.refund.unwrap());
    assert_eq!((order.state(), refund.state()), (OrderState::Refunded, RefundState::Done));
    assert_eq!((refund.refund_id, refund.actor), (refund_id, "desk".to_owned()));
    assert_eq!(server.confirm(&hold, "pay-1").await.unwrap().state(), OrderState::Refunded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_may_refuse_what_comes_late() {
    let stage = Stage::empty().await;
    let server = &stage.server;
    let mut house = small_event(EVENT);
    house.event.as_mut().unwrap().set_late_payment(LatePayment::Refund);
    server.create_event(house).await.unwrap();
    let (hold, _) = late_order(&stage, "ann", ["A-1", "A-2"]).await;
    let due = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(due.state(), OrderState::RefundDue);
    assert_eq!(server.house().await.count(SeatStatus::Available), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_orders_of_the_same_seats_have_one_winner_each_seat() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let mut late = Vec::new();
    for i in 0..6 {
        late.push(late_order(&stage, &format!("holder-{i}"), ["A-1", "A-2"]).await);
    }
    // All of them at once, each at both servers.
    let payments = late.iter().enumerate().map(async |(i, (hold, _))| {
        let payment = format!("pay-{i}");
        tokio::join!(stage.server.confirm(hold, &payment), other.confirm(hold, &payment))
    });
    let mut paid = 0;
    for (here, there) in join_all(payments).await {
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!((here.order_id.clone(), here.state()), (there.order_id.clone(), there.state()));
        match here.state() {
            OrderState::Paid => paid += 1,
            state => assert_eq!(state, OrderState::RefundDue),
        }
    }
    assert_eq!(paid, 1);
    let postgres = stage.stores.postgres().await;
    let sql = "SELECT (SELECT count(*) FROM refunds WHERE state = 'DUE'),
        (SELECT count(*) FROM tickets), (SELECT sold FROM areas)";
    let row = postgres.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i32>(2)), (5, 4, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_paid_whole_or_not_at_all() {
    let stage = Stage::new().await;
    let server = &stage.server;
    for (seat, is_taken) in [("A-2", false), ("B-2", true)] {
        let row = &seat[..1];
        let seats = [format!("{row}-1"), seat.to_owned()];
        let seats: Vec<&str> = seats.iter().map(String::as_str).collect();
        let hold = server.hold(hold_request("ann", &seats)).await.unwrap();
        let order = server.create_order(&hold).await.unwrap().order.unwrap();
        // A part of it is given back, so the hold is not what is paid for.
        server.release(&hold, &[seat], vec![]).await.unwrap();
        if is_taken {
            server.hold(hold_request("bob", &[seat])).await.unwrap();
        }
        let paid = server.confirm(&hold, &format!("pay-{row}")).await.unwrap();
        assert_eq!(paid.order_id, order.order_id);
        match is_taken {
            false => assert_eq!((paid.state(), paid.tickets.len()), (OrderState::Paid, 2)),
            true => assert_eq!((paid.state(), paid.tickets.len()), (OrderState::RefundDue, 0)),
        }
    }
    let house = server.house().await;
    assert_eq!((house.count(SeatStatus::Sold), house.count(SeatStatus::Held)), (2, 1));
}

/// A payment that a provider has, noted and left.
async fn noted(stage: &Stage, order: &Order, lease_s: i32) -> Uuid {
    let payment_id = Uuid::now_v7();
    let sql = "INSERT INTO payments (payment_id, order_id, provider, currency, amount_micros,
            state, provider_reference, begin_time, pay_time, lease_until)
        SELECT $1, order_id, 'vnpay', currency, total_micros, 'PAID', '77', now(), now(),
            now() + $3::int * interval '1 s'
        FROM orders WHERE order_id = $2";
    let order_id: Uuid = order.order_id.parse().unwrap();
    let postgres = stage.stores.postgres().await;
    assert_eq!(postgres.execute(sql, &[&payment_id, &order_id, &lease_s]).await.unwrap(), 1);
    payment_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_on_its_way_is_not_told_as_unsettled() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = stage.server.create_order(&hold).await.unwrap().order.unwrap();
    noted(&stage, &order, 300).await;
    let url = stage.stores.settings().postgres_url;
    let ledger = Ledger::new(&Settings { url, pool_size: 1 }).unwrap();
    assert_eq!(ledger.backlog().await.unwrap().payments_unsettled, 0);
    let older = "UPDATE payments SET pay_time = pay_time - interval '31 s'";
    stage.stores.postgres().await.execute(older, &[]).await.unwrap();
    assert_eq!(ledger.backlog().await.unwrap().payments_unsettled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_noted_and_left_is_settled() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = stage.server.create_order(&hold).await.unwrap().order.unwrap();
    noted(&stage, &order, 0).await;
    let found = eventually("it is paid", async || {
        let found = stage.server.get_order(&order.order_id).await.unwrap();
        (found.order.as_ref().unwrap().state() == OrderState::Paid).then_some(found)
    })
    .await;
    assert_eq!((found.order.unwrap().tickets.len(), found.refunds.len()), (1, 0));
}

/// Money goes back where it came from: what a provider has is not given back by whoever
/// asks, nor is the provider asked for what it never had.
#[tokio::test(flavor = "multi_thread")]
async fn each_refund_goes_where_its_money_came_from() {
    let stage = Stage::empty().await;
    let server = &stage.server;
    let mut house = small_event(EVENT);
    house.event.as_mut().unwrap().set_late_payment(LatePayment::Refund);
    server.create_event(house).await.unwrap();
    let (_, order) = late_order(&stage, "ann", ["A-1", "A-2"]).await;
    // RefundOrder finds the payment first.
    noted(&stage, &order, 3_600).await;
    let answer = server.refund_order(&order.order_id, &Uuid::now_v7().to_string(), &[]).await;
    let answer = answer.unwrap();
    assert_eq!(answer.refund.unwrap().state(), RefundState::Asked);
    assert_eq!(answer.order.unwrap().state(), OrderState::RefundDue);

    let (hold, order) = late_order(&stage, "bob", ["B-1", "B-2"]).await;
    assert_eq!(server.confirm(&hold, "pay-1").await.unwrap().state(), OrderState::RefundDue);
    noted(&stage, &order, 0).await;
    let refunds = eventually("both are due", async || {
        let refunds = server.get_order(&order.order_id).await.unwrap().refunds;
        (refunds.len() == 2).then_some(refunds)
    })
    .await;
    let mut states = Vec::new();
    for refund in refunds {
        let answer = server.refund_order(&order.order_id, &refund.refund_id, &[]).await.unwrap();
        states.push(answer.refund.unwrap().state());
    }
    assert_eq!(states, [RefundState::Done, RefundState::Asked]);
}

/// The step "in vain", reached while another server sells by the same payment.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_paid_its_order_is_not_due() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = stage.server.create_order(&hold).await.unwrap().order.unwrap();
    let payment_id = noted(&stage, &order, 3_600).await;
    let reference = format!("vnpay:{}", payment_id.simple());
    stage.server.confirm(&hold, &reference).await.unwrap();
    let url = stage.stores.settings().postgres_url;
    let ledger = Ledger::new(&Settings { url, pool_size: 1 }).unwrap();
    let unsellable = Unsellable {
        order_id: order.order_id.parse().unwrap(),
        payment_id: Some(PaymentId(payment_id)),
        payment_reference: reference.parse().unwrap(),
        amount: Money { currency: "EUR".parse().unwrap(), micros: 30_000_000 },
    };
    ledger.settle_by_refund(&unsellable).await.unwrap();
    let found = stage.server.get_order(&order.order_id).await.unwrap();
    assert_eq!((found.order.unwrap().state(), found.refunds.len()), (OrderState::Paid, 0));
}

//! RefundOrder: tickets void, places on sale again, once; money given back, once.

use futures_util::future::join_all;
use holdfast::{
    domain::{Ended, Epoch, Outcome, SeatIndex},
    holds::Holds,
    proto::{Order, OrderState, RefundState, SeatStatus, ticket::Place},
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{EVENT, Stage, code_and_reason, eventually, floor, hold_request};

async fn paid(stage: &Stage, seats: &[&str], units: i32) -> Order {
    let mut request = hold_request("ann", seats);
    if units > 0 {
        request.areas = floor(units);
    }
    let hold = stage.server.hold(request).await.unwrap();
    stage.server.create_order(&hold).await.unwrap();
    stage.server.confirm(&hold, &format!("pay-{}", hold.hold_id)).await.unwrap()
}

fn tickets<'a>(order: &'a Order, place: &str) -> Vec<&'a str> {
    let is_it = |p: &Place| matches!(p, Place::SeatId(id) | Place::AreaId(id) if id == place);
    let tickets = order.tickets.iter().filter(|ticket| is_it(ticket.place.as_ref().unwrap()));
    tickets.map(|ticket| ticket.ticket_id.as_str()).collect()
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn some_tickets_then_the_rest() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    let order = paid(&stage, &["A-1", "A-2"], 3).await;
    let part = [tickets(&order, "A-2")[0], tickets(&order, "floor")[0]];
    let refund_id = new_id();
    let answer = server.refund_order(&order.order_id, &refund_id, &part).await.unwrap();
    let (left, refund) = (answer.order.clone().unwrap(), answer.refund.clone().unwrap());
    assert_eq!(
        (left.state(), left.tickets.len(), left.void_tickets.len()),
        (OrderState::Paid, 3, 2)
    );
    assert_eq!(
        (left.refunded.as_ref().unwrap().units, refund.amount.as_ref().unwrap().units),
        (42, 42)
    );
    assert_eq!(refund.state(), RefundState::Done);
    // The same again is the same; with other content it is refused.
    let again = server.refund_order(&order.order_id, &refund_id, &[part[1], part[0]]).await;
    assert_eq!(again.unwrap(), answer);
    let told = code_and_reason(server.refund_order(&order.order_id, &refund_id, &[]).await);
    assert_eq!(told, (Code::AlreadyExists, "REFUND_ID_REUSED".to_owned()));
    let told = code_and_reason(server.refund_order(&order.order_id, &new_id(), &part).await);
    assert_eq!(told, (Code::NotFound, "TICKET_NOT_FOUND".to_owned()));
    watcher
        .until("the seat is free on the stream", |watcher| {
            watcher.house.seats["A-2"] == SeatStatus::Available
                && watcher.house.areas["floor"] == 98
        })
        .await;
    assert_eq!(watcher.house.seats["A-1"], SeatStatus::Sold);

    // Somebody else buys it, and the rest is given back.
    let hold = server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    server.confirm(&hold, "pay-bob").await.unwrap();
    let answer = server.refund_order(&order.order_id, &new_id(), &[]).await.unwrap();
    let left = answer.order.unwrap();
    assert_eq!(
        (left.state(), left.tickets.len(), left.void_tickets.len()),
        (OrderState::Refunded, 0, 5)
    );
    assert_eq!(left.refunded, left.total);
    let house = server.house().await;
    assert_eq!((house.count(SeatStatus::Sold), house.areas["floor"]), (1, 100));
    let told = code_and_reason(server.refund_order(&order.order_id, &new_id(), &[]).await);
    assert_eq!(told, (Code::FailedPrecondition, "ORDER_STATE".to_owned()));
    let postgres = stage.stores.postgres().await;
    let sql = "SELECT (SELECT sold FROM areas), (SELECT count(*) FROM order_audit
        WHERE action = 'refund' AND actor = 'desk' AND reason = 'ill')";
    let row = postgres.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i64>(1)), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_once_at_two_servers_it_is_given_back_once() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let order = paid(&stage, &["A-1"], 5).await;
    let refund_id = new_id();
    let asked = (0..8).map(|i| {
        let server = if i % 2 == 0 { &stage.server } else { &other };
        server.refund_order(&order.order_id, &refund_id, &[])
    });
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().refund.unwrap().amount, order.total);
    }
    let house = stage.server.house().await;
    assert_eq!((house.count(SeatStatus::Available), house.areas["floor"]), (100, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_hears_of_it_once_whatever_happens() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let order = paid(&stage, &["A-1", "A-2"], 5).await;
    let ticket = [tickets(&order, "A-1")[0], tickets(&order, "floor")[0]];
    server.refund_order(&order.order_id, &new_id(), &ticket).await.unwrap();
    // As if nobody had told Redis: the row is done again, and nothing changes.
    let postgres = stage.stores.postgres().await;
    let done = async || {
        let sql = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    };
    let again = async || {
        eventually("the rows are done", done).await;
        let sql = "UPDATE outbox SET done_at = NULL, lease_until = now() - interval '1 s'
            WHERE kind IN ('sold', 'returned')";
        assert_eq!(postgres.execute(sql, &[]).await.unwrap(), 2);
        eventually("the rows are done again", done).await;
    };
    again().await;
    let house = server.house().await;
    let is_right = |house: &crate::support::House| {
        house.seats["A-1"] == SeatStatus::Available
            && house.seats["A-2"] == SeatStatus::Sold
            && house.areas["floor"] == 96
    };
    assert!(is_right(&house), "{house:?}");
    // Nor where Redis was built anew since, from what Postgres had then.
    let mut redis = stage.stores.redis().await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    eventually("the event is back", async || {
        let map = server.get_seat_map(EVENT).await.ok()?;
        is_right(&crate::support::House::new(&map)).then_some(())
    })
    .await;
    again().await;
    let house = server.house().await;
    assert!(is_right(&house), "{house:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_paid_is_not_given_back() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.create_order(&hold).await.unwrap().order.unwrap();
    let told = code_and_reason(server.refund_order(&order.order_id, &new_id(), &[]).await);
    assert_eq!(told, (Code::FailedPrecondition, "ORDER_STATE".to_owned()));
    let told = code_and_reason(server.refund_order(&new_id(), &new_id(), &[]).await);
    assert_eq!(told, (Code::NotFound, "ORDER_NOT_FOUND".to_owned()));
}

/// A word of the sale, read before the refund, that comes to Redis after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_word_of_the_sale_does_not_sell_again() {
    let stage = Stage::new().await;
    let order = paid(&stage, &["A-1"], 0).await;
    stage.server.refund_order(&order.order_id, &new_id(), &[]).await.unwrap();
    let bobs = stage.server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let ended = Ended {
        hold_id: order.hold_id.parse().unwrap(),
        outcome: Outcome::Confirmed(order.order_id.parse().unwrap()),
        seats: vec![SeatIndex(0)],
        units: 1,
    };
    holds.finish(&EVENT.parse().unwrap(), Epoch(1), &[ended]).await.unwrap();
    assert_eq!(stage.server.house().await.seats["A-1"], SeatStatus::Held);
    stage.server.confirm(&bobs, "pay-bob").await.unwrap();
}

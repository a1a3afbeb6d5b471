//! Confirm: sold once, durably, with one answer for ever.

use futures_util::future::join_all;
use holdfast::proto::{HoldState, Order, OrderState, SeatStatus, ticket::Place};
use redis::AsyncCommands;
use tonic::Code;

use crate::support::{EVENT, Stage, code_and_reason, floor, hold_request};

fn places(order: &Order) -> Vec<&str> {
    order
        .tickets
        .iter()
        .map(|ticket| match ticket.place.as_ref().unwrap() {
            Place::SeatId(id) | Place::AreaId(id) => id.as_str(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sells_every_item() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-2", "A-1"]);
    request.areas = floor(2);
    let hold = server.hold(request).await.unwrap();
    let order = server.confirm(&hold, "pay-1").await.unwrap();

    assert_eq!(order.state(), OrderState::Paid);
    assert_eq!(places(&order), ["A-1", "A-2", "floor", "floor"]);
    assert_eq!(order.total.as_ref().unwrap().units, 2 * 30 + 2 * 12);
    assert_eq!((order.hold_id.as_str(), order.holder_id.as_str()), (&*hold.hold_id, "ann"));
    assert_eq!(order.payment_reference, "pay-1");
    let ended = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!((ended.state(), &ended.order_id), (HoldState::Confirmed, &order.order_id));

    let house = server.house().await;
    assert_eq!(house.seats["A-1"], SeatStatus::Sold);
    assert_eq!(house.count(SeatStatus::Sold), 2);
    assert_eq!(house.areas["floor"], 98);
    let postgres = stage.stores.postgres().await;
    let row = postgres
        .query_one("SELECT (SELECT sold FROM areas), (SELECT count(*) FROM tickets)", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i64>(1)), (2, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_once_at_two_servers_there_is_one_order() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    for round in 0..10 {
        let seat = format!("A-{}", round + 1);
        let hold = stage.server.hold(hold_request("ann", &[&seat])).await.unwrap();
        let payment = format!("pay-{round}");
        let attempts = (0..8).map(|i| {
            let server = if i % 2 == 0 { &stage.server } else { &other };
            server.confirm(&hold, &payment)
        });
        let mut orders: Vec<Order> =
            join_all(attempts).await.into_iter().map(Result::unwrap).collect();
        orders.push(other.confirm(&hold, &payment).await.unwrap());
        assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    }
    let postgres = stage.stores.postgres().await;
    let count = postgres.query_one("SELECT count(*) FROM orders", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_pays_once() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let first = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.confirm(&first, "pay-1").await.unwrap();
    let told = code_and_reason(server.confirm(&first, "pay-2").await);
    assert_eq!(told, (Code::FailedPrecondition, "HOLD_CONFIRMED".into()));

    let second = server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    let told = code_and_reason(server.confirm(&second, "pay-1").await);
    assert_eq!(told, (Code::AlreadyExists, "PAYMENT_REFERENCE_USED".into()));
    // Nothing of it was sold, and another payment may still come.
    let order_2 = server.confirm(&second, "pay-3").await.unwrap();
    assert_ne!(order.order_id, order_2.order_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_hold_of_ones_own_that_lives() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let mut others = hold.clone();
    others.holder_id = "bob".into();
    let not_found = (Code::NotFound, "HOLD_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(server.confirm(&others, "pay-1").await), not_found);
    let mut unknown = hold.clone();
    unknown.hold_id = uuid::Uuid::now_v7().to_string();
    assert_eq!(code_and_reason(server.confirm(&unknown, "pay-1").await), not_found);
    // Not even to see an order of another's.
    server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(code_and_reason(server.confirm(&others, "pay-1").await), not_found);

    let hold = server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    server.release(&hold, &[], vec![]).await.unwrap();
    for _ in 0..2 {
        let told = code_and_reason(server.confirm(&hold, "pay-2").await);
        assert_eq!(told, (Code::FailedPrecondition, "HOLD_RELEASED".into()));
    }
    let hold = server.hold(hold_request("ann", &["A-3"])).await.unwrap();
    server.expire(&hold).await;
    for _ in 0..2 {
        let told = code_and_reason(server.confirm(&hold, "pay-3").await);
        assert_eq!(told, (Code::FailedPrecondition, "HOLD_EXPIRED".into()));
    }
    assert_eq!(server.house().await.count(SeatStatus::Sold), 1);
}

/// The hold is deleted from Redis by hand, in whole or in part, and another
/// holder takes the seat: whoever pays first has it, the other is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_redis_lost_sells_nothing_twice() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut redis = stage.stores.redis().await;
    for (row, delete_record, later_pays_first) in
        [("A", true, true), ("B", true, false), ("C", false, true), ("D", false, false)]
    {
        let seats = [format!("{row}-1"), format!("{row}-2")];
        let seats = [seats[0].as_str(), seats[1].as_str()];
        let early = server.hold(hold_request("ann", &seats)).await.unwrap();
        let _: () = redis.del("hf:{event}:seats").await.unwrap();
        if delete_record {
            let id = early.hold_id.replace('-', "");
            let _: () = redis.hdel("hf:{event}:holds", &id).await.unwrap();
            let _: () = redis.zrem("hf:{event}:due", &id).await.unwrap();
        }
        let late = server.hold(hold_request("bob", &seats[..1])).await.unwrap();
        let (early_pay, late_pay) = (format!("pay-{row}-early"), format!("pay-{row}-late"));
        let (sold, refused) = if later_pays_first {
            let sold = server.confirm(&late, &late_pay).await;
            (sold, server.confirm(&early, &early_pay).await)
        } else {
            let first = server.confirm(&early, &early_pay).await;
            (server.confirm(&late, &late_pay).await, first)
        };
        // The later one is what Redis has; the early one was lost with Redis.
        assert_eq!(places(&sold.unwrap()), &seats[..1]);
        let lost = (Code::FailedPrecondition, "HOLD_LOST".to_owned());
        let not_found = (Code::NotFound, "HOLD_NOT_FOUND".to_owned());
        // Unless it is journaled, nobody knows of a record that is gone.
        let told = code_and_reason(refused);
        assert!(told == lost || (delete_record && told == not_found), "{told:?}");
        let again = code_and_reason(server.confirm(&early, &early_pay).await);
        assert!(again == lost || (delete_record && again == not_found), "{again:?}");

        let postgres = stage.stores.postgres().await;
        let ours = uuid::Uuid::parse_str(&early.hold_id).unwrap();
        let half_done = "SELECT (SELECT count(*) FROM orders WHERE hold_id = $1)
            + (SELECT count(*) FROM outbox WHERE hold_id = $1 AND kind = 'sold')";
        let left = postgres.query_one(half_done, &[&ours]).await.unwrap();
        assert_eq!(left.get::<_, i64>(0), 0, "nothing is left half done");
    }
}

/// Two sales of one seat reach Postgres, since Redis has been made to promise
/// it twice: the constraint decides.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_alone_would_not_sell_twice() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut redis = stage.stores.redis().await;
    let early = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    let _: () = redis.del("hf:{event}:seats").await.unwrap();
    let late = server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    server.confirm(&late, "pay-late").await.unwrap();
    // Redis is made to believe in the early hold again.
    let value = format!("H{}", early.hold_id.replace('-', ""));
    let _: () = redis.hset_multiple("hf:{event}:seats", &[(0, &value), (1, &value)]).await.unwrap();
    for _ in 0..2 {
        let told = code_and_reason(server.confirm(&early, "pay-early").await);
        assert_eq!(told, (Code::FailedPrecondition, "HOLD_LOST".into()));
    }
    let postgres = stage.stores.postgres().await;
    let tickets = postgres.query_one("SELECT count(*) FROM tickets", &[]).await.unwrap();
    assert_eq!(tickets.get::<_, i64>(0), 1);
    let hold = server.get_hold(EVENT, &early.hold_id).await.unwrap();
    assert_eq!(hold.state(), HoldState::Lost);
}

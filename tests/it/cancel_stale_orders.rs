//! Orders whose time is up: cancelled once, their places back once, by any number of
//! servers.

use futures_util::future::join_all;
use holdfast::{
    config::{Doors, Payments},
    proto::{OrderState, SeatStatus},
};
use tokio::net::TcpListener;

use crate::support::{
    EVENT, Server, Stage, Stores, any_doors, eventually, floor, hold_request, small_event,
};

#[tokio::test(flavor = "multi_thread")]
async fn places_are_back_once() {
    let stage = Stage::new().await;
    let _other = stage.another_server().await;
    let server = &stage.server;
    let make = async |row: char| {
        let mut request = hold_request("ann", &[&format!("{row}-1"), &format!("{row}-2")]);
        request.areas = floor(2);
        let hold = server.hold(request).await.unwrap();
        (server.create_order(&hold).await.unwrap().order.unwrap(), hold)
    };
    let orders = join_all(('A'..='J').map(make)).await;
    // One is paid, and one is cancelled by its holder.
    server.confirm(&orders[0].1, "pay-1").await.unwrap();
    server.cancel_order(&orders[1].0.order_id).await.unwrap();
    let postgres = stage.stores.postgres().await;
    let sql = "UPDATE orders SET price_expire_time = now() - interval '1 s'";
    assert_eq!(postgres.execute(sql, &[]).await.unwrap(), 10);

    eventually("all are cancelled", async || {
        let sql = "SELECT count(*) FROM orders WHERE state = 'CANCELLED'";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 9).then_some(())
    })
    .await;
    eventually("the house is free but for what is sold", async || {
        let house = server.house().await;
        let counts = (house.count(SeatStatus::Available), house.count(SeatStatus::Sold));
        ((counts, house.areas["floor"]) == ((98, 2), 98)).then_some(())
    })
    .await;
    let sql = "SELECT count(*), count(DISTINCT order_id) FROM order_events
        WHERE kind = 'ORDER_CANCELLED'";
    let row = postgres.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (9, 9));
    let paid = server.get_order(&orders[0].0.order_id).await.unwrap().order.unwrap();
    assert_eq!(paid.state(), OrderState::Paid);
    // Their time alone was up: who still pays gets the places again.
    let (order, hold) = &orders[2];
    let late = server.confirm(hold, "pay-3").await.unwrap();
    assert_eq!((late.state(), &late.order_id), (OrderState::Paid, &order.order_id));
    assert_eq!(late.cancel_time, None);
    assert_eq!(server.house().await.count(SeatStatus::Sold), 4);
    assert_eq!(server.get_hold(EVENT, &late.hold_id).await.unwrap().order_id, order.order_id);
}

/// A provider that takes connections and never answers keeps those waiting alone whose
/// money it may have.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_provider_waits_for_none() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stores = Stores::new().await;
    let payments = Payments {
        vnpay_tmn_code: Some("HOLDFAST".into()),
        vnpay_hash_secret: Some("a-secret".into()),
        vnpay_api_url: format!("http://{}/api", silent.local_addr().unwrap()),
        ..Payments::default()
    };
    let doors = Doors { payments, ..any_doors() };
    let server = Server::start_on(&doors, &stores.settings()).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    let mut orders = Vec::new();
    for row in 'A'..='J' {
        for number in 1..=7 {
            let seat = format!("{row}-{number}");
            let hold = server.hold(hold_request("ann", &[&seat])).await.unwrap();
            orders.push(server.create_order(&hold).await.unwrap().order.unwrap().order_id);
        }
    }
    let by_hand = orders.last().unwrap();
    let postgres = stores.postgres().await;
    let sql = "INSERT INTO payments (payment_id, order_id, provider, currency, amount_micros,
            state, begin_time)
        SELECT gen_random_uuid(), order_id, 'vnpay', currency, total_micros, 'BEGUN', now()
        FROM orders WHERE order_id <> $1::text::uuid";
    assert_eq!(postgres.execute(sql, &[by_hand]).await.unwrap(), 69);
    let sql = "UPDATE orders SET price_expire_time = now() - interval '1 s'";
    postgres.execute(sql, &[]).await.unwrap();
    eventually("the one without is cancelled", async || {
        let order = server.get_order(by_hand).await.unwrap().order.unwrap();
        (order.state() == OrderState::Cancelled).then_some(())
    })
    .await;
}

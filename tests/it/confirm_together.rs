//! Sales that wait for others share a statement, and nothing else.

use std::sync::Arc;

use futures_util::future::join_all;
use holdfast::{
    domain::{
        self, AreaHolding, AreaIndex, Epoch, EventId, HoldId, HoldRecord, Money, OrderId,
        SeatIndex, TicketId,
    },
    holds::{Holds, Reply},
    ledger::{Ledger, Sale, SaleTicket, SaleVerdict, Settings},
    proto::{Hold, Order, SeatStatus},
};
use tonic::{Code, Status};

use crate::support::{EVENT, Stage, code_and_reason, eventually, floor, hold_request};

/// A hold for each of so many seats, each with so many units of the floor: seats alone are
/// sold by a statement of their own.
async fn holds(stage: &Stage, count: usize, units: i32) -> Vec<Hold> {
    let mut holds = Vec::new();
    for n in 0..count {
        let seat = format!("{}-{}", char::from(b'A' + (n / 10) as u8), n % 10 + 1);
        let mut request = hold_request("ann", &[&seat]);
        request.areas = if units > 0 { floor(units) } else { Vec::new() };
        holds.push(stage.server.hold(request).await.unwrap());
    }
    holds
}

/// Confirms all while the event's row is locked, so that they wait for each other.
async fn confirm_together(stage: &Stage, holds: &[Hold]) -> Vec<Result<Order, Status>> {
    let mut operator = stage.stores.postgres().await;
    let lock = operator.transaction().await.unwrap();
    let sql = "SELECT epoch FROM events WHERE event_id = $1 FOR NO KEY UPDATE";
    let epoch = Epoch(lock.query_one(sql, &[&EVENT]).await.unwrap().get::<_, i64>(0) as u64);
    let confirms = holds.iter().enumerate();
    let confirms =
        confirms.map(|(n, hold)| async move { stage.server.confirm(hold, &pay(n)).await });
    // Of Redis: they may have all of the server's connections to Postgres.
    let redis = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let unlock = async {
        for hold in holds {
            let hold_id = HoldId(hold.hold_id.parse().unwrap());
            eventually("its Confirm is under way", async || {
                let Ok(Reply::Done(found)) = redis.get_hold(&event_id, epoch, hold_id).await else {
                    return None;
                };
                (found[0].state == domain::HoldState::Confirming).then_some(())
            })
            .await;
        }
        lock.commit().await.unwrap();
    };
    let (sold, ()) = tokio::join!(join_all(confirms), unlock);
    sold
}

fn pay(n: usize) -> String {
    format!("pay-{n}")
}

/// How many orders there are, and by how many transactions.
async fn orders(stage: &Stage) -> (i64, i64) {
    const COUNT: &str = "SELECT count(*), count(DISTINCT xmin::text) FROM orders";
    let row = stage.stores.postgres().await.query_one(COUNT, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_that_wait_share_a_transaction() {
    for units in [0, 1] {
        sales_share_a_transaction(units).await;
    }
}

async fn sales_share_a_transaction(units: i32) {
    let stage = Stage::new().await;
    let holds = holds(&stage, 40, units).await;
    let sold = confirm_together(&stage, &holds).await;
    for ((n, hold), order) in holds.iter().enumerate().zip(&sold) {
        let order = order.as_ref().unwrap();
        assert_eq!((&order.hold_id, &order.payment_reference), (&hold.hold_id, &pay(n)));
        assert_eq!(stage.server.confirm(hold, &pay(n)).await.unwrap(), *order);
    }
    let (orders, transactions) = orders(&stage).await;
    assert_eq!(orders, 40);
    assert!(transactions < orders, "each in a transaction of its own");
    let house = stage.server.house().await;
    assert_eq!(house.count(SeatStatus::Sold), 40);
    assert_eq!(house.areas["floor"], 100 - 40 * units);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_fails_with_another() {
    for units in [0, 1] {
        the_others_are_sold(units).await;
    }
}

async fn the_others_are_sold(units: i32) {
    let stage = Stage::new().await;
    let holds = holds(&stage, 40, units).await;
    // One payment has paid for something else, and one seat has been sold by hand.
    stage.server.confirm(&holds[0], &pay(7)).await.unwrap();
    let insert = "INSERT INTO tickets (ticket_id, order_id, event_id, seat_index, price_micros)
        SELECT gen_random_uuid(), order_id, event_id, 20, 1 FROM orders";
    stage.stores.postgres().await.execute(insert, &[]).await.unwrap();

    let sold = confirm_together(&stage, &holds[1..]).await;
    for (n, sold) in sold.into_iter().enumerate() {
        match n {
            7 => {
                let told = code_and_reason(sold);
                assert_eq!(told, (Code::AlreadyExists, "PAYMENT_REFERENCE_USED".into()));
            }
            19 => assert_eq!(code_and_reason(sold).1, "HOLD_LOST"),
            _ => _ = sold.unwrap(),
        }
    }
    assert_eq!(orders(&stage).await.0, 38);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_waits_long_for_another() {
    for units in [0, 1] {
        the_others_are_sold_soon(units).await;
    }
}

async fn the_others_are_sold_soon(units: i32) {
    let stage = Stage::new().await;
    let holds = holds(&stage, 40, units).await;
    // Somebody is about to decide on one of them, and does not come to an end.
    let mut other = stage.stores.postgres().await;
    let undecided = other.transaction().await.unwrap();
    let insert = "INSERT INTO hold_outcomes (event_id, hold_id, outcome)
        VALUES ($1, $2::text::uuid, 'lost')";
    undecided.execute(insert, &[&EVENT, &holds[39].hold_id]).await.unwrap();

    let confirms = confirm_together(&stage, &holds);
    let decide = async {
        eventually("all others are sold", async || (orders(&stage).await.0 == 39).then_some(()))
            .await;
        undecided.rollback().await.unwrap();
    };
    let (sold, ()) = tokio::join!(confirms, decide);
    for order in sold {
        order.unwrap();
    }
    assert_eq!(orders(&stage).await.0, 40);
}

/// An order of area units that is paid several times at once while the event is busy:
/// no constraint of seats would keep it from being sold twice by one statement.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_paid_by_several_at_once_is_sold_once() {
    const ORDERS: i64 = 20;
    let stage = Stage::new().await;
    let mut sales = Vec::new();
    for i in 0..ORDERS {
        let mut request = hold_request(&format!("holder-{i}"), &[]);
        request.areas = floor(1);
        let hold = stage.server.hold(request).await.unwrap();
        let order = stage.server.create_order(&hold).await.unwrap().order.unwrap();
        sales.extend((0..4).map(|_| sale_of(&hold, &order, &format!("pay-{i}"))));
    }
    let (row, sold) = sell_at_once(&stage, sales, ORDERS).await;
    assert_eq!(sold, ORDERS);
    assert_eq!(row, [ORDERS; 4]);
}

/// A hold of seats that is confirmed several times at once: each attempt would make an
/// order of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_confirmed_by_several_at_once_is_sold_once() {
    const HOLDS: i64 = 20;
    let stage = Stage::new().await;
    let mut sales = Vec::new();
    for hold in holds(&stage, HOLDS as usize, 0).await {
        let seat = sales.len() as u32 / 4;
        sales.extend((0..4).map(|_| sale_of_seat(&hold, SeatIndex(seat))));
    }
    let (row, sold) = sell_at_once(&stage, sales, HOLDS).await;
    assert_eq!(sold, HOLDS);
    assert_eq!(row, [HOLDS, 0, HOLDS, HOLDS]);
}

/// Once the journal has so many holds: how many tickets, units, orders and order events
/// there are then, and how many sales were told that they were made.
async fn sell_at_once(stage: &Stage, sales: Vec<Sale>, holds: i64) -> ([i64; 4], i64) {
    let postgres = stage.stores.postgres().await;
    eventually("the journal has the holds", async || {
        let sql = "SELECT count(*) FROM holds";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == holds).then_some(())
    })
    .await;
    let url = stage.stores.settings().postgres_url;
    let ledger = Ledger::new(&Settings { url, pool_size: 4 }).unwrap();
    let sold = join_all(sales.into_iter().map(|sale| ledger.confirm(Arc::new(sale)))).await;
    let is_sold = |verdict: &_| matches!(verdict, Ok(SaleVerdict::Sold { .. }));
    let sold = sold.iter().filter(|verdict| is_sold(verdict)).count() as i64;
    let sql = "SELECT (SELECT count(*) FROM tickets), (SELECT sold FROM areas)::int8,
        (SELECT count(*) FROM orders WHERE state = 'PAID'),
        (SELECT count(*) FROM order_events WHERE kind = 'ORDER_PAID')";
    let row = postgres.query_one(sql, &[]).await.unwrap();
    ([0, 1, 2, 3].map(|at| row.get(at)), sold)
}

/// Of a new order.
fn sale_of_seat(hold: &Hold, seat: SeatIndex) -> Sale {
    let order_id = OrderId::new_v7();
    let order = Order { order_id: order_id.to_string(), ..Order::default() };
    let mut sale = sale_of(hold, &order, &format!("pay-{order_id}"));
    sale.order_waits = false;
    sale.hold.areas.clear();
    sale.hold.seats.push(seat);
    sale.tickets[0].place = Ok(seat);
    sale
}

fn sale_of(hold: &Hold, order: &Order, payment: &str) -> Sale {
    let price = 12_000_000;
    Sale {
        event_id: hold.event_id.parse().unwrap(),
        epoch: Epoch(1),
        hold_id: hold.hold_id.parse().unwrap(),
        hold: HoldRecord {
            holder_id: hold.holder_id.parse().unwrap(),
            fingerprint: "f".into(),
            state: domain::HoldState::Confirming,
            created_ms: 1,
            expires_ms: 2,
            ended_ms: 0,
            seats: Vec::new(),
            areas: vec![AreaHolding { area: AreaIndex(0), quantity: 1, at_first: 1 }],
            order_id: None,
            seq: 1,
            asked: 0,
        },
        order_id: order.order_id.parse().unwrap(),
        order_waits: true,
        payment_reference: payment.parse().unwrap(),
        total: Money { currency: "EUR".parse().unwrap(), micros: price },
        tickets: vec![SaleTicket {
            ticket_id: TicketId::new_v7(),
            place: Err(AreaIndex(0)),
            price,
        }],
        trace: holdfast::telemetry::Trace::default(),
    }
}

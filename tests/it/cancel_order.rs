//! CancelOrder: an order that is not paid ends, and its places are free.

use futures_util::future::join_all;
use holdfast::proto::{HoldState, OrderState, SeatStatus};
use tonic::Code;

use crate::support::{EVENT, Stage, code_and_reason, floor, hold_request};

#[tokio::test(flavor = "multi_thread")]
async fn its_places_are_free_at_once() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1"]);
    request.areas = floor(3);
    let hold = server.hold(request).await.unwrap();
    let order = server.create_order(&hold).await.unwrap().order.unwrap();
    let cancelled = server.cancel_order(&order.order_id).await.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    assert!(cancelled.cancel_time.is_some());
    let house = server.house().await;
    assert_eq!((house.count(SeatStatus::Held), house.areas["floor"]), (0, 100));
    let hold = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!(hold.state(), HoldState::Released);
    // Again changes nothing.
    assert_eq!(server.cancel_order(&order.order_id).await.unwrap(), cancelled);
    let postgres = stage.stores.postgres().await;
    let sql = "SELECT (SELECT count(*) FROM order_audit WHERE action = 'cancel' AND actor = 'ann'),
        (SELECT count(*) FROM order_events WHERE kind = 'ORDER_CANCELLED')";
    let row = postgres.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 1));
    // It is not for sale any more, and nobody owes anything.
    let told = code_and_reason(server.confirm(&hold, "pay-1").await);
    assert_eq!(told, (Code::FailedPrecondition, "HOLD_RELEASED".to_owned()));
    assert!(server.get_order(&order.order_id).await.unwrap().refunds.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_is_not_cancelled() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.create_order(&hold).await.unwrap().order.unwrap();
    server.confirm(&hold, "pay-1").await.unwrap();
    let told = code_and_reason(server.cancel_order(&order.order_id).await);
    assert_eq!(told, (Code::FailedPrecondition, "ORDER_STATE".to_owned()));
    let unknown = uuid::Uuid::now_v7().to_string();
    let told = code_and_reason(server.cancel_order(&unknown).await);
    assert_eq!(told, (Code::NotFound, "ORDER_NOT_FOUND".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_once_with_its_payment_one_of_them_wins() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let rounds = ('A'..='J').map(async |row| {
        let hold = stage.server.hold(hold_request("ann", &[&format!("{row}-1")])).await.unwrap();
        let order = stage.server.create_order(&hold).await.unwrap().order.unwrap();
        let payment = format!("pay-{row}");
        let (cancelled, paid) = tokio::join!(
            stage.server.cancel_order(&order.order_id),
            other.confirm(&hold, &payment),
        );
        let found = stage.server.get_order(&order.order_id).await.unwrap().order.unwrap();
        match found.state() {
            OrderState::Paid => {
                assert_eq!(paid.unwrap().order_id, order.order_id);
                assert_eq!(found.tickets.len(), 1);
                code_and_reason(cancelled);
            }
            OrderState::Cancelled => {
                assert!(found.tickets.is_empty());
                cancelled.unwrap();
                code_and_reason(paid);
            }
            // Released, then paid late, then cancelled before that was through.
            OrderState::RefundDue => {
                assert!(found.tickets.is_empty());
                assert_eq!(paid.unwrap().state(), OrderState::RefundDue);
            }
            other => panic!("{other:?}"),
        }
        found.state() == OrderState::Paid
    });
    let paid = join_all(rounds).await.into_iter().filter(|&paid| paid).count();
    let house = stage.server.house().await;
    assert_eq!((house.count(SeatStatus::Sold), house.count(SeatStatus::Held)), (paid, 0));
}

//! CreateOrder: one order a hold, at the prices of then, until its payment comes.

use futures_util::future::join_all;
use holdfast::proto::{self, HoldState, OrderState, order_item::Place};
use tonic::Code;

use crate::support::{
    EVENT, Stage, code_and_reason, floor, hold_request, ms, refusal, small_event,
};

async fn told_of(stage: &Stage, order_id: &str) -> Vec<String> {
    let postgres = stage.stores.postgres().await;
    let sql = "SELECT kind FROM order_events WHERE order_id = $1::text::uuid
        ORDER BY order_event_id";
    let rows = postgres.query(sql, &[&order_id]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_waits_for_its_payment() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-2", "A-1"]);
    request.areas = floor(2);
    request.ttl = ms(30_000);
    let hold = server.hold(request).await.unwrap();
    let made = server.create_order(&hold).await.unwrap();

    let order = made.order.unwrap();
    assert_eq!(order.state(), OrderState::Pending);
    assert_eq!(order.total.as_ref().unwrap().units, 2 * 30 + 2 * 12);
    let items: Vec<_> = order
        .items
        .iter()
        .map(|item| match item.place.as_ref().unwrap() {
            Place::SeatId(id) | Place::AreaId(id) => {
                (id.as_str(), item.quantity, item.price.as_ref().unwrap().units)
            }
        })
        .collect();
    assert_eq!(items, [("A-1", 1, 30), ("A-2", 1, 30), ("floor", 2, 12)]);
    assert!(order.tickets.is_empty() && order.payment_reference.is_empty());
    assert_eq!((made.payment_url.as_str(), &*order.payment_provider), ("", "manual"));
    // The hold lives as long as the prices stand.
    let (hold_end, price_end) = (made.hold_expire_time.unwrap(), made.price_expire_time.unwrap());
    assert!((price_end.seconds - hold_end.seconds).abs() <= 2, "{hold_end:?} {price_end:?}");
    assert!(hold_end.seconds > hold.expire_time.unwrap().seconds + 800);
    let extended = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!(extended.expire_time, Some(hold_end));
    // Again it is the same order.
    let again = server.create_order(&hold).await.unwrap();
    assert_eq!((again.order.unwrap(), again.hold_expire_time), (order.clone(), Some(hold_end)));

    let paid = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!((&paid.order_id, paid.state()), (&order.order_id, OrderState::Paid));
    assert_eq!((paid.tickets.len(), &*paid.payment_reference), (4, "pay-1"));
    assert_eq!((&paid.items, paid.create_time), (&order.items, order.create_time));
    let found = server.get_order(&order.order_id).await.unwrap().order.unwrap();
    assert_eq!(found, paid);
    assert_eq!(server.confirm(&hold, "pay-1").await.unwrap(), paid);
    assert_eq!(server.create_order(&hold).await.unwrap().order.unwrap(), paid);
    assert_eq!(told_of(&stage, &paid.order_id).await, ["ORDER_CREATED", "ORDER_PAID"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_has_one_order_however_many_ask_at_once() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    for seat in ["A-1", "A-2", "A-3"] {
        let hold = stage.server.hold(hold_request("ann", &[seat])).await.unwrap();
        let made = (0..8).map(|i| match i % 2 {
            0 => stage.server.create_order(&hold),
            _ => other.create_order(&hold),
        });
        let made = join_all(made).await;
        let mut ids: Vec<_> =
            made.into_iter().map(|made| made.unwrap().order.unwrap().order_id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(told_of(&stage, &ids[0]).await, ["ORDER_CREATED"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn confirm_and_create_order_at_once_leave_one_order() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    for row in 'A'..='J' {
        let hold = stage.server.hold(hold_request("ann", &[&format!("{row}-1")])).await.unwrap();
        let payment = format!("pay-{row}");
        let (made, paid) =
            tokio::join!(stage.server.create_order(&hold), other.confirm(&hold, &payment));
        let paid = paid.unwrap();
        assert_eq!((paid.state(), paid.tickets.len()), (OrderState::Paid, 1));
        match made {
            Ok(made) => assert_eq!(made.order.unwrap().order_id, paid.order_id),
            // Sold before, or while it was asked for.
            Err(status) => {
                let (code, reason) = code_and_reason::<()>(Err(status));
                assert_eq!(code, Code::FailedPrecondition);
                assert!(["HOLD_CONFIRMED", "HOLD_CONFIRMING"].contains(&&*reason), "{reason}");
            }
        }
        assert_eq!(stage.server.get_order(&paid.order_id).await.unwrap().order.unwrap(), paid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sold_has_no_order() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let refused = async |hold: &proto::Hold| code_and_reason(server.create_order(hold).await);
    let precondition = |reason: &str| (Code::FailedPrecondition, reason.to_owned());
    let missing = |reason: &str| (Code::NotFound, reason.to_owned());

    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let theirs = proto::Hold { holder_id: "bob".into(), ..hold.clone() };
    assert_eq!(refused(&theirs).await, missing("HOLD_NOT_FOUND"));
    let nowhere = proto::Hold { event_id: "nowhere".into(), ..hold.clone() };
    assert_eq!(refused(&nowhere).await, missing("EVENT_NOT_FOUND"));
    server.expire(&hold).await;
    assert_eq!(refused(&hold).await, precondition("HOLD_EXPIRED"));
    let hold = server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    server.release(&hold, &[], vec![]).await.unwrap();
    assert_eq!(refused(&hold).await, precondition("HOLD_RELEASED"));
    let hold = server.hold(hold_request("ann", &["A-3"])).await.unwrap();
    server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(refused(&hold).await, precondition("HOLD_CONFIRMED"));
    let hold = server.hold(hold_request("ann", &["A-4"])).await.unwrap();
    let order = server.create_order(&hold).await.unwrap().order.unwrap();
    assert_eq!(
        refused(&proto::Hold { holder_id: "bob".into(), ..hold.clone() }).await.1,
        "HOLD_NOT_FOUND"
    );
    server.cancel_order(&order.order_id).await.unwrap();
    assert_eq!(refused(&hold).await, precondition("ORDER_STATE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_is_named() {
    let stage = Stage::new().await;
    let request = proto::CreateOrderRequest {
        event_id: "an event".into(),
        hold_id: "no uuid".into(),
        holder_id: String::new(),
        payment_provider: String::new(),
        buyer: Some(proto::Buyer {
            name: "a\nb".into(),
            email: "nobody".into(),
            language: "no tag".into(),
        }),
        return_url: "javascript:alert(1)".into(),
        client_ip: "1.2.3".into(),
    };
    let told = refusal(stage.server.checkout.clone().create_order(request).await);
    let fields = [
        "event_id",
        "hold_id",
        "holder_id",
        "buyer.name",
        "buyer.email",
        "return_url",
        "client_ip",
    ];
    assert_eq!(
        (told.code, told.subjects.iter().map(String::as_str).collect::<Vec<_>>()),
        (Code::InvalidArgument, fields.to_vec())
    );
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let request = proto::CreateOrderRequest {
        event_id: EVENT.into(),
        hold_id: hold.hold_id.clone(),
        holder_id: "ann".into(),
        payment_provider: "coins".into(),
        ..proto::CreateOrderRequest::default()
    };
    let told = refusal(stage.server.checkout.clone().create_order(request).await);
    assert_eq!(told.subjects, ["payment_provider"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_lives_no_longer_than_its_event_lets_it() {
    let stage = Stage::empty().await;
    let server = &stage.server;
    let mut house = small_event(EVENT);
    let event = house.event.as_mut().unwrap();
    (event.hold_ttl, event.max_hold_time) = (ms(20_000), ms(60_000));
    event.payment_window = ms(600_000);
    server.create_event(house).await.unwrap();
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let made = server.create_order(&hold).await.unwrap();
    let begun = hold.create_time.unwrap().seconds;
    let end = made.hold_expire_time.unwrap().seconds;
    assert!((begun + 58..=begun + 60).contains(&end), "{begun} {end}");
    assert!(made.price_expire_time.unwrap().seconds >= begun + 599);
    let hold = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!(hold.state(), HoldState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_listed_by_holder_and_by_event_the_latest_first() {
    let stage = Stage::new().await;
    let server = &stage.server;
    server.create_event(small_event("other")).await.unwrap();
    let mut made = Vec::new();
    for (holder, event, seat) in [
        ("ann", EVENT, "A-1"),
        ("bob", EVENT, "A-2"),
        ("ann", "other", "A-1"),
        ("ann", EVENT, "A-3"),
    ] {
        let request =
            proto::HoldRequest { event_id: event.into(), ..hold_request(holder, &[seat]) };
        let hold = server.hold(request).await.unwrap();
        made.push(server.create_order(&hold).await.unwrap().order.unwrap());
    }
    let list = async |request: proto::ListOrdersRequest| {
        server.checkout.clone().list_orders(request).await.unwrap().into_inner()
    };
    let of = |holder: &str, event: &str, page_size, page_token: &str| proto::ListOrdersRequest {
        holder_id: holder.into(),
        event_id: event.into(),
        states: Vec::new(),
        page_size,
        page_token: page_token.into(),
    };
    let page = list(of("ann", "", 2, "")).await;
    assert_eq!(page.orders, [made[3].clone(), made[2].clone()]);
    let page = list(of("ann", "", 2, &page.next_page_token)).await;
    assert_eq!((page.orders, &*page.next_page_token), (vec![made[0].clone()], ""));
    let page = list(of("", EVENT, 0, "")).await;
    assert_eq!(page.orders, [made[3].clone(), made[1].clone(), made[0].clone()]);
    server.cancel_order(&made[3].order_id).await.unwrap();
    let request = proto::ListOrdersRequest {
        states: vec![OrderState::Pending.into()],
        ..of("ann", EVENT, 0, "")
    };
    assert_eq!(list(request).await.orders, [made[0].clone()]);

    let bad = of("", "", 201, "x");
    let told = refusal(server.checkout.clone().list_orders(bad).await);
    assert_eq!(told.subjects, ["holder_id", "page_size", "page_token"]);
    let unknown = uuid::Uuid::now_v7().to_string();
    let told = code_and_reason(server.get_order(&unknown).await);
    assert_eq!(told, (Code::NotFound, "ORDER_NOT_FOUND".to_owned()));
}

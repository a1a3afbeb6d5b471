//! Orders that are paid at VNPAY's: in time, late, twice, wrongly, silently.

use holdfast::{
    config::{Doors, Payments},
    proto::{
        self, CreateOrderResponse, Hold, Order, OrderState, PaymentState, RefundState, SeatStatus,
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    EVENT, House, Server, Stores, any_doors, eventually, hold_request, http, refusal, small_event,
    vnpay::Simulator,
};

/// A server whose buyers pay at a VNPAY of its own.
struct Scene {
    stores: Stores,
    server: Server,
    simulator: Simulator,
}

impl Scene {
    async fn new() -> Self {
        let simulator = Simulator::start("http://127.0.0.1:1/").await;
        let stores = Stores::new().await;
        let settings = simulator.settings();
        let payments = Payments {
            vnpay_tmn_code: Some(settings.tmn_code),
            vnpay_hash_secret: Some(settings.hash_secret),
            vnpay_pay_url: settings.pay_url,
            vnpay_api_url: settings.api_url,
            ..Payments::default()
        };
        let doors = Doors { payments, ..any_doors() };
        let server = Server::start_on(&doors, &stores.settings()).await;
        let ipn_url = format!("http://{}/payments/vnpay/callback", server.app.http_addr);
        simulator.set(&json!({ "ipn_urls": [ipn_url], "ipn_tries": 3 })).await;
        let mut house = small_event(EVENT);
        for category in &mut house.chart.as_mut().unwrap().price_categories {
            let price = category.price.as_mut().unwrap();
            (price.currency_code, price.units) = ("VND".into(), price.units * 10_000);
        }
        server.create_event(house).await.unwrap();
        Self { stores, server, simulator }
    }

    async fn create_order(&self, hold: &Hold) -> Result<CreateOrderResponse, tonic::Status> {
        let request = proto::CreateOrderRequest {
            event_id: EVENT.into(),
            hold_id: hold.hold_id.clone(),
            holder_id: hold.holder_id.clone(),
            payment_provider: "vnpay".into(),
            return_url: "https://shop.example/done?lang=vi#top".into(),
            client_ip: "203.0.113.7".into(),
            ..proto::CreateOrderRequest::default()
        };
        Ok(self.server.checkout.clone().create_order(request).await?.into_inner())
    }

    /// An order of seats, whose buyer is at the page where it is paid.
    async fn order(&self, holder: &str, seats: &[&str]) -> (Hold, Order, String) {
        let hold = self.server.hold(hold_request(holder, seats)).await.unwrap();
        let made = self.create_order(&hold).await.unwrap();
        self.simulator.open(&made.payment_url).await;
        (hold, made.order.unwrap(), reference_in(&made.payment_url))
    }

    async fn found(&self, order: &Order) -> proto::GetOrderResponse {
        self.server.get_order(&order.order_id).await.unwrap()
    }

    async fn becomes(&self, order: &Order, state: OrderState) -> proto::GetOrderResponse {
        eventually(state.as_str_name(), async || {
            let found = self.found(order).await;
            (found.order.as_ref().unwrap().state() == state).then_some(found)
        })
        .await
    }

    /// What downstream is told of an order, in order.
    async fn events(&self, order: &Order) -> Vec<String> {
        let order_id: Uuid = order.order_id.parse().unwrap();
        let sql = "SELECT replace(kind, 'ORDER_', '') FROM order_events WHERE order_id = $1
            ORDER BY order_event_id";
        let rows = self.stores.postgres().await.query(sql, &[&order_id]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn is_over(&self, hold: &Hold) {
        self.server.expire(hold).await;
        eventually("its seats are free", async || {
            let house = self.server.house().await;
            hold.seat_ids.iter().all(|id| house.seats[id] == SeatStatus::Available).then_some(())
        })
        .await;
    }

    async fn time_is_up(&self) {
        let sql = "UPDATE orders SET price_expire_time = now() - interval '1 s'
            WHERE state = 'PENDING'";
        assert_eq!(self.stores.postgres().await.execute(sql, &[]).await.unwrap(), 1);
    }
}

/// What VNPAY calls the payment of a page.
fn reference_in(payment_url: &str) -> String {
    let (_, reference) = payment_url.split_once("vnp_TxnRef=").unwrap();
    reference.split('&').next().unwrap().to_owned()
}

/// How the server answered VNPAY, in turn.
fn answers(transaction: &Value) -> Vec<&str> {
    let ipns = transaction["ipns"].as_array().unwrap().iter();
    ipns.map(|ipn| ipn["rsp_code"].as_str().unwrap()).collect()
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_in_time_and_told_again() {
    let scene = Scene::new().await;
    let (hold, order, reference) = scene.order("ann", &["A-1", "A-2"]).await;
    // The browser may come back before the provider has called.
    scene.simulator.act(&format!("{reference}/pay"), &json!({ "ipn": false })).await;
    let back = async |state: &str| {
        let back = scene.simulator.transaction(&format!("{reference}/return")).await;
        let url = back["url"].as_str().unwrap().to_owned();
        let path = url.split_once("/payments").unwrap().1;
        let answer = http::get(scene.server.app.http_addr, &format!("/payments{path}")).await;
        let to = "location: https://shop.example/done?lang=vi&order_id=";
        let to = format!("{to}{}&order_state={state}#top\r\n", order.order_id);
        assert!(answer.head.contains(&to), "{}", answer.head);
    };
    back("PENDING").await;
    let told = scene.simulator.act(&format!("{reference}/ipn"), &json!({})).await;
    assert_eq!(answers(&told), ["00"]);
    back("PAID").await;
    let found = scene.found(&order).await;
    let paid = found.order.unwrap();
    assert_eq!(
        (paid.state(), paid.tickets.len(), &paid.hold_id),
        (OrderState::Paid, 2, &hold.hold_id)
    );
    assert_eq!(paid.payment_reference, format!("vnpay:{reference}"));
    assert_eq!((found.payments.len(), found.payments[0].state()), (1, PaymentState::Paid));
    assert_eq!(found.payments[0].provider_reference, told["transaction_no"].as_str().unwrap());
    // Again, wrong, or by somebody else: nothing changes.
    let told = scene.simulator.act(&format!("{reference}/replay"), &json!({})).await;
    assert_eq!(answers(&told), ["00", "02"]);
    let told = scene.simulator.act(&format!("{reference}/ipn"), &json!({ "forged": true })).await;
    assert_eq!(answers(&told), ["00", "02", "97"]);
    assert_eq!(scene.found(&order).await.order.unwrap(), paid);
    let again = scene.create_order(&hold).await.unwrap();
    assert_eq!((again.order.unwrap(), again.payment_url), (paid, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_amount_pays_nothing() {
    let scene = Scene::new().await;
    let (_, order, reference) = scene.order("ann", &["A-1"]).await;
    let told = scene.simulator.act(&format!("{reference}/pay"), &json!({ "ipn": false })).await;
    assert_eq!(answers(&told), [""; 0]);
    let told = scene.simulator.act(&format!("{reference}/ipn"), &json!({ "amount": 100 })).await;
    assert_eq!(answers(&told), ["04"]);
    assert_eq!(scene.found(&order).await.order.unwrap(), order);
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_late_the_seats_are_taken_again() {
    let scene = Scene::new().await;
    let (hold, order, reference) = scene.order("ann", &["A-1", "A-2"]).await;
    scene.is_over(&hold).await;
    let told = scene.simulator.act(&format!("{reference}/pay"), &json!({})).await;
    assert_eq!(answers(&told), ["00"]);
    let paid = scene.found(&order).await.order.unwrap();
    assert_eq!((paid.state(), paid.tickets.len()), (OrderState::Paid, 2));
    assert_eq!(scene.server.house().await.count(SeatStatus::Sold), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_late_and_gone_the_provider_gives_it_back() {
    let scene = Scene::new().await;
    let (hold, order, reference) = scene.order("ann", &["A-1", "A-2"]).await;
    scene.is_over(&hold).await;
    let bobs = scene.server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    let told = scene.simulator.act(&format!("{reference}/pay"), &json!({})).await;
    // It is durable that the money is due, so the provider need not come again.
    assert_eq!(answers(&told), ["00"]);
    let due = scene.found(&order).await;
    assert_eq!(due.order.unwrap().state(), OrderState::RefundDue);
    assert_eq!(due.refunds[0].state(), RefundState::Due);
    scene.server.confirm(&bobs, "pay-bob").await.unwrap();
    // The provider has no word for it at first.
    scene.simulator.set(&json!({ "down": true })).await;
    scene.server.refund_order(&order.order_id, &new_id(), &[]).await.unwrap();
    assert_eq!(scene.found(&order).await.refunds[0].state(), RefundState::Asked);
    scene.simulator.set(&json!({ "down": false })).await;
    let refunded = scene.becomes(&order, OrderState::Refunded).await;
    assert_eq!((refunded.refunds.len(), refunded.refunds[0].state()), (1, RefundState::Done));
    let books = scene.simulator.transaction(&reference).await;
    assert_eq!(books["refunds"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_to_pay_may_try_again() {
    let scene = Scene::new().await;
    let (hold, order, first) = scene.order("ann", &["A-1"]).await;
    let told = scene.simulator.act(&format!("{first}/fail"), &json!({})).await;
    assert_eq!(answers(&told), ["00"]);
    assert_eq!(scene.found(&order).await.payments[0].state(), PaymentState::Failed);
    let again = scene.create_order(&hold).await.unwrap();
    assert_eq!(again.order.unwrap(), order);
    let second = reference_in(&again.payment_url);
    assert_ne!(first, second);
    scene.simulator.open(&again.payment_url).await;
    scene.simulator.act(&format!("{second}/pay"), &json!({})).await;
    assert_eq!(scene.found(&order).await.order.unwrap().state(), OrderState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_attempts_paid_are_one_sale_and_one_refund() {
    let scene = Scene::new().await;
    let (hold, order, first) = scene.order("ann", &["A-1"]).await;
    // Taken as failed, as far as this side was told.
    let postgres = scene.stores.postgres().await;
    postgres.execute("UPDATE payments SET state = 'FAILED'", &[]).await.unwrap();
    let again = scene.create_order(&hold).await.unwrap();
    let second = reference_in(&again.payment_url);
    assert_ne!(first, second);
    scene.simulator.open(&again.payment_url).await;
    let told = scene.simulator.act(&format!("{second}/pay"), &json!({})).await;
    assert_eq!(answers(&told), ["00"]);
    // What had failed has come through after all.
    let told = scene.simulator.act(&format!("{first}/pay"), &json!({})).await;
    assert_eq!(answers(&told), ["00"]);
    let found = scene.found(&order).await;
    let paid = found.order.unwrap();
    assert_eq!((paid.state(), paid.tickets.len()), (OrderState::Paid, 1));
    assert_eq!(paid.payment_reference, format!("vnpay:{second}"));
    assert_eq!((found.refunds.len(), found.refunds[0].state()), (1, RefundState::Due));
    assert_eq!(found.refunds[0].amount, paid.total);
    // It is asked for by its own id; the tickets stay.
    let refund_id = found.refunds[0].refund_id.as_str();
    scene.server.refund_order(&order.order_id, refund_id, &[]).await.unwrap();
    eventually("it is given back", async || {
        let found = scene.found(&order).await;
        (found.refunds[0].state() == RefundState::Done).then_some(())
    })
    .await;
    assert_eq!(scene.found(&order).await.order.unwrap().tickets, paid.tickets);
    assert_eq!(scene.events(&order).await, ["CREATED", "PAID", "REFUND_DUE", "REFUNDED"]);
    let books = scene.simulator.transaction(&first).await;
    assert_eq!(books["refunds"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_refused_is_asked_for_again() {
    let scene = Scene::new().await;
    let (_, order, reference) = scene.order("ann", &["A-1", "A-2"]).await;
    scene.simulator.act(&format!("{reference}/pay"), &json!({})).await;
    let paid = scene.found(&order).await.order.unwrap();
    scene.simulator.set(&json!({ "refuse_refunds": true })).await;
    let (refund_id, ticket) = (new_id(), paid.tickets[0].ticket_id.as_str());
    scene.server.refund_order(&order.order_id, &refund_id, &[ticket]).await.unwrap();
    let becomes = async |state: RefundState| {
        eventually(state.as_str_name(), async || {
            let found = scene.found(&order).await;
            (found.refunds[0].state() == state).then_some(())
        })
        .await;
    };
    becomes(RefundState::Failed).await;
    // Nobody is told that money was given back before it was.
    assert_eq!(scene.events(&order).await, ["CREATED", "PAID", "REFUND_DUE"]);
    scene.simulator.set(&json!({ "refuse_refunds": false })).await;
    scene.server.refund_order(&order.order_id, &refund_id, &[]).await.unwrap();
    becomes(RefundState::Done).await;
    let found = scene.found(&order).await.order.unwrap();
    assert_eq!((found.state(), found.tickets.len()), (OrderState::Paid, 1));
    assert_eq!(scene.events(&order).await, ["CREATED", "PAID", "REFUND_DUE", "REFUNDED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_call_is_asked_when_the_time_is_up() {
    let scene = Scene::new().await;
    // One is paid, and nobody says so.
    let (_, order, reference) = scene.order("ann", &["A-1"]).await;
    scene.simulator.act(&format!("{reference}/pay"), &json!({ "ipn": false })).await;
    scene.time_is_up().await;
    let paid = scene.becomes(&order, OrderState::Paid).await;
    assert_eq!(paid.order.unwrap().tickets.len(), 1);
    // One is not, and its seats come back.
    let (_, order, _) = scene.order("bob", &["A-2"]).await;
    scene.time_is_up().await;
    scene.becomes(&order, OrderState::Cancelled).await;
    // One cannot be asked about: it waits.
    let (_, order, reference) = scene.order("cat", &["A-3"]).await;
    scene.simulator.act(&format!("{reference}/pay"), &json!({ "ipn": false })).await;
    scene.simulator.set(&json!({ "down": true })).await;
    scene.time_is_up().await;
    let postgres = scene.stores.postgres().await;
    eventually("it was asked about", async || {
        let sql = "SELECT count(*) FROM orders WHERE state = 'PENDING' AND lease_until > now()";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    scene.simulator.set(&json!({ "down": false })).await;
    let sql = "UPDATE orders SET lease_until = now() WHERE state = 'PENDING'";
    eventually("it is paid", async || {
        // Its lease runs out.
        postgres.execute(sql, &[]).await.unwrap();
        (scene.found(&order).await.order.unwrap().state() == OrderState::Paid).then_some(())
    })
    .await;
    let map = scene.server.get_seat_map(EVENT).await.unwrap();
    let seats = House::new(&map).seats;
    let [first, second, third] = ["A-1", "A-2", "A-3"].map(|seat| seats[seat]);
    assert_eq!((first, third), (SeatStatus::Sold, SeatStatus::Sold));
    assert_eq!(second, SeatStatus::Available);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_back_in_parts_through_the_provider() {
    let scene = Scene::new().await;
    let (_, order, reference) = scene.order("ann", &["A-1", "A-2", "A-3"]).await;
    scene.simulator.act(&format!("{reference}/pay"), &json!({})).await;
    let paid = scene.found(&order).await.order.unwrap();
    let ticket = paid.tickets[0].ticket_id.as_str();
    let part = scene.server.refund_order(&order.order_id, &new_id(), &[ticket]).await.unwrap();
    assert_eq!(part.refund.unwrap().state(), RefundState::Asked);
    assert_eq!(part.order.unwrap().state(), OrderState::Paid);
    scene.server.refund_order(&order.order_id, &new_id(), &[]).await.unwrap();
    let refunded = scene.becomes(&order, OrderState::Refunded).await;
    assert_eq!(refunded.order.unwrap().refunded, paid.total);
    let books = scene.simulator.transaction(&reference).await;
    let given: i64 =
        books["refunds"].as_array().unwrap().iter().map(|r| r["amount"].as_i64().unwrap()).sum();
    assert_eq!(given, paid.total.unwrap().units * 100);
    assert_eq!(scene.server.house().await.count(SeatStatus::Available), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn vnpay_takes_no_other_currency() {
    let scene = Scene::new().await;
    let mut euros = small_event("euros");
    euros.event.as_mut().unwrap().name = "Elsewhere".into();
    scene.server.create_event(euros).await.unwrap();
    let request = proto::HoldRequest { event_id: "euros".into(), ..hold_request("ann", &["A-1"]) };
    let hold = scene.server.hold(request).await.unwrap();
    let request = proto::CreateOrderRequest {
        event_id: "euros".into(),
        hold_id: hold.hold_id.clone(),
        holder_id: "ann".into(),
        payment_provider: "vnpay".into(),
        ..proto::CreateOrderRequest::default()
    };
    let told =
        crate::support::code_and_reason(scene.server.checkout.clone().create_order(request).await);
    assert_eq!(told.1, "PAYMENT_NOT_TAKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_after_that_and_is_not_told_of_is_heard_of_all_the_same() {
    let scene = Scene::new().await;
    let (_, order, reference) = scene.order("ann", &["A-1"]).await;
    scene.time_is_up().await;
    scene.becomes(&order, OrderState::Cancelled).await;
    scene.simulator.act(&format!("{reference}/pay"), &json!({ "ipn": false })).await;
    let postgres = scene.stores.postgres().await;
    eventually("it is paid, late", async || {
        // It need not wait for its next turn to be asked about.
        postgres.execute("UPDATE payments SET lease_until = NULL", &[]).await.unwrap();
        (scene.found(&order).await.order.unwrap().state() == OrderState::Paid).then_some(())
    })
    .await;
    assert_eq!(scene.server.house().await.seats["A-1"], SeatStatus::Sold);
    // Nor can anybody say by Confirm that what a provider tells was paid.
    let hold = scene.server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    let told = refusal(scene.server.confirm(&hold, "vnpay:1").await);
    assert_eq!(told.subjects, ["payment_reference"]);
}

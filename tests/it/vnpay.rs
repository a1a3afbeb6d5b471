//! The room `payments` against VNPAY's side, which checks by code of its own.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::{get, post},
};
use holdfast::{
    domain::{Money, OrderId, Payment, PaymentId, PaymentState, Refund, RefundId, RefundState},
    limits::MAX_PROVIDER_ANSWER_BYTES,
    payments::{
        Answer, CALLBACK_PATH, Charge, Error, Forged, Notice, Provider, Providers, Standing, VNPAY,
        VnpaySettings, parameters,
    },
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;

use crate::support::{
    eventually, http,
    vnpay::{API_PATH, Simulator},
};

type Heard = Vec<Result<Notice, Forged>>;

/// A merchant that verifies what it hears, and answers as it is told to.
struct Merchant {
    vnpay: Arc<dyn Provider>,
    answers: Mutex<Vec<Answer>>,
    heard: Mutex<Heard>,
}

struct Scene {
    simulator: Simulator,
    merchant: Arc<Merchant>,
    payment: Payment,
}

fn provider(settings: &VnpaySettings) -> Arc<dyn Provider> {
    Providers::new(Some(settings)).unwrap().get(VNPAY).unwrap()
}

fn dong(dong: i64) -> Money {
    Money { currency: "VND".parse().unwrap(), micros: dong * 1_000_000 }
}

impl Scene {
    /// A merchant that says, of each callback in turn, what became of it; the last one
    /// of every further callback.
    async fn new(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}{}",
            listener.local_addr().unwrap(),
            CALLBACK_PATH.replace("{provider}", VNPAY)
        );
        let simulator = Simulator::start(&url).await;
        let merchant = Arc::new(Merchant {
            vnpay: provider(&simulator.settings()),
            answers: Mutex::new(answers.to_vec()),
            heard: Mutex::default(),
        });
        let router = Router::new().route(CALLBACK_PATH, get(hear)).with_state(merchant.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let payment = Payment {
            payment_id: PaymentId::new_v7(),
            order_id: OrderId::new_v7(),
            provider: VNPAY.into(),
            amount: dong(1_250_000),
            state: PaymentState::Begun,
            provider_reference: None,
            begin_time: OffsetDateTime::now_utc(),
            pay_time: None,
            settlement: None,
        };
        Self { simulator, merchant, payment }
    }

    fn vnpay(&self) -> &dyn Provider {
        &*self.merchant.vnpay
    }

    fn url(&self) -> String {
        self.url_until(OffsetDateTime::now_utc() + Duration::minutes(15))
    }

    fn url_until(&self, expire_time: OffsetDateTime) -> String {
        let (payment, client_ip) = (&self.payment, "2001:db8::7".parse().ok());
        let charge = Charge { payment, expire_time, client_ip, language: "vi" };
        self.vnpay().payment_url(&charge).unwrap()
    }

    async fn open(&self) {
        let page = self.simulator.open(&self.url()).await;
        assert!(page.text().contains("<b>1250000.00 VND</b>"), "{}", page.text());
    }

    fn txn_ref(&self) -> String {
        self.payment.payment_id.0.simple().to_string()
    }

    async fn act(&self, verb: &str, body: Value) -> Value {
        self.simulator.act(&format!("{}/{verb}", self.txn_ref()), &body).await
    }

    async fn known(&self) -> Value {
        self.simulator.transaction(&self.txn_ref()).await
    }

    async fn query(&self) -> Result<Standing, Error> {
        self.vnpay().query(&self.payment).await
    }

    /// Pays, without a word to the merchant, who learns of it by asking.
    async fn paid(&mut self) {
        self.open().await;
        self.act("pay", json!({ "ipn": false })).await;
        let Ok(Standing::Paid { reference, .. }) = self.query().await else { panic!("it is paid") };
        self.payment.provider_reference = Some(reference.to_string());
    }

    async fn refund(&self, refund: &Refund, repeated: bool) -> Result<bool, Error> {
        let reversed = self.vnpay().refund(&self.payment, refund, repeated).await?;
        Ok(reversed.reference.is_some())
    }

    fn part(&self, amount: Money) -> Refund {
        Refund {
            refund_id: RefundId::new_v7(),
            order_id: self.payment.order_id,
            payment_id: Some(self.payment.payment_id),
            amount,
            state: RefundState::Asked,
            reason: "a test".into(),
            actor: "box-office".into(),
            create_time: OffsetDateTime::now_utc(),
            end_time: None,
        }
    }

    fn notice(&self, standing: Standing) -> Notice {
        Notice { payment_id: Some(self.payment.payment_id), standing }
    }

    fn heard(&self) -> Heard {
        self.merchant.heard.lock().unwrap().clone()
    }
}

async fn hear(
    State(merchant): State<Arc<Merchant>>,
    RawQuery(query): RawQuery,
) -> impl IntoResponse {
    let heard = merchant.vnpay.verify(&parameters(&query.unwrap()));
    let answer = match &heard {
        Err(_) => Answer::Forged,
        Ok(_) => {
            let mut answers = merchant.answers.lock().unwrap();
            if answers.len() > 1 { answers.remove(0) } else { answers[0] }
        }
    };
    merchant.heard.lock().unwrap().push(heard);
    let reply = merchant.vnpay.answer(answer);
    let status = StatusCode::from_u16(reply.status).unwrap();
    (status, [(CONTENT_TYPE, reply.content_type)], reply.body)
}

/// How the merchant's answers were read.
fn codes(transaction: &Value) -> Vec<(u64, String)> {
    let ipns = transaction["ipns"].as_array().unwrap().iter();
    ipns.map(|ipn| (ipn["http_status"].as_u64().unwrap(), ipn["rsp_code"].as_str().unwrap().into()))
        .collect()
}

fn code(status: u64, code: &str) -> (u64, String) {
    (status, code.into())
}

#[tokio::test]
async fn a_page_opens_for_what_we_signed_alone() {
    let scene = Scene::new(&[Answer::Settled]).await;
    let refused = async |url: &str, error: &str| {
        let page = scene.simulator.open(url).await.text();
        assert!(page.contains(&format!("Error {error}:")), "{page}");
    };
    let url = scene.url();
    refused(&url.replace("vnp_Amount=125000000", "vnp_Amount=500000"), "70").await;
    let other = VnpaySettings { hash_secret: "another".into(), ..scene.simulator.settings() };
    let charge = Charge {
        payment: &scene.payment,
        expire_time: OffsetDateTime::now_utc() + Duration::minutes(15),
        client_ip: None,
        language: "",
    };
    refused(&provider(&other).payment_url(&charge).unwrap(), "70").await;
    refused(&scene.url_until(OffsetDateTime::now_utc() - Duration::seconds(1)), "15").await;
    scene.open().await;
    // It may be loaded again, until it was paid.
    scene.simulator.open(&url).await;
    scene.act("pay", json!({})).await;
    refused(&url, "01").await;
}

#[tokio::test]
async fn what_is_paid_is_told_until_it_is_written_down() {
    let scene = Scene::new(&[Answer::Later, Answer::Later, Answer::Settled, Answer::Already]).await;
    scene.open().await;
    let told = scene.act("pay", json!({})).await;
    assert_eq!(codes(&told), [code(503, "99"), code(503, "99"), code(200, "00")]);
    let reference = told["transaction_no"].as_str().unwrap().parse().unwrap();
    let paid = Standing::Paid { amount: dong(1_250_000), reference };
    assert_eq!(scene.heard(), vec![Ok(scene.notice(paid.clone())); 3]);
    assert_eq!(scene.query().await, Ok(paid.clone()));
    // Once more, as it was.
    let told = scene.act("replay", json!({})).await;
    assert_eq!(codes(&told).last(), Some(&code(200, "02")));
    assert_eq!(scene.heard().last(), Some(&Ok(scene.notice(paid.clone()))));
    // The browser comes back with the same word, to a page of ours.
    let back = scene.simulator.transaction(&format!("{}/return", scene.txn_ref())).await;
    let back = back["url"].as_str().unwrap();
    let (page, query) = back.split_once('?').unwrap();
    assert_eq!(page, "https://tickets.example/payments/vnpay/return");
    assert_eq!(scene.vnpay().verify(&parameters(query)), Ok(scene.notice(paid)));
}

#[tokio::test]
async fn a_buyer_who_pays_on_the_page_comes_back_with_the_same_word() {
    let scene = Scene::new(&[Answer::Later, Answer::Settled]).await;
    scene.open().await;
    let choice = format!("/paymentv2/choice?choice=pay&txn_ref={}", scene.txn_ref());
    let back = http::send(scene.simulator.addr, "POST", &choice, &[], &[]).await;
    assert!(back.head.starts_with("HTTP/1.1 303"), "{back:?}");
    // We heard of it before the browser was sent back.
    let heard = scene.heard()[0].clone();
    let query = back.head.split_once("/payments/vnpay/return?").unwrap().1;
    let query = query.split_once("\r\n").unwrap().0;
    assert_eq!(scene.vnpay().verify(&parameters(query)), heard);
    assert!(matches!(heard.unwrap().standing, Standing::Paid { .. }));
    // And hear of it again, since we had not written it down.
    let told = eventually("a second callback", async || {
        Some(codes(&scene.known().await)).filter(|codes| codes.len() == 2)
    });
    assert_eq!(told.await, [code(503, "99"), code(200, "00")]);
}

#[tokio::test]
async fn a_wrong_amount_is_seen_and_a_forged_word_is_none() {
    let scene = Scene::new(&[Answer::WrongAmount]).await;
    scene.open().await;
    scene.act("pay", json!({ "ipn": false })).await;
    let told = scene.act("ipn", json!({ "amount": 500_000 })).await;
    let reference = told["transaction_no"].as_str().unwrap().parse().unwrap();
    let paid = scene.notice(Standing::Paid { amount: dong(5_000), reference });
    let told = scene.act("ipn", json!({ "forged": true })).await;
    assert_eq!(codes(&told), [code(200, "04"), code(200, "97")]);
    assert_eq!(scene.heard(), [Ok(paid), Err(Forged::Signature)]);
}

#[tokio::test]
async fn asking_tells_what_nobody_told() {
    let mut scene = Scene::new(&[Answer::Settled]).await;
    assert_eq!(scene.query().await, Ok(Standing::Unknown));
    scene.open().await;
    assert_eq!(scene.query().await, Ok(Standing::Open));
    scene.simulator.set(&json!({ "down": true })).await;
    assert!(matches!(scene.query().await, Err(Error::Later(_))));
    scene.simulator.set(&json!({ "down": false })).await;
    scene.act("fail", json!({ "ipn": false })).await;
    assert_eq!(scene.query().await, Ok(Standing::Failed { code: "02".into() }));
    // A payment that was begun at another time is another one.
    scene.payment.begin_time -= Duration::seconds(1);
    assert_eq!(scene.query().await, Ok(Standing::Unknown));
    assert!(scene.heard().is_empty());
    // Whose answers are signed by another secret is not believed.
    let other = VnpaySettings { hash_secret: "another".into(), ..scene.simulator.settings() };
    let error = provider(&other).query(&scene.payment).await.unwrap_err();
    assert_eq!(error, Error::Later("its answer is not signed; its code is 97".into()));
}

#[tokio::test]
async fn a_failure_is_told_with_its_code() {
    let scene = Scene::new(&[Answer::Settled]).await;
    scene.open().await;
    scene.act("fail", json!({ "code": "51" })).await;
    assert_eq!(scene.heard(), [Ok(scene.notice(Standing::Failed { code: "51".into() }))]);
}

#[tokio::test]
async fn all_is_given_back_once_whatever_gets_lost() {
    let mut scene = Scene::new(&[Answer::Settled]).await;
    scene.paid().await;
    let refund = scene.part(scene.payment.amount);
    scene.simulator.set(&json!({ "down": true })).await;
    assert!(matches!(scene.refund(&refund, false).await, Err(Error::Unknown(_))));
    scene.simulator.set(&json!({ "down": false, "lose_answers": true })).await;
    assert!(matches!(scene.refund(&refund, true).await, Err(Error::Unknown(_))));
    scene.simulator.set(&json!({ "lose_answers": false })).await;
    assert_eq!(scene.refund(&refund, true).await, Ok(false));
    // Nor by another refund.
    assert_eq!(scene.refund(&scene.part(scene.payment.amount), false).await, Ok(false));
    let known = scene.known().await;
    let refunds = known["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 1);
    let expected = (json!("02"), json!(125_000_000), json!("boxoffice"));
    let found = &refunds[0];
    let found = (&found["transaction_type"], &found["amount"], &found["create_by"]);
    assert_eq!(found, (&expected.0, &expected.1, &expected.2));
}

#[tokio::test]
async fn parts_are_given_back_up_to_the_whole() {
    let mut scene = Scene::new(&[Answer::Settled]).await;
    scene.paid().await;
    let first = scene.part(dong(500_000));
    assert_eq!(scene.refund(&first, false).await, Ok(true));
    // Its answer was lost, for all we know.
    assert_eq!(scene.refund(&first, true).await, Ok(false));
    // VNPAY has that request, but who never asked did not make it.
    assert!(matches!(scene.refund(&first, false).await, Err(Error::Later(_))));
    let too_much = scene.part(dong(750_001));
    assert_eq!(scene.refund(&too_much, false).await, Err(Error::Refused("95".into())));
    assert_eq!(scene.refund(&scene.part(dong(750_000)), false).await, Ok(true));
    let known = scene.known().await;
    let amounts: Vec<_> =
        known["refunds"].as_array().unwrap().iter().map(|refund| &refund["amount"]).collect();
    assert_eq!(amounts, [&json!(50_000_000), &json!(75_000_000)]);
}

#[tokio::test]
async fn a_part_that_got_lost_another_day_is_not_given_back_twice() {
    let mut scene = Scene::new(&[Answer::Settled]).await;
    scene.paid().await;
    let create_time = OffsetDateTime::now_utc() - Duration::days(1);
    let lost = Refund { create_time, ..scene.part(dong(500_000)) };
    // Nothing was given back, so this was not.
    assert_eq!(scene.refund(&lost, true).await, Ok(true));
    let why = "its answer was lost, on another day";
    assert_eq!(scene.refund(&lost, true).await, Err(Error::Refused(why.into())));
    // Where no answer was lost, there is nothing to fear.
    let next = Refund { create_time, ..scene.part(dong(500_000)) };
    assert_eq!(scene.refund(&next, false).await, Ok(true));
    assert_eq!(scene.known().await["refunds"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_not_paid_or_is_refused_is_not_given_back() {
    let mut scene = Scene::new(&[Answer::Settled]).await;
    let refund = scene.part(scene.payment.amount);
    assert_eq!(scene.refund(&refund, false).await, Err(Error::Refused("91".into())));
    scene.paid().await;
    scene.simulator.set(&json!({ "refuse_refunds": true })).await;
    let refund = scene.part(scene.payment.amount);
    assert_eq!(scene.refund(&refund, false).await, Err(Error::Refused("95".into())));
    // Nobody there: nothing was asked.
    let nobody =
        VnpaySettings { api_url: "http://127.0.0.1:1".into(), ..scene.simulator.settings() };
    let refund = provider(&nobody).refund(&scene.payment, &refund, false).await;
    let Err(Error::Later(why)) = refund else { panic!("{refund:?}") };
    assert!(why.starts_with("Connection refused"), "{why}");
    assert_eq!(scene.known().await["refunds"], json!([]));
    // VNPAY thinks better of it; the refund's id was used up by then.
    let refund = scene.part(dong(500_000));
    assert_eq!(scene.refund(&refund, false).await, Err(Error::Refused("95".into())));
    scene.simulator.set(&json!({ "refuse_refunds": false })).await;
    assert_eq!(scene.refund(&refund, true).await, Ok(true));
}

#[tokio::test]
async fn an_answer_is_to_what_was_asked_and_not_endless() {
    let mut scene = Scene::new(&[Answer::Settled]).await;
    // Between us and VNPAY is somebody who gives its first answer again and again.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api_url = format!("http://{}", listener.local_addr().unwrap());
    let (vnpay, first) = (scene.simulator.addr, Arc::new(Mutex::new(None)));
    let kept = first.clone();
    let relay = post(async move |body: Bytes| {
        let known: Option<Vec<u8>> = kept.lock().unwrap().clone();
        let answer = match known {
            Some(known) => known,
            None => http::send(vnpay, "POST", API_PATH, &[], &body).await.body,
        };
        kept.lock().unwrap().get_or_insert(answer).clone()
    });
    tokio::spawn(async { axum::serve(listener, Router::new().route("/", relay)).await.unwrap() });
    let relayed = provider(&VnpaySettings { api_url, ..scene.simulator.settings() });
    scene.paid().await;
    let paid = relayed.query(&scene.payment).await;
    assert!(matches!(paid, Ok(Standing::Paid { .. })), "{paid:?}");
    scene.payment.payment_id = PaymentId::new_v7();
    let later = |why: &str| Err(Error::Later(why.into()));
    assert_eq!(relayed.query(&scene.payment).await, later("its answer has another vnp_TxnRef"));
    *first.lock().unwrap() = Some(vec![b' '; MAX_PROVIDER_ANSWER_BYTES + 1]);
    assert_eq!(relayed.query(&scene.payment).await, later("its answer is too long"));
}

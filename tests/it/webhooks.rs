//! Webhooks: signed, told at least once, and told again for those who were away.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use holdfast::{
    limits::{CALLS_OF_A_WEBHOOK, MAX_DELIVERY_ATTEMPTS},
    proto::{
        CreateWebhookRequest, CreateWebhookResponse, DeleteWebhookRequest, ListWebhooksRequest,
        OrderEventKind as Kind, ReplayWebhookRequest, RetryDeadLettersRequest,
        order_event_service_client::OrderEventServiceClient,
    },
};
use sha2::{Digest, Sha256};
use tonic::{Code, Status, transport::Channel};
use uuid::Uuid;

use crate::support::{
    EVENT, Stage, code_and_reason, eventually, floor, hold_request,
    hook::{Call, HookServer},
    refusal,
    told::{Reader, dead_letters, order_event, order_event_service, order_events},
};

type Service = OrderEventServiceClient<Channel>;

/// What no sale tells of by itself.
const KIND: Kind = Kind::OrderRefundDue;

async fn create(service: &Service, url: String) -> Result<CreateWebhookResponse, Status> {
    let request = CreateWebhookRequest { url, kinds: vec![KIND.into()], ..Default::default() };
    Ok(service.clone().create_webhook(request).await?.into_inner())
}

/// HMAC-SHA256 as RFC 2104 has it, by hand.
fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::digest([&pad(0x36)[..], message.as_bytes()].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

fn check_signature(call: &Call, secret: &str) {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, time) = (&call.headers["webhook-id"], &call.headers["webhook-timestamp"]);
    let expected = STANDARD.encode(hmac(&key, &format!("{id}.{time}.{}", call.body)));
    assert_eq!(call.headers["webhook-signature"], format!("v1,{expected}"));
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    assert!((now - time.parse::<i64>().unwrap()).abs() < 60);
}

async fn called(hook: &HookServer, path: &str, count: usize) -> Vec<Call> {
    eventually("it is called", async || {
        let calls = hook.calls(path);
        (calls.len() >= count).then_some(calls)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_signed_and_tells_of_the_order() {
    let stage = Stage::new().await;
    let (hook, postgres) = (HookServer::start().await, stage.stores.postgres().await);
    let service = order_event_service(&stage.server).await;
    let made = create(&service, hook.url("/signed")).await.unwrap();
    let mut request = hold_request("ann", &["A-1"]);
    request.areas = floor(1);
    let hold = stage.server.hold(request).await.unwrap();
    let order = stage.server.confirm(&hold, "pay-1").await.unwrap();
    order_event(
        &postgres,
        KIND.as_str_name().trim_start_matches("ORDER_EVENT_KIND_"),
        &order.order_id,
    )
    .await;

    let call = &called(&hook, "/signed", 1).await[0];
    check_signature(call, &made.secret);
    assert_eq!(call.headers["content-type"], "application/json");
    let trace: Vec<_> = call.headers["traceparent"].split('-').map(str::len).collect();
    assert_eq!(trace, [2, 32, 16, 2]);
    let told = call.json();
    assert_eq!((&told["kind"], &told["event_id"]), (&"ORDER_REFUND_DUE".into(), &EVENT.into()));
    let told = &told["order"];
    assert_eq!(told["order_id"], order.order_id);
    assert_eq!((&told["holder_id"], &told["state"]), (&"ann".into(), &"PAID".into()));
    assert_eq!(
        (&told["total"]["units"], &told["total"]["currency_code"]),
        (&"42".into(), &"EUR".into())
    );
    let tickets = told["tickets"].as_array().unwrap();
    assert_eq!((&tickets[0]["seat_id"], &tickets[1]["area_id"]), (&"A-1".into(), &"floor".into()));
    assert_eq!(tickets[1]["ticket_id"], order.tickets[1].ticket_id);
    assert!(call.headers["webhook-id"].starts_with("evt_"));

    // It is not told what it does not want.
    order_events(&postgres, "ORDER_CREATED", 5).await;
    let holds = vec![Uuid::now_v7()];
    let sql = "INSERT INTO order_events (kind, event_id, hold_ids)
        VALUES ('HOLDS_EXPIRED', $1, $2)";
    postgres.execute(sql, &[&EVENT, &holds]).await.unwrap();
    let url = hook.url("/holds");
    let request = CreateWebhookRequest { url, event_id: EVENT.into(), ..Default::default() };
    service.clone().create_webhook(request).await.unwrap();
    postgres.execute(sql, &[&EVENT, &holds]).await.unwrap();
    let of_holds = eventually("it is told of holds", async || {
        hook.calls("/holds").into_iter().find(|call| call.json()["kind"] == "HOLDS_EXPIRED")
    })
    .await;
    assert_eq!(of_holds.json()["hold_ids"][0], holds[0].to_string());
    assert_eq!(hook.calls("/signed").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_called_again_until_it_takes_it() {
    let stage = Stage::new().await;
    let (hook, postgres) = (HookServer::start().await, stage.stores.postgres().await);
    let service = order_event_service(&stage.server).await;
    let made = create(&service, hook.url("/shaky")).await.unwrap();
    // A redirect is no answer, and is not followed.
    hook.answer("/shaky", &[500, 302]);
    order_events(&postgres, "ORDER_REFUND_DUE", 1).await;
    let calls = called(&hook, "/shaky", 3).await;
    let ids: HashSet<_> = calls.iter().map(|call| &call.headers["webhook-id"]).collect();
    assert_eq!(ids.len(), 1);
    for call in &calls {
        check_signature(call, &made.secret);
    }
    eventually("it is done", async || {
        let sql = "SELECT attempts FROM deliveries WHERE state = 'DONE'";
        let rows = postgres.query(sql, &[]).await.unwrap();
        rows.first().map(|row| assert_eq!(row.get::<_, i32>(0), 3))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_too_often_or_for_good_is_a_dead_letter() {
    let stage = Stage::new().await;
    let (hook, postgres) = (HookServer::start().await, stage.stores.postgres().await);
    let mut service = order_event_service(&stage.server).await;
    let gone = create(&service, hook.url("/gone")).await.unwrap().webhook.unwrap();
    let away = create(&service, "http://127.0.0.1:1/".into()).await.unwrap().webhook.unwrap();
    hook.answer("/gone", &[410]);
    order_events(&postgres, "ORDER_REFUND_DUE", 1).await;
    let letter = eventually("410 is for good", async || {
        dead_letters(&mut service.clone(), &gone.webhook_id).await.pop()
    })
    .await;
    assert_eq!((letter.attempts, letter.last_error.as_str()), (1, "it answered 410"));

    // Nearly all tries of the other are behind it.
    let sql = "UPDATE deliveries SET attempts = $1, next_time = now()
        WHERE state = 'DUE' AND last_error <> ''";
    eventually("it was tried", async || {
        (postgres.execute(sql, &[&(MAX_DELIVERY_ATTEMPTS - 1)]).await.unwrap() == 1).then_some(())
    })
    .await;
    let letter = eventually("it is given up", async || {
        dead_letters(&mut service.clone(), &away.webhook_id).await.pop()
    })
    .await;
    assert_eq!(letter.attempts, MAX_DELIVERY_ATTEMPTS);
    assert_eq!(letter.last_error, "it is out of reach");
    assert_eq!(dead_letters(&mut service, "").await.len(), 2);

    let retry = RetryDeadLettersRequest { webhook_id: gone.webhook_id, ..Default::default() };
    assert_eq!(service.retry_dead_letters(retry).await.unwrap().into_inner().retried, 1);
    called(&hook, "/gone", 2).await;
    assert_eq!(dead_letters(&mut service, "").await.len(), 1);
}

/// One that never answers, and one that fails, keep nobody else waiting.
#[tokio::test(flavor = "multi_thread")]
async fn targets_do_not_wait_for_each_other() {
    const EVENTS: usize = 60;
    let stage = Stage::new().await;
    let (hook, postgres) = (HookServer::start().await, stage.stores.postgres().await);
    let service = order_event_service(&stage.server).await;
    for path in ["/hang", "/well"] {
        create(&service, hook.url(path)).await.unwrap();
    }
    create(&service, "http://127.0.0.1:1/".into()).await.unwrap();
    order_events(&postgres, "ORDER_REFUND_DUE", EVENTS).await;
    let calls = called(&hook, "/well", EVENTS).await;
    let sequences: HashSet<_> = calls.iter().map(Call::sequence).collect();
    assert_eq!(sequences.len(), EVENTS);
    // Those that hang take the room of one webhook, not more.
    let hanging = hook.calls("/hang").len();
    assert!((1..=CALLS_OF_A_WEBHOOK as usize).contains(&hanging), "{hanging}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_is_told_again_by_number() {
    let stage = Stage::new().await;
    let (hook, postgres) = (HookServer::start().await, stage.stores.postgres().await);
    let mut service = order_event_service(&stage.server).await;
    order_events(&postgres, "ORDER_REFUND_DUE", 10).await;
    order_events(&postgres, "ORDER_PAID", 10).await;
    Reader::open(&stage.server, Some(0), &[], "").await.read(20).await;
    let made = create(&service, hook.url("/away")).await.unwrap().webhook.unwrap();

    // Also what was before it.
    let replay = |after_sequence| {
        let webhook_id = made.webhook_id.clone();
        let mut service = service.clone();
        async move {
            let request = ReplayWebhookRequest { webhook_id, after_sequence };
            service.replay_webhook(request).await.unwrap().into_inner()
        }
    };
    let replayed = replay(7).await;
    assert_eq!((replayed.deliveries, replayed.sequence, replayed.more), (3, 20, false));
    let first = called(&hook, "/away", 3).await;
    let sequences: HashSet<_> = first.iter().map(Call::sequence).collect();
    assert_eq!(sequences, HashSet::from([8, 9, 10]));
    assert_eq!(replay(9).await.deliveries, 1);
    let again = called(&hook, "/away", 4).await;
    assert_eq!(again[3].sequence(), 10);
    let same = first.iter().find(|call| call.sequence() == 10).unwrap();
    assert_eq!(again[3].headers["webhook-id"], same.headers["webhook-id"]);
    let nothing = replay(i64::MAX).await;
    assert_eq!((nothing.deliveries, nothing.more), (0, false));

    let listed = service.list_webhooks(ListWebhooksRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.webhooks, std::slice::from_ref(&made));
    let webhook_id = made.webhook_id.clone();
    let delete = DeleteWebhookRequest { webhook_id: webhook_id.clone() };
    service.delete_webhook(delete.clone()).await.unwrap();
    let not_found = (Code::NotFound, "WEBHOOK_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(service.delete_webhook(delete).await), not_found);
    let request = ReplayWebhookRequest { webhook_id, after_sequence: 0 };
    assert_eq!(code_and_reason(service.replay_webhook(request).await), not_found);
    let count = postgres.query_one("SELECT count(*) FROM deliveries", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_cannot_be() {
    let stage = Stage::new().await;
    let mut service = order_event_service(&stage.server).await;
    let request = CreateWebhookRequest {
        url: "https://user@house.example".into(),
        kinds: vec![0],
        event_id: "?".into(),
    };
    let told = refusal(service.create_webhook(request).await);
    assert_eq!((told.code, told.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert_eq!(told.subjects, ["url", "kinds[0]", "event_id"]);
    let url = "https://house.example".to_owned();
    let event_id = "another".to_owned();
    let request = CreateWebhookRequest { url: url.clone(), kinds: vec![], event_id };
    let told = code_and_reason(service.create_webhook(request).await);
    assert_eq!(told, (Code::NotFound, "EVENT_NOT_FOUND".into()));
    let request = ReplayWebhookRequest { webhook_id: "w".into(), after_sequence: -1 };
    let told = refusal(service.replay_webhook(request).await);
    assert_eq!(told.subjects, ["webhook_id", "after_sequence"]);
    let ids = vec![1; 201];
    let request = RetryDeadLettersRequest { dead_letter_ids: ids, webhook_id: "w".into() };
    let told = refusal(service.retry_dead_letters(request).await);
    assert_eq!(told.subjects, ["webhook_id", "dead_letter_ids"]);

    let postgres = stage.stores.postgres().await;
    let sql = "INSERT INTO webhooks (webhook_id, url, kinds, secret)
        SELECT gen_random_uuid(), 'http://127.0.0.1:1', '{}', '' FROM generate_series(1, 200)";
    postgres.execute(sql, &[]).await.unwrap();
    let told = code_and_reason(create(&service, url).await);
    assert_eq!(told, (Code::ResourceExhausted, "TOO_MANY_WEBHOOKS".into()));
}

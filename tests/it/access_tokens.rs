//! Which tokens are taken.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use holdfast::{
    app::App,
    config::Doors,
    limits::{MAX_KEY_WAITERS, MAX_KEYS_TRIED, MAX_TOKEN_BYTES},
    proto::{StreamSeatUpdatesRequest, reservation_service_client::ReservationServiceClient},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::support::{
    EVENT, Stores, any_doors, code_and_reason, eventually,
    tokens::{Guarded, KeyServer, Raw, Signer, bearing, call, claims, jwks, now_s, takes, taking},
};

const LIST_EVENTS: &str = "/holdfast.v1.CatalogService/ListEvents";

/// Good claims with one of them changed, or taken away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims("ann", "viewer");
    let all = claims.as_object_mut().unwrap();
    match value {
        Value::Null => all.remove(name),
        value => all.insert(name.into(), value),
    };
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_checked() {
    let guarded = Guarded::new().await;
    let takes = async |claims: Value| guarded.takes(&guarded.signer.sign(&claims)).await;
    assert!(takes(claims("ann", "viewer")).await);
    assert!(takes(with("aud", json!(["other", "holdfast"]))).await);
    assert!(takes(with("sub", Value::Null)).await, "nobody need be named");
    for (name, value) in [
        ("aud", json!("other")),
        ("aud", json!(["other"])),
        ("aud", json!("Holdfast")),
        ("aud", Value::Null),
        ("iss", json!("https://other.example")),
        ("iss", Value::Null),
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("exp", json!(-1)),
        ("exp", json!(0)),
    ] {
        assert!(!takes(with(name, value.clone())).await, "{name} {value}");
    }
    // Clocks may differ by thirty seconds, and a test may take some.
    for (name, value, good) in [
        ("exp", now_s() - 15, true),
        ("exp", now_s() - 31, false),
        ("nbf", now_s() + 29, true),
        ("nbf", now_s() + 60, false),
    ] {
        assert_eq!(takes(with(name, json!(value))).await, good, "{name} {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_checked() {
    let guarded = Guarded::new().await;
    let signer = &guarded.signer;
    let good = signer.token("ann", "viewer");
    assert!(guarded.takes(&good).await);
    let part = |text: &Value| BASE64_URL_SAFE_NO_PAD.encode(text.to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let payload = part(&claims("ann", "operator"));
    let other = Signer::new("first").token("ann", "viewer");
    let by_public_key = |key: &[u8]| {
        let header = Header { kid: Some("first".into()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims("ann", "operator"), &EncodingKey::from_secret(key)).unwrap()
    };
    let none = part(&json!({"alg": "none", "kid": "first"}));
    let es384 = part(&json!({"alg": "ES384", "kid": "first"}));
    let critical = signed_with(signer, &json!({"alg": "ES256", "kid": "first", "crit": ["b64"]}));
    for (what, bad) in [
        ("another's payload", format!("{}.{payload}.{}", parts[0], parts[2])),
        ("another's signature", other),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("none", format!("{none}.{payload}.")),
        ("none, signed", format!("{none}.{payload}.{}", parts[2])),
        ("an algorithm that is not taken", format!("{es384}.{}.{}", parts[1], parts[2])),
        ("the public key as a secret", by_public_key(signer.pem.as_bytes())),
        ("the set of keys as a secret", by_public_key(&std::fs::read(&guarded.keys).unwrap())),
        ("no secret", by_public_key(b"")),
        ("an unknown key", Signer::new("second").token("ann", "viewer")),
        ("what it wants to be understood", critical),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("nothing", String::new()),
        ("too much", format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES))),
    ] {
        assert!(!guarded.takes(&bad).await, "{what}");
    }
    assert!(guarded.takes(&good).await);
}

fn signed_with(signer: &Signer, header: &Value) -> String {
    let mut good: Header = serde_json::from_value(json!({"alg": "ES256"})).unwrap();
    good.kid = Some(signer.kid.clone());
    good.crit = header["crit"]
        .as_array()
        .map(|all| all.iter().map(|name| name.as_str().unwrap().to_owned()).collect());
    signer.sign_with(&good, &claims("ann", "viewer"))
}

/// A secret that both sides have is taken only where the settings say so, and only as a
/// key that is one.
#[tokio::test(flavor = "multi_thread")]
async fn shared_secrets_are_taken_where_they_are_named() {
    let secret = [7; 32];
    let key = |secret: &[u8]| {
        json!({"kty": "oct", "kid": "shared", "alg": "HS256",
               "k": BASE64_URL_SAFE_NO_PAD.encode(secret)})
    };
    let header = Header { kid: Some("shared".into()), ..Header::new(Algorithm::HS256) };
    let token = |secret: &[u8]| {
        encode(&header, &claims("ann", "viewer"), &EncodingKey::from_secret(secret)).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let signer = Signer::new("first");
    std::fs::write(&path, jwks(&[key(&secret), signer.jwk(), key(b"short")])).unwrap();
    for (algorithms, good) in [(vec!["ES256", "HS256"], true), (vec!["ES256"], false)] {
        let mut access = taking(path.display().to_string());
        access.jwt_algorithms = algorithms.iter().map(ToString::to_string).collect();
        let (_app, channel) = serve(access).await;
        assert!(takes(channel.clone(), &signer.token("ann", "viewer")).await);
        assert_eq!(takes(channel.clone(), &token(&secret)).await, good);
        assert!(!takes(channel, &token(b"short")).await);
    }
}

async fn serve(access: holdfast::config::Access) -> (App, Channel) {
    let stores = Stores::new().await;
    let app = App::start(&Doors { access, ..any_doors() }, &stores.settings()).await.unwrap();
    app.ready().await;
    let url = format!("http://{}", app.grpc_addr);
    (app, Channel::from_shared(url).unwrap().connect().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_file_are_read_again() {
    let guarded = Guarded::new().await;
    let (first, second) = (&guarded.signer, Signer::new("second"));
    let (old, new) = (first.token("ann", "viewer"), second.token("ann", "viewer"));
    assert!(guarded.takes(&old).await && !guarded.takes(&new).await);
    // What cannot be used changes nothing; what is taken away is not remembered.
    std::fs::write(&guarded.keys, "{").unwrap();
    std::fs::write(&guarded.keys, &second.pem).unwrap();
    eventually("the new key is read", async || guarded.takes(&new).await.then_some(())).await;
    assert!(!guarded.takes(&old).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_names_no_key_is_tried_with_few() {
    let guarded = Guarded::new().await;
    let signers: Vec<Signer> =
        (0..=MAX_KEYS_TRIED).map(|number| Signer::new(&format!("key-{number}"))).collect();
    let keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    std::fs::write(&guarded.keys, jwks(&keys)).unwrap();
    let named = |signer: &Signer| signer.token("ann", "viewer");
    let nameless = |signer: &Signer| {
        signer.sign_with(&Header::new(Algorithm::ES256), &claims("ann", "viewer"))
    };
    let [.., before, last] = &signers[..] else { panic!("too few") };
    eventually("the keys are read", async || guarded.takes(&named(last)).await.then_some(())).await;
    assert!(guarded.takes(&nameless(before)).await);
    assert!(!guarded.takes(&nameless(last)).await);
    // A key that a token names is tried first, however many have no name.
    let mut keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    for key in &mut keys[..MAX_KEYS_TRIED] {
        key.as_object_mut().unwrap().remove("kid");
    }
    std::fs::write(&guarded.keys, jwks(&keys)).unwrap();
    let header = Header { kid: Some("of no key".into()), ..Header::new(Algorithm::ES256) };
    let first = signers[0].sign_with(&header, &claims("ann", "viewer"));
    assert!(!guarded.takes(&first).await);
    eventually("they are read", async || guarded.takes(&first).await.then_some(())).await;
    assert!(guarded.takes(&named(last)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_url_come_and_go() {
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let keys = KeyServer::start(None).await;
    let (_app, channel) = serve(taking(keys.url())).await;
    let (old, new) = (first.token("ann", "viewer"), second.token("ann", "viewer"));
    // Nobody can be known yet, which is no fault of his.
    let told = call(channel.clone(), LIST_EVENTS, Some(&old), Raw::default()).await;
    assert_eq!(code_and_reason(told), (Code::Unavailable, "STORE_UNAVAILABLE".into()));
    let told = call(channel.clone(), LIST_EVENTS, None, Raw::default()).await;
    assert_eq!(code_and_reason(told), (Code::Unauthenticated, "UNAUTHENTICATED".into()));

    let tell = |told: Option<String>| *keys.told.lock().unwrap() = told;
    tell(Some(jwks(&[first.jwk()])));
    let answer =
        async |token: &str| call(channel.clone(), LIST_EVENTS, Some(token), Raw::default()).await;
    eventually("the keys are read", async || answer(&old).await.ok()).await;
    // A key that comes is asked for at once, by the first call that names it.
    tell(Some(jwks(&[first.jwk(), second.jwk()])));
    assert!(takes(channel.clone(), &new).await);
    // Where nobody tells, what was told last is good.
    tell(None);
    assert!(takes(channel.clone(), &old).await && takes(channel.clone(), &new).await);
    let unknown = Signer::new("third").token("ann", "viewer");
    assert!(!takes(channel, &unknown).await);
}

/// A server with the key of `first` alone, from a URL.
async fn of_a_url() -> (KeyServer, App, Channel, Signer) {
    let first = Signer::new("first");
    let keys = KeyServer::start(Some(jwks(&[first.jwk()]))).await;
    let (app, channel) = serve(taking(keys.url())).await;
    let old = first.token("ann", "viewer");
    eventually("the keys are read", async || {
        call(channel.clone(), LIST_EVENTS, Some(&old), Raw::default()).await.ok()
    })
    .await;
    (keys, app, channel, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_asked_for_is_no_fault_of_its_caller() {
    let (keys, _app, channel, first) = of_a_url().await;
    let second = Signer::new("second");
    let (old, new) = (first.token("ann", "viewer"), second.token("ann", "viewer"));
    let answer =
        async |token: &str| call(channel.clone(), LIST_EVENTS, Some(token), Raw::default()).await;
    *keys.told.lock().unwrap() = None;
    // The first of these calls asks; the second may not yet.
    for _ in 0..2 {
        let status = answer(&new).await.unwrap_err();
        assert!(status.get_details_retry_info().is_some(), "{status:?}");
        let told = code_and_reason(Err::<(), _>(status));
        assert_eq!(told, (Code::Unavailable, "STORE_UNAVAILABLE".into()));
        answer(&old).await.unwrap();
    }
    *keys.told.lock().unwrap() = Some(jwks(&[first.jwk(), second.jwk()]));
    eventually("the new key is read", async || answer(&new).await.ok()).await;
    // Now it is known that there is none.
    assert!(!takes(channel.clone(), &Signer::new("third").token("ann", "viewer")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_calls_wait_for_keys() {
    let (keys, _app, channel, first) = of_a_url().await;
    let shut = keys.gate.clone().write_owned().await;
    let unknown = Signer::new("second").token("ann", "viewer");
    let more = 20;
    let calls = (0..MAX_KEY_WAITERS + more).map(|_| {
        let (channel, unknown) = (channel.clone(), unknown.clone());
        async move { call(channel, LIST_EVENTS, Some(&unknown), Raw::default()).await }
    });
    let mut calls: FuturesUnordered<_> = calls.collect();
    let away = (Code::Unavailable, "STORE_UNAVAILABLE".to_owned());
    for _ in 0..more {
        assert_eq!(code_and_reason(calls.next().await.unwrap()), away);
    }
    // The others wait, and who has a good token does not.
    assert!(calls.next().now_or_never().is_none());
    assert!(takes(channel.clone(), &first.token("ann", "viewer")).await);
    drop(shut);
    let nobody = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned());
    while let Some(told) = calls.next().await {
        assert_eq!(code_and_reason(told), nobody);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token_and_is_resumed_by_another() {
    let guarded = Guarded::with(|access| access.jwt_leeway_seconds = 0).await;
    let mut short = claims("ann", "viewer");
    short["exp"] = json!(now_s() + 3);
    let short = guarded.signer.sign(&short);
    let open = async |token: &str, resume_token: String| {
        let request = StreamSeatUpdatesRequest {
            event_id: EVENT.into(),
            resume_token,
            ..StreamSeatUpdatesRequest::default()
        };
        let mut client = ReservationServiceClient::new(guarded.channel.clone());
        client.stream_seat_updates(bearing(token, request)).await.map(tonic::Response::into_inner)
    };
    let mut stream = open(&short, String::new()).await.unwrap();
    let mut last = String::new();
    let status: Status = loop {
        let told = timeout(Duration::from_secs(20), stream.message());
        match told.await.expect("it ends") {
            Ok(message) => last = message.expect("it has no end of its own").resume_token,
            Err(status) => break status,
        }
    };
    let ended = code_and_reason(Err::<(), _>(status));
    assert_eq!(ended, (Code::Unauthenticated, "UNAUTHENTICATED".into()));
    assert!(!last.is_empty());
    let told = code_and_reason(open(&short, last.clone()).await);
    assert_eq!(told.0, Code::Unauthenticated);
    let long = guarded.signer.token("ann", "viewer");
    open(&long, last).await.unwrap().message().await.unwrap().unwrap();
}

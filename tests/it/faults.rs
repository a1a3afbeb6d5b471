//! Redis is there, and is not well.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::time::Instant;
use tonic::Code;

use crate::support::{
    EVENT, OwnStores, Server, code_and_reason, eventually, hold_request, http::get, small_event,
};

async fn on_sale(stores: &OwnStores) -> Server {
    let server = Server::start(&stores.stores()).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    server
}

async fn set(stores: &OwnStores, name: &str, value: &str) {
    let mut redis = stores.stores().redis().await;
    let () =
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).query_async(&mut redis).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn full_it_takes_no_holds_but_gives_back_and_sells() {
    let stores = OwnStores::start().await;
    let server = on_sale(&stores).await;
    let (one, two) = (hold_request("ann", &["A-1"]), hold_request("ann", &["A-2"]));
    let (one, two) = (server.hold(one).await.unwrap(), server.hold(two).await.unwrap());
    set(&stores, "maxmemory", "1mb").await;
    let request = hold_request("bob", &["A-3"]);
    let told = code_and_reason(server.hold(request.clone()).await);
    assert_eq!(told, (Code::ResourceExhausted, "OVERLOADED".into()));
    server.release(&one, &[], vec![]).await.unwrap();
    server.confirm(&two, "pay-1").await.unwrap();
    set(&stores, "maxmemory", "0").await;
    server.hold(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_replicas_it_takes_nothing() {
    let stores = OwnStores::start().await;
    let server = on_sale(&stores).await;
    set(&stores, "min-replicas-to-write", "1").await;
    let request = hold_request("bob", &["A-3"]);
    let told = code_and_reason(server.hold(request.clone()).await);
    assert_eq!(told, (Code::Unavailable, "STORE_UNAVAILABLE".into()));
    set(&stores, "min-replicas-to-write", "0").await;
    server.hold(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_it_leaves_calls_unknown_and_comes_back() {
    let stores = OwnStores::start().await;
    let server = on_sale(&stores).await;
    let signal = |signal| {
        let group = i32::try_from(stores.redis.pid()).unwrap();
        killpg(Pid::from_raw(group), signal).unwrap();
    };
    signal(Signal::SIGSTOP);
    let (request, asked) = (hold_request("ann", &["A-1"]), Instant::now());
    let told = code_and_reason(server.hold(request.clone()).await);
    assert_eq!(told, (Code::Unavailable, "OUTCOME_UNKNOWN".into()));
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    let http = server.app.http_addr;
    eventually("it is not ready", async || {
        get(http, "/readyz").await.head.starts_with("HTTP/1.1 503").then_some(())
    })
    .await;
    signal(Signal::SIGCONT);
    let hold = eventually("it is back", async || server.hold(request.clone()).await.ok()).await;
    assert_eq!(hold.seat_ids, ["A-1"]);
    server.app.ready().await;
}

//! Redis with a replica and Sentinel: the master goes, and the sale goes on.

use std::time::Duration;

use holdfast::proto::{Hold, SeatStatus};
use tokio::time::Instant;

use crate::support::{
    EVENT, Server, Stores, code_and_reason, eventually, hold_request, redis_fleet::Watched,
    small_event,
};

async fn on_sale(stores: &Stores) -> Server {
    let server = Server::start(stores).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    server
}

/// Waits until the journal has a hold.
async fn journaled(stores: &Stores, hold: &Hold) {
    const COUNT: &str = "SELECT count(*) FROM holds WHERE hold_id::text = $1";
    let postgres = stores.postgres().await;
    eventually("the hold is journaled", async || {
        let row = postgres.query_one(COUNT, &[&hold.hold_id]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_back_soon_after_the_master_is_killed() {
    let mut redis = Watched::start().await;
    let stores = Stores { redis_url: redis.url(), ..Stores::new().await };
    let server = on_sale(&stores).await;
    let sold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.confirm(&sold, "pay-1").await.unwrap();
    let held = server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    let mut watcher = server.watch(EVENT, "").await;
    watcher.until("the hold", |w| w.house.seats.get("A-2") == Some(&SeatStatus::Held)).await;
    journaled(&stores, &held).await;

    redis.servers[0].kill().await;
    let killed = Instant::now();
    let request = hold_request("bob", &["A-3"]);
    eventually("Holds are back", async || server.hold(request.clone()).await.ok()).await;
    let away = killed.elapsed();
    println!("Holds were away for {away:?}");
    assert!(away < Duration::from_secs(10), "{away:?}");

    // What was sold, and what the journal had, is there; the stream goes on.
    let told = code_and_reason(server.hold(hold_request("bob", &["A-1"])).await);
    assert_eq!(told.1, "SEAT_UNAVAILABLE");
    assert_eq!(server.confirm(&sold, "pay-1").await.unwrap(), order);
    assert_eq!(server.get_hold(EVENT, &held.hold_id).await.unwrap(), held);
    server.confirm(&held, "pay-2").await.unwrap();
    watcher
        .until("the sale", |w| {
            w.snapshots > 1
                && w.house.seats["A-2"] == SeatStatus::Sold
                && w.house.seats["A-3"] == SeatStatus::Held
        })
        .await;
    server.app.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_cut_off_is_left_though_it_lives() {
    let redis = Watched::start().await;
    for node in &redis.servers {
        let () =
            node.ask(&["ACL", "SETUSER", "holdfast", "on", ">pw", "~*", "+@all"]).await.unwrap();
    }
    let url = redis.url_as("holdfast:pw@");
    let stores = Stores { redis_url: url, ..Stores::new().await };
    let server = on_sale(&stores).await;
    let held = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    journaled(&stores, &held).await;

    // The sentinels and the replica do not get in any more; we do.
    let [old, new] = &redis.servers[..] else { unreachable!() };
    let mut inside = redis::Client::open(format!("redis://holdfast:pw@127.0.0.1:{}", old.port))
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let mut run = async |command: &[&str]| -> redis::RedisResult<redis::Value> {
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut inside).await
    };
    run(&["ACL", "SETUSER", "default", "off"]).await.unwrap();
    run(&["CLIENT", "KILL", "USER", "default"]).await.unwrap();
    eventually("the replica takes over", async || {
        (new.info("replication", "role").await == "master").then_some(())
    })
    .await;

    // Within moments all is at the new master; nothing of ours is left behind.
    let field = ["HGET", "hf:{event}:meta", "incarnation"];
    let run_id = new.info("server", "run_id").await;
    eventually("the event is built at the new master", async || {
        let built_in: Option<String> = new.ask(&field).await.unwrap();
        built_in.is_some_and(|incarnation| incarnation.starts_with(&run_id)).then_some(())
    })
    .await;
    watcher.until("a snapshot from there", |w| w.snapshots > 1).await;
    server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    watcher.until("its hold", |w| w.house.seats["A-2"] == SeatStatus::Held).await;
    assert_eq!(server.get_hold(EVENT, &held.hold_id).await.unwrap(), held);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let clients = run(&["CLIENT", "LIST", "TYPE", "normal"]).await.unwrap();
        let clients: String = redis::from_redis_value(clients).unwrap();
        if clients.matches("user=holdfast").count() == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{clients}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

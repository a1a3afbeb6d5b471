//! Redis with a replica and Sentinel: the master goes, and the sale goes on.

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
    for server in &redis.servers[1..] {
        assert_eq!(server.refused().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_cut_off_is_left_though_it_lives() {
    let redis = Watched::start().await;
    let stores = Stores { redis_url: redis.url(), ..Stores::new().await };
    let server = on_sale(&stores).await;
    let held = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    journaled(&stores, &held).await;

    // The sentinels and the replicas do not get in any more; we do.
    let old = &redis.servers[0];
    for user in ["sentinel", "replica"] {
        let () = old.ask(&["ACL", "SETUSER", user, "off"]).await.unwrap();
        let () = old.ask(&["CLIENT", "KILL", "USER", user]).await.unwrap();
    }
    let new = eventually("a replica takes over", async || {
        for server in &redis.servers[1..] {
            if server.info("replication", "role").await == "master" {
                return Some(server);
            }
        }
        None
    })
    .await;
    assert_eq!(old.info("replication", "role").await, "master");

    // Within moments all is at the new master.
    let field = ["HGET", "hf:{event}:meta", "incarnation"];
    let run_id = new.info("server", "run_id").await;
    assert_eq!(run_id.len(), 40);
    eventually("the event is built at the new master", async || {
        let built_in: Option<String> = new.ask(&field).await.unwrap();
        built_in.is_some_and(|incarnation| incarnation.starts_with(&run_id)).then_some(())
    })
    .await;
    watcher.until("a snapshot from there", |w| w.snapshots > 1).await;
    server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    watcher.until("its hold", |w| w.house.seats["A-2"] == SeatStatus::Held).await;
    assert_eq!(server.get_hold(EVENT, &held.hold_id).await.unwrap(), held);
    eventually("nothing of ours is at the old one", async || {
        let clients: String = old.ask(&["CLIENT", "LIST"]).await.unwrap();
        (!clients.contains("user=holdfast")).then_some(())
    })
    .await;
}

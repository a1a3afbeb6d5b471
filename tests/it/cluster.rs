//! Redis Cluster: a master goes, and a slot moves, while seats are held.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast::proto::SeatStatus;
use tokio::time::Instant;

use crate::support::{
    EVENT, Server, Stores, code_and_reason, eventually, hold_request,
    redis_fleet::{Cluster, RedisServer},
    small_event,
};

async fn on_sale(stores: &Stores) -> Server {
    let server = Server::start(stores).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_back_soon_after_a_master_is_killed() {
    let mut redis = Cluster::start().await;
    let stores = Stores { redis_url: redis.url(), ..Stores::new().await };
    let server = on_sale(&stores).await;
    // Events are at all masters.
    let mut owners = vec![redis.owner(EVENT).await];
    for i in 0..8 {
        let event_id = format!("other-{i}");
        server.create_event(small_event(&event_id)).await.unwrap();
        let mut request = hold_request("ann", &["A-1"]);
        request.event_id.clone_from(&event_id);
        server.hold(request).await.unwrap();
        owners.push(redis.owner(&event_id).await);
    }
    owners.sort_unstable();
    owners.dedup();
    assert_eq!(owners, [0, 1, 2]);

    let sold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.confirm(&sold, "pay-1").await.unwrap();
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    let owner = redis.owner(EVENT).await;
    redis.nodes[owner].kill().await;
    let killed = Instant::now();
    let request = hold_request("bob", &["A-3"]);
    eventually("Holds are back", async || server.hold(request.clone()).await.ok()).await;
    let away = killed.elapsed();
    println!("Holds were away for {away:?}");

    let told = code_and_reason(server.hold(hold_request("bob", &["A-1"])).await);
    assert_eq!(told.1, "SEAT_UNAVAILABLE");
    assert_eq!(server.confirm(&sold, "pay-1").await.unwrap(), order);
    watcher
        .until("the hold", |w| w.snapshots > 1 && w.house.seats["A-3"] == SeatStatus::Held)
        .await;
    server.app.ready().await;
}

/// An event's slot on its way to another master, as redis-cli moves it.
struct Move<'a> {
    slot: String,
    from: &'a RedisServer,
    to: &'a RedisServer,
    to_id: String,
}

impl<'a> Move<'a> {
    async fn begin(redis: &'a Cluster, event_id: &str, to: usize) -> Self {
        let from = redis.owner(event_id).await;
        let (from, to) = (&redis.nodes[from], &redis.nodes[to]);
        let key = format!("hf:{{{event_id}}}:meta");
        let slot: u16 = to.ask(&["CLUSTER", "KEYSLOT", &key]).await.unwrap();
        let from_id: String = from.ask(&["CLUSTER", "MYID"]).await.unwrap();
        let to_id = to.ask(&["CLUSTER", "MYID"]).await.unwrap();
        let slot_move = Self { slot: slot.to_string(), from, to, to_id };
        slot_move.set(to, &["IMPORTING", &from_id]).await;
        slot_move.set(from, &["MIGRATING", &slot_move.to_id]).await;
        slot_move
    }

    async fn set(&self, node: &RedisServer, state: &[&str]) {
        let set = ["CLUSTER", "SETSLOT", &self.slot];
        let () = node.ask(&[&set[..], state].concat()).await.unwrap();
    }

    async fn finish(self) {
        let port = self.to.port.to_string();
        let listed = ["CLUSTER", "GETKEYSINSLOT", &self.slot, "1"];
        loop {
            let keys: Vec<String> = self.from.ask(&listed).await.unwrap();
            let [key] = &keys[..] else { break };
            let migrate = ["MIGRATE", "127.0.0.1", &port, key, "0", "5000"];
            let as_admin = ["AUTH2", "admin", "ADMIN-PASSWORD"];
            let () = self.from.ask(&[&migrate[..], &as_admin].concat()).await.unwrap();
            // Between one key and the next, calls find some here and some there.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for node in [self.to, self.from] {
            self.set(node, &["NODE", &self.to_id]).await;
        }
    }
}

/// Redis deletes a key that becomes empty, and where its slot is on its way, a
/// script that comes to a deleted key ends half-way.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_slot_is_to_move_the_last_hold_ends_as_ever() {
    let redis = Cluster::start().await;
    let stores = Stores { redis_url: redis.url(), ..Stores::new().await };
    let server = on_sale(&stores).await;
    let owner = redis.owner(EVENT).await;
    let slot_move = Move::begin(&redis, EVENT, (owner + 1) % 3).await;
    let mut held = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    for _ in 0..3 {
        server.release(&held, &[], vec![]).await.unwrap();
        held = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    }
    server.confirm(&held, "pay-1").await.unwrap();
    slot_move.finish().await;
    let house = server.house().await;
    assert_eq!(house.count(SeatStatus::Sold), 2);
    assert_eq!(house.count(SeatStatus::Held), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_moves_under_holds_and_none_is_lost() {
    let redis = Cluster::start().await;
    let stores = Stores { redis_url: redis.url(), ..Stores::new().await };
    let server = on_sale(&stores).await;
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;

    let stop = Arc::new(AtomicBool::new(false));
    let (client, until) = (server.reservations.clone(), stop.clone());
    let holder = tokio::spawn(async move {
        let (mut held, mut sent_away) = (Vec::new(), 0);
        let seats = ('A'..='J').flat_map(|row| (1..=10).map(move |n| format!("{row}-{n}")));
        for seat in seats {
            let request = hold_request("ann", &[&seat]);
            // The same request again until it is answered: it is one hold.
            loop {
                match client.clone().hold(request.clone()).await {
                    Ok(_) => break,
                    Err(status) => {
                        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
                        sent_away += 1;
                    }
                }
            }
            held.push(seat);
            tokio::time::sleep(Duration::from_millis(10)).await;
            if until.load(Ordering::Relaxed) {
                break;
            }
        }
        (held, sent_away)
    });
    let owner = redis.owner(EVENT).await;
    for to in [(owner + 1) % 3, (owner + 2) % 3] {
        Move::begin(&redis, EVENT, to).await.finish().await;
        assert_eq!(redis.owner(EVENT).await, to);
    }
    stop.store(true, Ordering::Relaxed);
    let (held, sent_away) = holder.await.unwrap();
    // Holds wait for a slot that is on its way, and follow it.
    assert!(sent_away < 20, "sent away {sent_away} times");
    let last = server.hold(hold_request("bob", &["J-10"])).await.unwrap();
    server.confirm(&last, "pay-1").await.unwrap();

    let house = server.house().await;
    assert!(held.iter().all(|seat| house.seats[seat] == SeatStatus::Held), "{held:?} {house:?}");
    assert_eq!(house.count(SeatStatus::Held), held.len());
    watcher.until("the same house", |w| w.house == house).await;
    for node in &redis.nodes {
        assert_eq!(node.refused().await, []);
    }
}

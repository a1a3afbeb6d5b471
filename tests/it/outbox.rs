//! The outbox: what Redis was not told after a commit, it is told again.

use redis::AsyncCommands;

use crate::support::{EVENT, Stage, eventually, floor, hold_request, small_event};
use holdfast::{
    domain::{Epoch, Unsold},
    ledger::{Ledger, Settings},
    proto::{HoldState, SeatStatus},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_redis_never_heard_of_is_told_again() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(2);
    let hold = server.hold(request).await.unwrap();
    let order = server.confirm(&hold, "pay-1").await.unwrap();
    // As if the server had died between the commit and its word to Redis: the
    // row is open, and Redis still has the hold, confirming.
    let postgres = stage.stores.postgres().await;
    let all_done = async || {
        let sql = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    };
    eventually("the row is done", all_done).await;
    let mut redis = stage.stores.redis().await;
    let id = hold.hold_id.replace('-', "");
    let seats = [(0, format!("H{id}")), (1, format!("H{id}"))];
    let _: () = redis.hset_multiple("hf:{event}:seats", &seats).await.unwrap();
    let confirming = confirming_record(&mut redis, &id).await;
    let _: () = redis.hset("hf:{event}:holds", &id, confirming).await.unwrap();
    let sql = "UPDATE outbox SET done_at = NULL, lease_until = now() - interval '1 s'
        WHERE kind = 'sold'";
    assert_eq!(postgres.execute(sql, &[]).await.unwrap(), 1);

    eventually("the stream shows the sale", async || {
        (server.house().await.count(SeatStatus::Sold) == 2).then_some(())
    })
    .await;
    let told = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!(told.order_id, order.order_id);
    assert_eq!(server.house().await.areas["floor"], 98);
    eventually("the row is done again", all_done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_redis_never_heard_of_is_told_again() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    // A server dies between the outcome and its word to Redis.
    let url = stage.stores.settings().postgres_url;
    let dying = Ledger::new(&Settings { url, pool_size: 1 }).unwrap();
    let (event_id, hold_id) = (EVENT.parse().unwrap(), hold.hold_id.parse().unwrap());
    let settled = dying.settle(&event_id, Epoch(1), &[hold_id], Unsold::Released).await.unwrap();
    assert_eq!(settled.unwrap().outbox_ids.len(), 1);
    drop(dying);
    assert_eq!(server.house().await.count(SeatStatus::Held), 2);
    eventually("its seats are free", async || {
        (server.house().await.count(SeatStatus::Held) == 0).then_some(())
    })
    .await;
    let told = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!(told.state(), HoldState::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_events_trouble_does_not_keep_the_others_waiting() {
    let stage = Stage::new().await;
    let server = &stage.server;
    server.create_event(small_event("broken")).await.unwrap();
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    server.confirm(&hold, "pay-1").await.unwrap();
    let postgres = stage.stores.postgres().await;
    postgres
        .batch_execute(
            "BEGIN;
            UPDATE seats SET seat_id = 'no id' WHERE event_id = 'broken' AND seat_index = 0;
            UPDATE events SET revision = revision + 1 WHERE event_id = 'broken';
            DELETE FROM outbox;
            INSERT INTO outbox (kind, event_id, hold_id, lease_until)
                VALUES ('event', 'broken', NULL, now() - interval '1 s');
            INSERT INTO outbox (kind, event_id, hold_id, lease_until)
                SELECT 'sold', event_id, hold_id, now() - interval '1 s' FROM orders;
            COMMIT",
        )
        .await
        .unwrap();
    eventually("the sale is told", async || {
        let sql = "SELECT count(*) FROM outbox WHERE kind = 'sold' AND done_at IS NOT NULL";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    let sql = "SELECT count(*) FROM outbox WHERE kind = 'event' AND done_at IS NULL";
    assert_eq!(postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
}

/// The hold's record with its state set back to confirming.
async fn confirming_record(redis: &mut redis::aio::MultiplexedConnection, id: &str) -> Vec<u8> {
    let script = "local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))
        r[3] = 'C' r[6] = 0 r[9] = '' return cmsgpack.pack(r)";
    redis::Script::new(script).key("hf:{event}:holds").arg(id).invoke_async(redis).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_redis_never_heard_of_is_told_again() {
    let stage = Stage::new().await;
    // As if a server had died after changing the event in Postgres.
    let postgres = stage.stores.postgres().await;
    postgres
        .batch_execute(
            "BEGIN;
            UPDATE events SET state = 'PAUSED', revision = revision + 1;
            INSERT INTO outbox (kind, event_id, lease_until)
                SELECT 'event', event_id, now() - interval '1 s' FROM events;
            COMMIT",
        )
        .await
        .unwrap();
    eventually("the event is paused", async || {
        let held = stage.server.hold(hold_request("ann", &["A-1"])).await;
        match held {
            Ok(hold) => {
                stage.server.release(&hold, &[], vec![]).await.unwrap();
                None
            }
            Err(status) => status.message().contains("PAUSED").then_some(()),
        }
    })
    .await;
}

//! An event that Redis does not have is built anew from Postgres.

use std::time::Duration;

use futures_util::future::join_all;
use holdfast::{
    dev::house,
    domain::Epoch,
    holds::Holds,
    proto::{HoldState, SeatStatus},
};
use tokio::time::timeout;

use crate::support::{
    EVENT, Stage, Stores, code_and_reason, eventually, floor, hold_request, small_event,
};

async fn flush(stage: &Stage) {
    let mut redis = stage.stores.redis().await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
}

async fn all_journaled(stage: &Stage, holds: i64) {
    let postgres = stage.stores.postgres().await;
    eventually("all is journaled", async || {
        let row = postgres.query_one("SELECT count(*) FROM holds", &[]).await.unwrap();
        (row.get::<_, i64>(0) == holds).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sold_and_journaled_holds_come_back() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(5);
    let sold = server.hold(request).await.unwrap();
    server.confirm(&sold, "pay-1").await.unwrap();
    let mut request = hold_request("bob", &["B-1", "B-2"]);
    request.areas = floor(7);
    let held = server.hold(request.clone()).await.unwrap();
    let released = server.hold(hold_request("cat", &["C-1"])).await.unwrap();
    server.release(&released, &[], vec![]).await.unwrap();
    all_journaled(&stage, 3).await;
    let before = server.house().await;

    flush(&stage).await;
    // The first to ask, at ten places at once, finds all as it was.
    let asked = join_all((0..10).map(|_| server.get_hold(EVENT, &held.hold_id))).await;
    for hold in asked {
        assert_eq!(hold.unwrap(), held);
    }
    assert_eq!(server.house().await, before);
    assert_eq!(server.hold(request).await.unwrap(), held, "the same request, the same hold");
    watcher.until("a reset", |w| w.snapshots == 2 && w.house == before).await;

    // Sold is sold, and what lives can be sold.
    let order = server.confirm(&sold, "pay-1").await.unwrap();
    assert_eq!(order.tickets.len(), 7);
    server.confirm(&held, "pay-2").await.unwrap();
    watcher.until("the sale", |w| w.house.count(SeatStatus::Sold) == 4).await;
    let told = code_and_reason(server.hold(hold_request("dan", &["A-1"])).await);
    assert_eq!(told.1, "SEAT_UNAVAILABLE");
}

/// More than one command of Redis takes at a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_comes_back() {
    let stage = Stage::empty().await;
    let server = &stage.server;
    let mut plan = house::draw(include_str!("../../examples/houses/golden-hall.toml")).unwrap();
    plan.event.as_mut().unwrap().max_units_per_hold = 200;
    server.create_event(plan).await.unwrap();
    let map = server.get_seat_map("demo").await.unwrap();
    let seats: Vec<_> = map.seats.iter().map(|seat| seat.seat_id.as_str()).collect();
    let mut held = Vec::new();
    for (i, seats) in seats.chunks(200).enumerate() {
        let mut request = hold_request(&format!("holder-{i}"), seats);
        request.event_id = "demo".into();
        held.push(server.hold(request).await.unwrap());
    }
    all_journaled(&stage, i64::try_from(held.len()).unwrap()).await;

    flush(&stage).await;
    for hold in &held {
        assert_eq!(&server.get_hold("demo", &hold.hold_id).await.unwrap(), hold);
    }
    let map = server.get_seat_map("demo").await.unwrap();
    assert!(map.seats.iter().all(|seat| seat.status() == SeatStatus::Held));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_calling_the_watchers_see_it_come_back() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let held = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    all_journaled(&stage, 1).await;
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    flush(&stage).await;
    watcher.until("a reset", |w| w.snapshots == 2).await;
    assert_eq!(watcher.house.seats["A-1"], SeatStatus::Held);
    assert_eq!(server.get_hold(EVENT, &held.hold_id).await.unwrap(), held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_ran_out_meanwhile_stays_ended() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let held = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    all_journaled(&stage, 1).await;
    flush(&stage).await;
    let postgres = stage.stores.postgres().await;
    postgres.batch_execute("UPDATE holds SET expire_time = now() - interval '1 s'").await.unwrap();
    let told = server.get_hold(EVENT, &held.hold_id).await.unwrap();
    assert_eq!(told.state(), HoldState::Expired);
    for _ in 0..2 {
        assert_eq!(code_and_reason(server.confirm(&held, "pay-1").await).1, "HOLD_EXPIRED");
    }
    let next = server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    server.confirm(&next, "pay-2").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_only_redis_knew_is_gone_and_its_seat_free() {
    let stage = Stage::new().await;
    let server = &stage.server;
    // The journal's way to Postgres is cut.
    let postgres = stage.stores.postgres().await;
    postgres.batch_execute("ALTER TABLE journal_cursors RENAME TO hidden").await.unwrap();
    let request = hold_request("ann", &["A-1"]);
    let held = server.hold(request.clone()).await.unwrap();
    flush(&stage).await;
    for _ in 0..2 {
        assert_eq!(code_and_reason(server.confirm(&held, "pay-1").await).1, "HOLD_NOT_FOUND");
    }
    let next = server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    assert_eq!(code_and_reason(server.hold(request).await).1, "SEAT_UNAVAILABLE");
    server.confirm(&next, "pay-2").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journaled_hold_that_redis_dropped_is_lost_for_good() {
    use redis::AsyncCommands;
    let stage = Stage::new().await;
    let server = &stage.server;
    let held = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    all_journaled(&stage, 1).await;
    let mut redis = stage.stores.redis().await;
    let _: () = redis.del(&["hf:{event}:holds", "hf:{event}:seats"]).await.unwrap();
    let told = server.get_hold(EVENT, &held.hold_id).await.unwrap();
    assert_eq!(told.state(), HoldState::Lost);
    // What was told stays so, also when the event is built from the journal.
    flush(&stage).await;
    let told = server.get_hold(EVENT, &held.hold_id).await.unwrap();
    assert_eq!(told.state(), HoldState::Lost);
    for _ in 0..2 {
        assert_eq!(code_and_reason(server.confirm(&held, "pay-1").await).1, "HOLD_LOST");
        assert_eq!(code_and_reason(server.extend_hold(&held, 1_000).await).1, "HOLD_LOST");
        assert_eq!(code_and_reason(server.release(&held, &[], vec![]).await).1, "HOLD_LOST");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_waiting_leaves_no_lock_behind() {
    use holdfast::ledger::{Ledger, Settings};
    let stores = Stores::new().await;
    let url = stores.settings().postgres_url;
    let ledger = Ledger::new(&Settings { url, pool_size: 1 }).unwrap();
    let event_id = EVENT.parse().unwrap();
    // Another server loads the event.
    let other = stores.postgres().await;
    let lock = "SELECT pg_advisory_lock(hashtextextended('rebuild event', 0))";
    other.execute(lock, &[]).await.unwrap();
    let wait = Duration::from_millis(100);
    timeout(wait, ledger.lock_rebuild(&event_id)).await.map(|_| ()).expect_err("it waits");
    drop(other);
    let postgres = stores.postgres().await;
    eventually("nobody has the lock", async || {
        ledger.find_event(&event_id).await.unwrap();
        let locks = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
            WHERE locktype = 'advisory' AND datname = current_database()";
        let row = postgres.query_one(locks, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_ended_stays_used() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let sold = hold_request("ann", &["A-1"]);
    let bought = server.hold(sold.clone()).await.unwrap();
    let order = server.confirm(&bought, "pay-1").await.unwrap();
    let given_back = hold_request("bob", &["A-2"]);
    let released = server.hold(given_back.clone()).await.unwrap();
    server.release(&released, &[], vec![]).await.unwrap();
    all_journaled(&stage, 2).await;
    flush(&stage).await;

    let again = server.hold(sold.clone()).await.unwrap();
    assert_eq!((again.state(), again.order_id), (HoldState::Confirmed, order.order_id));
    assert_eq!(code_and_reason(server.hold(given_back.clone()).await).1, "HOLD_RELEASED");
    for mut reused in [sold, given_back] {
        reused.seat_ids = vec!["A-3".into()];
        assert_eq!(code_and_reason(server.hold(reused).await).1, "HOLD_ID_REUSED");
    }
}

/// Redis keeps ended holds for a day; then the id can be used again.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_used_again_after_redis_forgot_it_sells_nothing() {
    use redis::AsyncCommands;
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1"]);
    let hold = server.hold(request.clone()).await.unwrap();
    server.confirm(&hold, "pay-1").await.unwrap();
    let mut redis = stage.stores.redis().await;
    let id = hold.hold_id.replace('-', "");
    let _: () = redis.hdel("hf:{event}:holds", id).await.unwrap();

    request.seat_ids = vec!["A-2".into()];
    request.areas = floor(5);
    let again = server.hold(request).await.unwrap();
    let told = code_and_reason(server.confirm(&again, "pay-2").await);
    assert_eq!(told.1, "HOLD_CONFIRMED");
    let house = server.house().await;
    assert_eq!(house.seats["A-1"], SeatStatus::Sold);
    assert_eq!((house.seats["A-2"], house.areas["floor"]), (SeatStatus::Available, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_the_journal_had_not_heard_of_stands() {
    let stage = Stage::new().await;
    let server = &stage.server;
    // The journal hears of nothing.
    let mut postgres = stage.stores.postgres().await;
    let deaf = postgres.transaction().await.unwrap();
    deaf.batch_execute("SELECT FROM journal_cursors FOR UPDATE").await.unwrap();
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(5);
    let hold = server.hold(request.clone()).await.unwrap();
    let order = server.confirm(&hold, "pay-1").await.unwrap();
    flush(&stage).await;
    deaf.rollback().await.unwrap();

    assert_eq!(server.confirm(&hold, "pay-1").await.unwrap(), order);
    let sold = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!((sold.state(), &sold.order_id), (HoldState::Confirmed, &order.order_id));
    assert_eq!(server.hold(request).await.unwrap(), sold, "the same request, the same hold");
    let house = server.house().await;
    assert_eq!((house.count(SeatStatus::Sold), house.areas["floor"]), (2, 95));
}

/// Redis has lost nothing, but the journal is far behind, and several servers
/// bring it up to date at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn built_anew_without_a_loss_it_has_every_hold() {
    let stage = Stage::empty().await;
    let mut event = small_event(EVENT);
    event.chart.as_mut().unwrap().areas[0].capacity = 10_000;
    let server = &stage.server;
    server.create_event(event).await.unwrap();
    let other = stage.another_server().await;
    let mut postgres = stage.stores.postgres().await;
    let deaf = postgres.transaction().await.unwrap();
    deaf.batch_execute("SELECT FROM journal_cursors FOR UPDATE").await.unwrap();
    // One after another, so that each has an entry of its own.
    let mut holds = Vec::new();
    for _ in 0..1_200 {
        let mut request = hold_request("ann", &[]);
        request.areas = floor(1);
        holds.push(server.hold(request).await.unwrap());
    }
    let redis = Holds::new(&stage.stores.settings().redis_url).unwrap();
    assert_eq!(redis.seal(&EVENT.parse().unwrap()).await.unwrap(), Some(Epoch(1)));
    deaf.rollback().await.unwrap();
    for (i, hold) in holds.iter().enumerate() {
        let server = if i % 2 == 0 { server } else { &other };
        assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), *hold);
    }
    assert_eq!(server.house().await.areas["floor"], 8_800);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_build_it_once() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    for round in 0..5 {
        flush(&stage).await;
        let seats: Vec<String> = (1..=10).map(|n| format!("A-{n}")).collect();
        let holds = join_all(seats.iter().enumerate().map(|(i, seat)| {
            let server = if i % 2 == 0 { &stage.server } else { &other };
            server.hold(hold_request("ann", &[seat]))
        }))
        .await;
        // None of them is wiped out by another server's building it again.
        for hold in holds {
            let hold = hold.unwrap();
            let told = stage.server.get_hold(EVENT, &hold.hold_id).await.unwrap();
            assert_eq!(told.state(), HoldState::Active, "round {round}");
            stage.server.release(&hold, &[], vec![]).await.unwrap();
        }
    }
}

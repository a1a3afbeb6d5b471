//! Expiry: free to the next caller at once, and told to everybody in time.

use std::time::Duration;

use futures_util::future::join_all;
use holdfast::{
    dev::house,
    proto::{AreaQuantity, HoldRequest, HoldState, SeatStatus},
};
use tokio::time::Instant;

use crate::support::{EVENT, House, Stage, eventually, hold_request, ms};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_expire_with_nobody_calling() {
    let stage = Stage::empty().await;
    let server = &stage.server;
    let plan = house::draw(include_str!("../../examples/houses/golden-hall.toml")).unwrap();
    server.create_event(plan).await.unwrap();
    let mut watcher = server.watch("demo", "").await;
    watcher.snapshot().await;
    let seats: Vec<String> = watcher.house.seats.keys().take(1_000).cloned().collect();
    let hold_all = |ttl| {
        join_all(seats.iter().enumerate().map(move |(i, seat)| async move {
            let mut request = hold_request(&format!("holder-{i}"), &[seat]);
            request.event_id = "demo".into();
            request.ttl = ms(ttl);
            server.hold(request).await.unwrap()
        }))
    };
    let holds = hold_all(1_000).await;
    let last = holds
        .iter()
        .map(|hold| hold.expire_time.unwrap())
        .max_by_key(|time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos));
    let expired = std::time::SystemTime::try_from(last.unwrap()).unwrap();
    watcher.until("all held", |w| w.changes.len() >= 1_000).await;
    watcher.until("all available", |w| w.house.count(SeatStatus::Held) == 0).await;
    let late = expired.elapsed().unwrap_or_default();
    assert_eq!(watcher.changes.len(), 2_000, "each was held once, and freed once");
    assert!(late < Duration::from_secs(2), "the last one was told {late:?} after its expiry");

    let again = hold_all(60_000).await;
    assert!(again.iter().all(|hold| hold.state() == HoldState::Active));
}

/// The golden hall, without jobs: their way to Postgres is cut, so whatever
/// runs out, no job sees it.
async fn hall_without_jobs() -> Stage {
    let stage = Stage::empty().await;
    let mut plan = house::draw(include_str!("../../examples/houses/golden-hall.toml")).unwrap();
    plan.event.as_mut().unwrap().max_units_per_hold = 200;
    stage.server.create_event(plan).await.unwrap();
    let postgres = stage.stores.postgres().await;
    postgres.batch_execute("ALTER TABLE journal_cursors RENAME TO hidden").await.unwrap();
    stage
}

/// A hold in the hall that has run out when this returns.
async fn run_out(stage: &Stage, seats: &[&str], standing: i32) {
    let mut request = hall_request("ann", seats, standing);
    request.ttl = ms(20);
    let hold = stage.server.hold(request).await.unwrap();
    eventually("it runs out", async || {
        let hold = stage.server.get_hold("demo", &hold.hold_id).await.unwrap();
        (hold.state() == HoldState::Expired).then_some(())
    })
    .await;
}

fn hall_request(holder_id: &str, seats: &[&str], standing: i32) -> HoldRequest {
    let mut request = hold_request(holder_id, seats);
    request.event_id = "demo".into();
    if standing > 0 {
        let quantity = standing;
        request.areas = vec![AreaQuantity { area_id: "standing".into(), quantity }];
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn free_at_once_though_no_job_runs() {
    let stage = hall_without_jobs().await;
    let server = &stage.server;
    for _ in 0..20 {
        run_out(&stage, &["podium:1:1", "podium:1:2"], 150).await;
        // Another holder takes a part of it: the rest is free, too.
        let next = server.hold(hall_request("bob", &["podium:1:2"], 150)).await.unwrap();
        let house = House::new(&server.get_seat_map("demo").await.unwrap());
        assert_eq!(house.seats["podium:1:1"], SeatStatus::Available);
        assert_eq!(house.areas["standing"], 150);
        server.release(&next, &[], vec![]).await.unwrap();

        // Units alone are freed as well, where they are needed.
        run_out(&stage, &[], 200).await;
        let next = server.hold(hall_request("bob", &[], 200)).await.unwrap();
        server.release(&next, &[], vec![]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_expired_holds_than_a_script_looks_through() {
    let stage = hall_without_jobs().await;
    // Holds of seats, which give the area nothing, run out before the area's.
    for i in 0..holdfast::limits::MAX_EXPIRED_SCANNED_PER_HOLD + 10 {
        run_out(&stage, &[&format!("parterre-left:{}:{}", i / 12 + 1, i % 12 + 1)], 0).await;
    }
    run_out(&stage, &[], 200).await;
    stage.server.hold(hall_request("bob", &[], 200)).await.unwrap();
    let house = House::new(&stage.server.get_seat_map("demo").await.unwrap());
    assert_eq!(house.count(SeatStatus::Held), 0);
    assert_eq!(house.areas["standing"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_end_each_hold_once() {
    let stage = Stage::new().await;
    let _other = stage.another_server().await;
    let begun = Instant::now();
    let mut watcher = stage.server.watch(EVENT, "").await;
    watcher.snapshot().await;
    for row in 'A'..='J' {
        let seats: Vec<String> = (1..=10).map(|n| format!("{row}-{n}")).collect();
        for seat in &seats {
            let mut request = hold_request("ann", &[seat]);
            request.ttl = ms(200);
            stage.server.hold(request).await.unwrap();
        }
    }
    watcher.until("all freed", |w| w.changes.len() >= 200).await;
    assert_eq!(watcher.house.count(SeatStatus::Available), 100);
    assert_eq!(watcher.changes.len(), 200);
    let postgres = stage.stores.postgres().await;
    eventually("all outcomes", async || {
        let sql = "SELECT count(*) FROM hold_outcomes WHERE outcome = 'expired'";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 100).then_some(())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_but_gone_is_done_with() {
    use redis::AsyncCommands;
    let stage = Stage::new().await;
    let mut redis = stage.stores.redis().await;
    let ids: Vec<(i64, String)> =
        (0..150).map(|_| (1, uuid::Uuid::now_v7().simple().to_string())).collect();
    let _: () = redis.zadd_multiple("hf:{event}:due", &ids).await.unwrap();
    eventually("nothing is due", async || {
        let due: i64 = redis.clone().zcount("hf:{event}:due", "-inf", "(inf").await.unwrap();
        (due == 0).then_some(())
    })
    .await;
}

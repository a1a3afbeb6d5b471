//! Redis comes back in another life: as it was, or as it was some time ago.

use std::{fs, path::Path};

use holdfast::proto::SeatStatus;

use crate::support::{
    EVENT, House, OwnStores, Server, code_and_reason, eventually, hold_request, small_event,
};

async fn on_sale(stores: &OwnStores) -> Server {
    let server = Server::start(&stores.stores()).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    server
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(|_| ()).unwrap(),
        }
    }
}

async fn house(server: &Server) -> House {
    eventually("Redis is back", async || Some(House::new(&server.get_seat_map(EVENT).await.ok()?)))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_only_started_again_has_lost_nothing() {
    let mut stores = OwnStores::start().await;
    let server = on_sale(&stores).await;
    // The journal stands still, and so knows nothing of the hold.
    let mut postgres = stores.stores().postgres().await;
    let locked = postgres.transaction().await.unwrap();
    locked.batch_execute("LOCK TABLE holds IN EXCLUSIVE MODE").await.unwrap();
    let hold = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    // With a word before it goes: killed, it may lose what it had not written
    // because an fsync was under way.
    stores.redis.stop().await;
    stores.start_redis().await;
    locked.commit().await.unwrap();

    assert_eq!(house(&server).await.seats["A-1"], SeatStatus::Held);
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold);
    server.confirm(&hold, "pay-1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_comes_back_older_is_built_anew() {
    let mut stores = OwnStores::start().await;
    let server = on_sale(&stores).await;
    let released = server.hold(hold_request("ann", &["B-1"])).await.unwrap();
    let (data, older) = (stores.redis_data(), stores.redis_data().with_extension("older"));
    copy(&data, &older);

    let sold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    server.confirm(&sold, "pay-1").await.unwrap();
    server.release(&released, &[], vec![]).await.unwrap();
    let held = server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    let before = house(&server).await;
    let postgres = stores.stores().postgres().await;
    eventually("the hold is journaled", async || {
        let row = postgres.query_one("SELECT count(*) FROM holds", &[]).await.unwrap();
        (row.get::<_, i64>(0) == 3).then_some(())
    })
    .await;
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;

    // The state of before all that, in the same epoch: are free, and
    // B-1 is held.
    stores.kill_redis().await;
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&older, &data).unwrap();
    stores.start_redis().await;

    // Nobody calls; nor is anybody shown the older state.
    watcher.until("a reset", |w| w.snapshots == 2).await;
    assert_eq!(watcher.house, before);
    assert_eq!(house(&server).await, before);
    let told = code_and_reason(server.hold(hold_request("cat", &["A-1"])).await);
    assert_eq!(told.1, "SEAT_UNAVAILABLE");
    assert_eq!(server.get_hold(EVENT, &held.hold_id).await.unwrap(), held);
    server.confirm(&held, "pay-2").await.unwrap();
    server.hold(hold_request("cat", &["B-1"])).await.unwrap();
}

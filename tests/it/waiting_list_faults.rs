//! The waiting list among others: two servers, a public that grabs, losses and crashes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use holdfast::proto::{SeatStatus, WaitingListState as State};
use rand::seq::SliceRandom;
use tokio::{task::JoinHandle, time::sleep};
use tonic::Code;

use crate::{
    audit::audit,
    support::{
        EVENT, Server, eventually, hold_request,
        waiting::{Lists, offered, party, sold_out},
    },
};

/// Eight who take whatever seat they can.
struct Public {
    grabbed: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Public {
    fn grab(servers: &[&Server]) -> Self {
        let (grabbed, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let grabber = |i: usize| {
            let client = servers[i % servers.len()].reservations.clone();
            let (grabbed, done) = (grabbed.clone(), done.clone());
            tokio::spawn(async move {
                let rows = 'A'..='J';
                let seats = rows.flat_map(|row| (1..=10).map(move |n| format!("{row}-{n}")));
                let mut seats: Vec<String> = seats.collect();
                while !done.load(Relaxed) {
                    seats.shuffle(&mut rand::rng());
                    for seat in &seats {
                        let request = hold_request(&format!("public-{i}"), &[seat]);
                        match client.clone().hold(request).await.map_err(|no| no.code()) {
                            Ok(_) => drop(grabbed.fetch_add(1, Relaxed)),
                            Err(Code::FailedPrecondition) => {}
                            // The server has gone, or has too much to do.
                            Err(_) => sleep(Duration::from_millis(10)).await,
                        }
                    }
                }
            })
        };
        let tasks = (0..8).map(grabber).collect();
        Self { grabbed, done, tasks }
    }

    /// How many seats they have got.
    async fn let_go(self) -> usize {
        self.done.store(true, Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.grabbed.load(Relaxed)
    }
}

/// Two servers free seats by all ways at once, while a public takes whatever it can:
/// those who wait have them, in order, each one once.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_before_the_public_at_two_servers() {
    const WAITING: usize = 40;
    let (stage, rows) = sold_out(60_000).await;
    let other = stage.another_server().await;
    let (here, there) = (Lists::of(&stage.server).await, Lists::of(&other).await);
    let mut entries = Vec::new();
    for i in 0..WAITING {
        let lists = if i % 2 == 0 { &here } else { &there };
        entries.push(lists.join(party(&format!("party-{i}"), 1)).await.unwrap());
    }
    // The list has the first pick once a server has seen that there is one.
    let redis = stage.stores.redis().await;
    eventually("the list has the first pick", async || {
        use redis::AsyncCommands;
        let until: Option<i64> =
            redis.clone().hget("hf:{event}:meta", "listed_until").await.unwrap();
        until
    })
    .await;
    let public = Public::grab(&[&stage.server, &other]);

    // Half of the list is freed by releases at both servers, one by one and at once...
    for (i, row) in rows.iter().take(4).enumerate() {
        let server = if i % 2 == 0 { &stage.server } else { &other };
        let seats: Vec<&str> = row.seat_ids.iter().take(5).map(String::as_str).collect();
        server.release(row, &seats[..1], vec![]).await.unwrap();
        sleep(Duration::from_millis(30)).await;
        server.release(row, &seats[1..], vec![]).await.unwrap();
    }
    for entry in &entries[..WAITING / 2] {
        here.until(entry, State::Offered).await;
    }
    let waiting = entries[WAITING / 2..].iter();
    for (i, entry) in waiting.enumerate() {
        let entry = there.get(entry).await.unwrap();
        assert_eq!((entry.state(), entry.ahead), (State::Waiting, i as i64));
    }
    // ... and the other half by holds that run out.
    for row in &rows[4..6] {
        stage.server.extend_hold(row, 1).await.unwrap();
    }
    let mut seats = Vec::new();
    for entry in &entries {
        let entry = there.until(entry, State::Offered).await;
        seats.extend(offered(&other, &entry).await.seat_ids);
    }
    assert_eq!(public.let_go().await, 0, "seats that the public had before the list");
    seats.sort();
    seats.dedup();
    assert_eq!(seats.len(), WAITING);
    assert_eq!(audit(&stage.stores, &[]).await.0, 0);
}

/// A hold is made, and the server cannot say so any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_left_half_way_is_brought_to_its_end() {
    let (stage, rows) = sold_out(60_000).await;
    let lists = Lists::of(&stage.server).await;
    let postgres = stage.stores.postgres().await;
    postgres
        .batch_execute(
            "CREATE FUNCTION fail() RETURNS trigger AS $$
                BEGIN RAISE EXCEPTION 'not now'; END $$ LANGUAGE plpgsql;
            CREATE TRIGGER fail BEFORE UPDATE ON waiting_list_entries FOR EACH ROW
                WHEN (NEW.state = 'OFFERED') EXECUTE FUNCTION fail()",
        )
        .await
        .unwrap();
    let first = lists.join(party("first", 2)).await.unwrap();
    let second = lists.join(party("second", 2)).await.unwrap();
    let server = &stage.server;
    server.release(&rows[0], &["A-1", "A-2"], vec![]).await.unwrap();
    let hold_id = eventually("the hold is made", async || {
        let sql = "SELECT hold_id::text FROM waiting_list_entries WHERE in_doubt";
        let row = postgres.query_opt(sql, &[]).await.unwrap()?;
        let hold_id: String = row.get(0);
        server.get_hold(EVENT, &hold_id).await.ok().map(|hold| hold.hold_id)
    })
    .await;
    assert_eq!(lists.get(&first).await.unwrap().state(), State::Waiting);
    // Freed meanwhile, it is not offered to the same party again.
    server.release(&rows[0], &["A-5", "A-6"], vec![]).await.unwrap();
    let other = stage.another_server().await;
    postgres.batch_execute("DROP TRIGGER fail ON waiting_list_entries").await.unwrap();

    let first = lists.until(&first, State::Offered).await;
    let hold = offered(&other, &first).await;
    assert_eq!((&hold.hold_id, hold.seat_ids.len()), (&hold_id, 2));
    let second = lists.until(&second, State::Offered).await;
    assert_eq!(offered(&other, &second).await.seat_ids.len(), 2);
    let house = server.house().await;
    assert_eq!(house.count(SeatStatus::Held), 100, "two parties, two holds, four seats");

    // Who leaves while it is not known whether there is a hold has none afterwards.
    let sql = "UPDATE waiting_list_entries SET state = 'WAITING', in_doubt = true,
        offer_time = now() WHERE holder_id = 'second'";
    postgres.execute(sql, &[]).await.unwrap();
    assert_eq!(lists.leave(&second).await.unwrap().state(), State::Left);
    eventually("its hold is released", async || {
        let hold = server.get_hold(EVENT, &second.hold_id).await.unwrap();
        (hold.state() == holdfast::proto::HoldState::Released).then_some(())
    })
    .await;
}

/// Redis loses an offer that no journal has.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_lost_with_redis_lapses_and_goes_on() {
    let (stage, rows) = sold_out(60_000).await;
    let lists = Lists::of(&stage.server).await;
    let postgres = stage.stores.postgres().await;
    let first = lists.join(party("first", 2)).await.unwrap();
    let second = lists.join(party("second", 2)).await.unwrap();
    stage.server.release(&rows[7], &["H-4", "H-5"], vec![]).await.unwrap();
    let first = lists.until(&first, State::Offered).await;
    // The journal has all by now, and forgets this one.
    eventually("the journal has it", async || {
        let sql = format!("DELETE FROM holds WHERE hold_id = '{}'", first.hold_id);
        (postgres.execute(&sql, &[]).await.unwrap() == 1).then_some(())
    })
    .await;
    let mut redis = stage.stores.redis().await;
    let () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    lists.until(&first, State::Lapsed).await;
    let second = lists.until(&second, State::Offered).await;
    assert_eq!(offered(&stage.server, &second).await.seat_ids, ["H-4", "H-5"]);

    // One that the journal has comes back, and stays its party's.
    eventually("the journal has it", async || {
        let sql = format!("SELECT FROM holds WHERE hold_id = '{}'", second.hold_id);
        postgres.query_opt(&sql, &[]).await.unwrap()
    })
    .await;
    let () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    stage.server.confirm(&offered(&stage.server, &second).await, "pay").await.unwrap();
    lists.until(&second, State::Fulfilled).await;
    assert_eq!(audit(&stage.stores, &[]).await.0, 0);
}

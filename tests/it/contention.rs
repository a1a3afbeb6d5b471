//! Everybody wants the same row.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use holdfast::proto::SeatStatus;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tonic::{Code, Request};

use crate::support::{
    EVENT, OwnStores, Server, Stage, eventually, hold_request, refusal, small_event,
};

const CLIENTS: usize = 64;
const HOLDS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_fight_for_a_hundred_seats() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let mut watcher = stage.server.watch(EVENT, "").await;
    watcher.snapshot().await;
    let seats: Vec<String> =
        ('A'..='J').flat_map(|row| (1..=10).map(move |n| format!("{row}-{n}"))).collect();

    let clients = (0..CLIENTS).map(|client| {
        let server = if client % 2 == 0 { &stage.server } else { &other };
        let seats = &seats;
        async move {
            let mut won = Vec::new();
            for i in 0..HOLDS.div_ceil(CLIENTS) {
                // Two seats, spread so that everybody meets everybody.
                let mix = (client * 7_919 + i * 104_729) % 100;
                let wanted = [&*seats[mix], &*seats[(mix + 1 + i % 7) % 100]];
                let request = hold_request(&format!("client-{client}"), &wanted);
                match server.hold(request).await {
                    Ok(hold) => won.push(hold),
                    Err(status) => {
                        let told = refusal(Err::<(), _>(status));
                        assert_eq!(told.code, Code::FailedPrecondition);
                        assert_eq!(told.reason, "SEAT_UNAVAILABLE");
                        assert!(told.subjects.iter().all(|seat| seat.starts_with("SEAT_HELD ")));
                    }
                }
            }
            won
        }
    });
    let won: Vec<_> = join_all(clients).await.into_iter().flatten().collect();

    // Each seat has one owner, and none was left that somebody was refused for.
    let mut owners = HashMap::new();
    for hold in &won {
        for seat in &hold.seat_ids {
            let before = owners.insert(seat.clone(), hold.hold_id.clone());
            assert!(before.is_none(), "seat {seat} is held twice");
        }
    }
    let house = stage.server.house().await;
    for seat in &seats {
        let held = house.seats[seat] == SeatStatus::Held;
        assert_eq!(held, owners.contains_key(seat), "seat {seat}");
    }
    assert!(owners.len() > 90, "nearly all seats went");

    // The stream, the other server and the journal agree.
    watcher.until("all held", |w| w.house.count(SeatStatus::Held) == owners.len()).await;
    assert_eq!(watcher.house, house);
    assert_eq!(watcher.changes.len(), owners.len(), "nothing was taken and given back");
    assert_eq!(other.house().await, house);
    let postgres = stage.stores.postgres().await;
    let journaled = eventually("all is journaled", async || {
        let sql = "SELECT seat_id, hold_id FROM holds
            JOIN LATERAL unnest(seat_indexes) AS i (seat_index) ON true
            JOIN seats USING (event_id, seat_index)";
        let rows = postgres.query(sql, &[]).await.unwrap();
        (rows.len() == owners.len()).then(|| {
            let row = |row: &tokio_postgres::Row| {
                (row.get::<_, String>(0), row.get::<_, uuid::Uuid>(1).to_string())
            };
            rows.iter().map(row).collect::<HashMap<_, _>>()
        })
    })
    .await;
    assert_eq!(journaled, owners);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_nobody_waits_for_any_more_is_not_begun() {
    let own = OwnStores::start().await;
    let server = Server::start(&own.stores()).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    server.hold(hold_request("ann", &["J-10"])).await.unwrap();

    // Redis stops to answer. One call is under way, the others wait for it.
    let redis = Pid::from_raw(i32::try_from(own.redis.pid()).unwrap());
    killpg(redis, Signal::SIGSTOP).unwrap();
    let given_up = async |n: usize| {
        let seat = format!("{}-{}", char::from(b'A' + (n / 10) as u8), n % 10 + 1);
        let mut request = Request::new(hold_request("ann", &[&seat]));
        request.set_timeout(Duration::from_millis(300));
        server.reservations.clone().hold(request).await.unwrap_err()
    };
    given_up(0).await;
    join_all((1..50).map(given_up)).await;
    // What is answered after that was read after they were given up.
    server.hold(hold_request("", &["A-1"])).await.unwrap_err();
    killpg(redis, Signal::SIGCONT).unwrap();

    // Whoever comes after them is served after them.
    let last = hold_request("bob", &["J-9"]);
    eventually("a hold", async || server.hold(last.clone()).await.ok()).await;
    assert_eq!(server.house().await.count(SeatStatus::Held), 3);
}

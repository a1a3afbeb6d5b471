//! `holdfast audit`, the binary: a healthy house has no difference, whatever goes
//! on; what is broken by hand is told by its name, and mended.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use holdfast::{
    app,
    domain::audit::Difference,
    proto::{Hold, HoldRequest},
};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use tokio::{process::Command, time::Instant};
use uuid::Uuid;

use crate::support::{
    EVENT, Server, Stage, Stores, eventually, floor, hold_request, ms, small_event,
};

/// What the command printed, and what it exited with.
pub async fn audit(stores: &Stores, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .arg("audit")
        .args(args)
        .env("HOLDFAST_POSTGRES_URL", &stores.postgres_url)
        .env("HOLDFAST_REDIS_URL", &stores.redis_url)
        .env("HOLDFAST_LOG", "error")
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), said.concat())
}

pub fn assert_told(told: &str, lines: &[&str]) {
    for line in lines {
        assert!(told.contains(line), "{line:?} is not told in\n{told}");
    }
}

/// A hold id as Redis keeps it.
fn digits(hold: &Hold) -> String {
    hold.hold_id.replace('-', "")
}

async fn seats_and_floor(server: &Server, holder: &str, seats: &[&str]) -> Hold {
    let mut request = hold_request(holder, seats);
    request.areas = floor(2);
    server.hold(request).await.unwrap()
}

async fn journaled(stage: &Stage, holds: i64) {
    let postgres = stage.stores.postgres().await;
    eventually("the holds are journaled", async || {
        let sql = "SELECT count(*) FROM holds";
        (postgres.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) >= holds).then_some(())
    })
    .await;
}

/// Sets a hold's state, by its letter.
async fn set_state(redis: &mut MultiplexedConnection, id: &str, state: &str) {
    let script = "local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))
        r[3] = ARGV[2] r[6] = 0 r[9] = ''
        redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(r))
        return redis.call('ZADD', KEYS[2], r[5] + 2000, ARGV[1])";
    let _: i64 = redis::Script::new(script)
        .key("hf:{event}:holds")
        .key("hf:{event}:due")
        .arg(id)
        .arg(state)
        .invoke_async(redis)
        .await
        .unwrap();
}

/// Holds in every state in which an audit finds them.
struct Traffic {
    held: Vec<Hold>,
    sold: Vec<Hold>,
    released: Hold,
}

impl Traffic {
    async fn new(stage: &Stage) -> Self {
        let server = &stage.server;
        let (mut held, mut sold) = (Vec::new(), Vec::new());
        for row in ["B", "C", "D", "E", "F"] {
            held.push(server.hold(hold_request(row, &[&format!("{row}-1")])).await.unwrap());
        }
        for (n, seat) in ["A-1", "A-2", "A-3"].into_iter().enumerate() {
            let hold = seats_and_floor(server, "ann", &[seat]).await;
            server.confirm(&hold, &format!("pay-{n}")).await.unwrap();
            sold.push(hold);
        }
        let released = server.hold(hold_request("gus", &["G-1"])).await.unwrap();
        journaled(stage, 9).await;
        let postgres = stage.stores.postgres().await;
        let all_done = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
        eventually("the outbox is done", async || {
            (postgres.query_one(all_done, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
        })
        .await;
        // Sales of the last second could be under way still.
        let sql = "UPDATE outbox SET done_at = now() - interval '1 min'";
        postgres.execute(sql, &[]).await.unwrap();
        Self { held, sold, released }
    }

    /// Breaks what Redis has in every way, and answers what an audit must say.
    async fn break_it(&self, stores: &Stores) -> Vec<String> {
        let Self { held, sold, released } = self;
        let mut redis = stores.redis().await;
        let (seats, holds, due) = ("hf:{event}:seats", "hf:{event}:holds", "hf:{event}:due");
        // A sold seat is forgotten; nobody told of a sale; one has no ticket.
        let _: () = redis.hdel(seats, 0).await.unwrap();
        let (told, untold) = (digits(&sold[1]), digits(&sold[2]));
        let _: () = redis.hset(seats, 2, format!("H{untold}")).await.unwrap();
        set_state(&mut redis, &untold, "C").await;
        let _: () = redis.hset(seats, 99, format!("S{told}")).await.unwrap();
        // A hold's seat is another's; a hold is gone, one never due, one due late.
        let _: () = redis.hset(seats, 10, format!("H{told}")).await.unwrap();
        let _: () = redis.hdel(holds, digits(&held[1])).await.unwrap();
        let _: () = redis.zrem(due, digits(&held[2])).await.unwrap();
        let _: () = redis.zincr(due, digits(&held[3]), 5_000).await.unwrap();
        let (ghost, far) = (Uuid::now_v7(), 4_000_000_000_000_i64);
        let _: () = redis.zadd(due, ghost.simple().to_string(), far).await.unwrap();
        // Counters, blocked seats, rules; what only Postgres has, or has lost.
        let _: () = redis.hincr("hf:{event}:areas", "f0", 3).await.unwrap();
        let _: () = redis.hincr("hf:{event}:holders", "ann", -1).await.unwrap();
        let _: () = redis.hset(seats, 88, "B").await.unwrap();
        let _: () = redis.hset("hf:{event}:meta", "hold_ttl_ms", 5).await.unwrap();
        let sql = "UPDATE seats SET blocked = true WHERE seat_id = 'I-8';
            INSERT INTO hold_outcomes (event_id, hold_id, outcome)
                SELECT event_id, hold_id, 'released' FROM holds WHERE holder_id = 'gus';
            DELETE FROM holds WHERE holder_id = 'F'";
        stores.postgres().await.batch_execute(sql).await.unwrap();

        let [a1, a2, a3] = [0, 1, 2].map(|n| &sold[n].hold_id);
        let [b1, c1, d1, e1, f1] = [0, 1, 2, 3, 4].map(|n| &held[n].hold_id);
        vec![
            format!("seat A-1 is sold to hold {a1}, but available in Redis"),
            format!("seat A-3 is sold to hold {a3}, but held by hold"),
            format!("hold {a3} has ended as confirmed, but lives in Redis"),
            format!("seat J-10 is sold to hold {a2} in Redis, but has no ticket"),
            format!("hold {b1} has seat B-1, which is held by hold {a2}"),
            format!("seat B-1 is held by hold {a2} in Redis, but no live hold"),
            format!("seat C-1 is held by hold {c1} in Redis, but no live hold"),
            format!("hold {c1} is in the journal, but not in Redis: its items are on sale"),
            format!("hold {c1} is due in Redis, but no such hold"),
            format!("hold {d1} lives in Redis, but is never due"),
            format!("hold {e1} is due at"),
            format!("hold {ghost} is due in Redis, but no such hold"),
            format!("hold {} has ended as released, but lives in Redis", released.hold_id),
            format!("hold {f1} lives in Redis, but is not in the journal"),
            "area floor: Redis offers 3 unit(s) more".into(),
            "holder ann: Redis counts -1 unit(s)".into(),
            "holder C: Redis counts +1 unit(s)".into(),
            "seat I-9 is blocked in Redis, but not in Postgres".into(),
            "seat I-8 is blocked in Postgres, but available in Redis".into(),
            "Redis has hold_ttl_ms = 5, Postgres 900000".into(),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_in_redis_is_told_and_mended() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let traffic = Traffic::new(&stage).await;
    let (code, told) = audit(&stage.stores, &[]).await;
    assert_eq!(code, 0, "{told}");

    let lines = traffic.break_it(&stage.stores).await;
    let (code, told) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 1, "{told}");
    assert_told(&told, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_told(&told, &["compared 1 event(s), 100 seats", "no stream (none was named"]);
    let differences = told.lines().filter(|line| line.starts_with("difference: ")).count();
    assert_eq!(differences, lines.len(), "no more than was broken, in\n{told}");

    let (code, told) = audit(&stage.stores, &["--repair"]).await;
    assert_eq!(code, 0, "{told}");
    assert_told(&told, &["found: event event: seat A-1 is sold", " 0 difference(s), 0 note(s)"]);
    // Nothing promised was lost on the way.
    for hold in &traffic.held {
        let now = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
        assert_eq!((now.state(), &now.seat_ids), (hold.state(), &hold.seat_ids));
    }
    server.confirm(&traffic.held[4], "pay-f").await.unwrap();
    let url = format!("http://{}", server.app.grpc_addr);
    let (code, told) = audit(&stage.stores, &["--server", &url, "--json"]).await;
    assert_eq!(code, 0, "{told}");
    assert_told(&told, &[r#""differences":0"#, r#""streams":1"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_in_postgres_is_left_to_a_person() {
    let stage = Stage::new().await;
    let server = &stage.server;
    for (n, seat) in ["A-1", "A-2", "A-3", "A-4"].into_iter().enumerate() {
        let hold = seats_and_floor(server, "ann", &[seat]).await;
        server.confirm(&hold, &format!("pay-{n}")).await.unwrap();
    }
    let postgres = stage.stores.postgres().await;
    let order_of = async |payment: &str| {
        let sql = "SELECT order_id, hold_id FROM orders WHERE payment_reference = $1";
        let row = postgres.query_one(sql, &[&payment]).await.unwrap();
        (row.get::<_, Uuid>(0), row.get::<_, Uuid>(1))
    };
    let (unsettled, its_hold) = order_of("pay-0").await;
    let (_, without_order) = order_of("pay-1").await;
    let (dear, _) = order_of("pay-2").await;
    let (without_tickets, _) = order_of("pay-3").await;
    for sql in [
        "DELETE FROM hold_outcomes WHERE hold_id =
            (SELECT hold_id FROM orders WHERE payment_reference = 'pay-0')",
        "DELETE FROM tickets WHERE order_id IN
            (SELECT order_id FROM orders WHERE payment_reference IN ('pay-1', 'pay-3'))",
        "DELETE FROM orders WHERE payment_reference = 'pay-1'",
        "UPDATE orders SET total_micros = total_micros + 1 WHERE payment_reference = 'pay-2'",
        "UPDATE areas SET sold = 5",
        "INSERT INTO outbox (kind, event_id, hold_id, lease_until, create_time)
            SELECT 'sold', event_id, hold_id, now() + interval '1 h', now() - interval '1 h'
            FROM orders WHERE payment_reference = 'pay-2'",
    ] {
        postgres.execute(sql, &[]).await.unwrap();
    }
    let lines = [
        format!("order {unsettled} is there, but hold {its_hold} is not confirmed by it"),
        format!("hold {without_order} is confirmed in Postgres, but its order is gone"),
        format!("order {without_tickets} has no tickets"),
        format!("order {dear} has a total of"),
        "area floor: Postgres counts 5 sold, but there are 4 tickets".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (code, told) = audit(&stage.stores, &[]).await;
    assert_eq!(code, 1, "{told}");
    assert_told(&told, &lines);
    assert_told(&told, &["is open: Redis may not know that hold"]);
    let (code, told) = audit(&stage.stores, &["--repair"]).await;
    assert_eq!(code, 1, "{told}");
    let left: Vec<_> = told.lines().filter(|line| line.starts_with("difference")).collect();
    assert_told(&left.join("\n"), &lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_nothing_differs_but_what_is_broken() {
    let stage = Stage::empty().await;
    let mut house = small_event(EVENT);
    house.chart.as_mut().unwrap().areas[0].capacity = 1_000_000;
    house.event.as_mut().unwrap().max_holds_per_holder = 1_000;
    stage.server.create_event(house).await.unwrap();
    let other = stage.another_server().await;
    let until = Instant::now() + Duration::from_secs(38);
    let clients = (0..32_usize).map(|client| {
        let server = if client % 2 == 0 { &stage.server } else { &other };
        async move {
            let mut round = client;
            while Instant::now() < until {
                round = round.wrapping_mul(1_103_515_245).wrapping_add(12_345) % 1_000_003;
                trade(server, client, round).await;
            }
        }
    });
    let urls = [&stage.server, &other].map(|server| format!("http://{}", server.app.grpc_addr));
    let audits = async {
        let mut audits = 0;
        while Instant::now() < until - Duration::from_secs(15) {
            let args = ["--server", &urls[0], "--server", &urls[1]];
            let (code, told) = audit(&stage.stores, &args).await;
            assert_eq!(code, 0, "{told}");
            audits += 1;
        }
        // One unit too many is seen however many are sold meanwhile.
        let mut redis = stage.stores.redis().await;
        let _: () = redis.hincr("hf:{event}:areas", "f0", 1).await.unwrap();
        let (_, told) = audit(&stage.stores, &[]).await;
        assert_told(&told, &["area floor: Redis offers 1 unit(s) more", " 1 difference(s)"]);
        audits
    };
    let (audits, _) = tokio::join!(audits, join_all(clients));
    assert!(audits >= 1, "{audits}");
    let postgres = stage.stores.postgres().await;
    let sql = "SELECT outcome, count(*) FROM hold_outcomes GROUP BY 1";
    let ended = postgres.query(sql, &[]).await.unwrap();
    let ended: HashMap<String, i64> = ended.iter().map(|row| (row.get(0), row.get(1))).collect();
    let all = ["confirmed", "released", "expired"].map(|outcome| ended.get(outcome).copied());
    assert!(all.iter().all(|count| count.is_some_and(|count| count > 300)), "{ended:?}");
    let (code, told) = audit(&stage.stores, &["--repair", "--server", &urls[0]]).await;
    assert_eq!(code, 0, "{told}");
}

/// A hold, and one of the ways in which it ends.
async fn trade(server: &Server, client: usize, round: usize) {
    let row = char::from(b'A' + u8::try_from(round % 10).unwrap());
    let seat = format!("{row}-{}", round / 10 % 10 + 1);
    let mut request: HoldRequest = hold_request(&format!("client-{client}"), &[&seat]);
    request.ttl = ms(if round.is_multiple_of(7) { 20 } else { 5_000 });
    if round.is_multiple_of(3) {
        request.areas = floor(1);
    }
    if !round.is_multiple_of(5) {
        request.seat_ids.clear();
        request.areas = floor(1);
    }
    let Ok(hold) = server.hold(request).await else { return };
    // Whatever comes of it: some have run out by now. Few seats are sold, so that
    // some are left.
    match round % 1_000 {
        n if n == 0 || n % 5 == 1 => _ = server.confirm(&hold, &hold.hold_id).await,
        1..=200 => _ = server.extend_hold(&hold, 3_000).await,
        201..=700 => _ = server.release(&hold, &[], vec![]).await,
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_redis_does_not_have_is_loaded() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    journaled(&stage, 1).await;
    let stores = stage.stores.clone();
    stage.server.app.stop().await;
    let mut redis = stores.redis().await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    let (code, told) = audit(&stores, &[]).await;
    assert_eq!(code, 1, "{told}");
    assert_told(&told, &["Redis does not have the event"]);
    let (code, told) = audit(&stores, &["--repair"]).await;
    assert_eq!(code, 0, "{told}");
    let server = Server::start(&stores).await;
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold);
    // What cannot be compared is no difference.
    let nowhere = Stores { redis_url: "redis://127.0.0.1:1".into(), ..stores };
    assert_eq!(audit(&nowhere, &[]).await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_missed_a_change_is_told() {
    let stage = Stage::new().await;
    let mut watcher = stage.server.watch(EVENT, "").await;
    watcher.snapshot().await;
    // Both stores agree, but the log, and so the node's map, never heard of it.
    let mut redis = stage.stores.redis().await;
    let _: () = redis.hset("hf:{event}:seats", 5, "B").await.unwrap();
    let sql = "UPDATE seats SET blocked = true WHERE seat_index = 5";
    stage.stores.postgres().await.batch_execute(sql).await.unwrap();
    let url = format!("http://{}", stage.server.app.grpc_addr);
    let (code, told) = audit(&stage.stores, &["--server", &url]).await;
    assert_eq!(code, 1, "{told}");
    let line = format!("{url} tells seat A-6 as Available, Blocked in Redis");
    assert_told(&told, &[&line, "the streams of 1 server(s): 1 difference(s)"]);
    assert_eq!(audit(&stage.stores, &[]).await.0, 0);
    let nobody = audit(&stage.stores, &["--server", "http://127.0.0.1:1"]).await;
    assert_eq!(nobody.0, 2, "{}", nobody.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_background_one_server_compares_an_event() {
    let stage = Stage::new().await;
    let mut redis = stage.stores.redis().await;
    let _: () = redis.hincr("hf:{event}:areas", "f0", 1).await.unwrap();
    let settings = stage.stores.settings();
    let (one, another) =
        (app::connect(&settings).await.unwrap(), app::connect(&settings).await.unwrap());
    let _: () = redis.del("hf:{event}:reconciled").await.unwrap();
    let (one, another) = tokio::join!(one.reconcile(), another.reconcile());
    let found = [one.unwrap().0, another.unwrap().0].concat();
    assert_eq!(found.len(), 1, "{found:?}");
    let kinds: Vec<_> = found[0].differences.iter().map(Difference::kind).collect();
    assert_eq!(kinds, ["area_count"]);
}

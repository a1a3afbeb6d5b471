//! What an operator looks at from a shell: `events`, `holds` and `why`.

use holdfast::proto::{Hold, HoldDurability};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    change_hold::{change, to},
    operator::{force_release, reassign},
    support::{EVENT, Server, Stage, Stores, eventually, floor, hold_request, small_event},
};

/// The command on a stage's stores: what it exits with, and says.
async fn holdfast(stores: &Stores, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_holdfast"))
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

async fn objects(stores: &Stores, args: &[&str]) -> Vec<Value> {
    let (code, said) = holdfast(stores, &[args, &["--json"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn flush(stores: &Stores) {
    let _: () = redis::cmd("FLUSHDB").query_async(&mut stores.redis().await).await.unwrap();
}

fn numbers(event: &Value) -> [i64; 5] {
    ["sold", "held", "free", "blocked", "open_holds"].map(|name| event[name].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_their_open_holds() {
    let Stage { stores, server } = Stage::new().await;
    let stores = &stores;
    server.create_event(small_event("second")).await.unwrap();
    let sold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    server.confirm(&sold, "pay-1").await.unwrap();
    let mut request = hold_request("bob", &["B-1", "B-2"]);
    request.areas = floor(3);
    let bobs = server.hold(request).await.unwrap();
    let cats = server.hold(hold_request("cat", &["C-1"])).await.unwrap();
    let order = server.create_order(&cats).await.unwrap().order.unwrap();
    let mut server = Some(server);
    for state in [true, false] {
        let events = objects(stores, &["events"]).await;
        assert_eq!(events.len(), 2);
        let [first, second] = ["event", "second"].map(|event_id| {
            let is_it = |event: &&Value| event["event_id"] == event_id;
            events.iter().find(is_it).unwrap_or_else(|| panic!("{events:?}"))
        });
        assert_eq!(numbers(first), [1, 6, 193, 0, 2], "{events:?}");
        assert_eq!(numbers(second), [0, 0, 200, 0, 0], "{events:?}");
        assert_eq!(first["in_redis"], state);
        let holds = objects(stores, &["holds", EVENT]).await;
        assert_eq!(holds.len(), 2, "{holds:?}");
        let of = |hold: &Hold| {
            let is_it = |told: &&Value| told["hold_id"] == hold.hold_id;
            holds.iter().find(is_it).unwrap_or_else(|| panic!("{holds:?}"))
        };
        let told = of(&bobs);
        assert_eq!([&told["holder_id"], &told["state"]], ["bob", "ACTIVE"]);
        assert_eq!(told["seat_ids"], serde_json::json!(["B-1", "B-2"]));
        assert_eq!(told["areas"][0]["quantity"], 3);
        assert_eq!(told["order_id"], Value::Null);
        assert_eq!(of(&cats)["order_id"], order.order_id);
        let (code, said) = holdfast(stores, &["holds", EVENT]).await;
        assert_eq!((code, said.contains("2 open hold(s)")), (0, true), "{said}");
        assert_eq!(said.contains("Redis does not have the event now"), !state, "{said}");
        if state {
            // By the journal, where Redis has nothing; and looking loads nothing.
            let postgres = stores.postgres().await;
            eventually("the holds are journaled", async || {
                let sql = "SELECT FROM holds OFFSET 2";
                postgres.query_opt(sql, &[]).await.unwrap().map(drop)
            })
            .await;
            server.take().unwrap().app.stop().await;
            flush(stores).await;
        }
    }
    for args in [["holds", "nowhere"].as_slice(), &["why", "nowhere", "A-1"]] {
        let (code, said) = holdfast(stores, args).await;
        assert_eq!((code, &*said), (1, "holdfast: there is no event nowhere\n"));
    }
    let (code, said) = holdfast(stores, &["why", EVENT, "Z-9"]).await;
    assert_eq!((code, &*said), (1, "holdfast: the event has no seat Z-9\n"));
    let gone = Stores { redis_url: "redis://127.0.0.1:1/0".into(), ..Stores::new().await };
    let (code, said) = holdfast(&gone, &["events"]).await;
    assert_eq!(code, 0, "an empty database asks nothing of Redis: {said}");
    let gone = Stores { redis_url: gone.redis_url, postgres_url: stores.postgres_url.clone() };
    let (code, said) = holdfast(&gone, &["events"]).await;
    assert!(code == 2 && said.contains("holdfast: a store is out of reach"), "{code}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_holds_than_are_read_at_a_time() {
    let stage = Stage::empty().await;
    let mut event = small_event(EVENT);
    event.chart.as_mut().unwrap().areas[0].capacity = 10_000;
    stage.server.create_event(event).await.unwrap();
    for chunk in (0..1_200).collect::<Vec<_>>().chunks(100) {
        let asked = chunk.iter().map(|n| {
            let mut request = hold_request(&format!("holder-{n}"), &[]);
            request.areas = floor(1);
            stage.server.hold(request)
        });
        for held in futures_util::future::join_all(asked).await {
            held.unwrap();
        }
    }
    let told = objects(&stage.stores, &["holds", EVENT]).await;
    let mut holders: Vec<_> = told.iter().map(|hold| hold["holder_id"].to_string()).collect();
    holders.sort();
    holders.dedup();
    assert_eq!((told.len(), holders.len()), (1_200, 1_200), "each once");
    let expires: Vec<_> = told.iter().map(|hold| hold["expire_time"].to_string()).collect();
    assert!(expires.is_sorted(), "in the order in which they run out");
}

/// What Redis' log has of it.
const LOG: [&str; 13] = [
    "HELD ann",
    "FREE -",
    "HELD bob",
    "FREE -",
    "HELD cat",
    "HOLD_CHANGED cat",
    "FREE -",
    "BLOCKED -",
    "FREE -",
    "HELD dan",
    "HOLD_CHANGED eve",
    "SOLD -",
    "FREE -",
];

/// What happens to seat A-1 in one evening.
async fn play(server: &Server) {
    let first = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    force_release(server, &first).await.unwrap();
    let second = server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    change(server, to(&second, ["A-3"], vec![])).await.unwrap();
    let third = server.hold(hold_request("cat", &["A-1"])).await.unwrap();
    server.expire(&third).await;
    let seat_ids = vec!["A-1".to_owned()];
    let event_id = EVENT.to_owned();
    let block = holdfast::proto::BlockSeatsRequest { event_id, seat_ids: seat_ids.clone() };
    server.catalog.clone().block_seats(block).await.unwrap();
    let event_id = EVENT.to_owned();
    let unblock = holdfast::proto::UnblockSeatsRequest { event_id, seat_ids };
    server.catalog.clone().unblock_seats(unblock).await.unwrap();
    let fourth = server.hold(hold_request("dan", &["A-1"])).await.unwrap();
    let eves = reassign(server, &fourth, "eve").await.unwrap();
    let order = server.confirm(&eves, "pay-1").await.unwrap();
    let refund_id = uuid::Uuid::now_v7().to_string();
    server.refund_order(&order.order_id, &refund_id, &[]).await.unwrap();
}

/// What some sources tell, each with whose it was.
fn seen(told: &[Value], sources: &[&str]) -> Vec<String> {
    let of = told.iter().filter(|told| sources.contains(&told["source"].as_str().unwrap()));
    of.map(|told| {
        let who = told["holder_id"].as_str().unwrap_or("-");
        format!("{} {who}", told["kind"].as_str().unwrap())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_a_seat_when() {
    let stage = Stage::empty().await;
    let (server, stores) = (&stage.server, &stage.stores);
    let mut event = small_event(EVENT);
    event.event.as_mut().unwrap().set_hold_durability(HoldDurability::Journaled);
    server.create_event(event).await.unwrap();
    play(server).await;
    let told = eventually("the seat is free again", async || {
        let told = objects(stores, &["why", EVENT, "A-1"]).await;
        let last = told.iter().rev().find(|told| told["source"] == "log")?;
        // The journal follows the log.
        let has_expired = told.iter().any(|told| told["kind"] == "EXPIRED");
        (last["kind"] == "FREE" && has_expired).then(|| told.clone())
    })
    .await;
    let times: Vec<_> = told.iter().map(|told| told["time"].to_string()).collect();
    assert!(times.is_sorted(), "{times:?}");
    // What Postgres has: not that bob had the seat, for he changed it for another.
    let all = ["journal", "orders", "operators", "refunds"];
    let known = [
        "HELD ann",
        "OPERATOR_RELEASE ann",
        "RELEASED ann",
        "HELD cat",
        "EXPIRED cat",
        "HELD dan",
        "OPERATOR_REASSIGN dan",
        "CONFIRMED eve",
        "SOLD eve",
        "TICKET_VOID eve",
    ];
    let mut journal = seen(&told, &all);
    let mut expected = known.map(str::to_owned).to_vec();
    assert_eq!(journal.first().map(String::as_str), Some("HELD ann"));
    journal.sort();
    expected.sort();
    assert_eq!(journal, expected);
    // And Redis' log.
    let logged: Vec<_> =
        seen(&told, &["log"]).into_iter().filter(|told| !told.starts_with("REBUILT")).collect();
    assert_eq!(logged, LOG);
    let by = told.iter().find(|told| told["kind"] == "OPERATOR_REASSIGN").unwrap();
    assert_eq!([&by["actor"], &by["reason"], &by["to"]], ["olga", "other account", "eve"]);
    assert!(told.iter().all(|told| told["done"] == true), "{told:?}");
    // What nobody saw the end of is not told as done.
    let sql = "INSERT INTO operator_actions (event_id, kind, hold_id, holder_id, new_holder_id,
            actor, reason)
        SELECT event_id, kind, hold_id, new_holder_id, 'fay', actor, reason
        FROM operator_actions WHERE kind = 'REASSIGN'";
    assert_eq!(stores.postgres().await.execute(sql, &[]).await.unwrap(), 1);
    let told = objects(stores, &["why", EVENT, "A-1"]).await;
    let undone: Vec<_> = told.iter().filter(|told| told["done"] == false).collect();
    assert!(matches!(&*undone, [told] if told["to"] == "fay"), "{told:?}");

    let (code, said) = holdfast(stores, &["why", EVENT, "A-1"]).await;
    assert_eq!(code, 0, "{said}");
    for part in [
        "seat A-1 of event event is AVAILABLE in Redis, nobody's in Postgres",
        "OPERATOR_RELEASE",
        "by olga because a bot\n",
        "to fay by olga because other account (not known to be done)\n",
        "the log has all since ",
        "A FAST hold that was lost with Redis",
    ] {
        assert!(said.contains(part), "{part:?} is not told in\n{said}");
    }
}

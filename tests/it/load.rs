//! `holdfast load`, the binary, against a server: each scenario tells what it did,
//! leaves nothing behind, and finds an answer that is not true.

use std::process::Output;

use holdfast::proto::{Event, EventState, ListEventsRequest, SeatStatus};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use redis::AsyncCommands;
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::support::{EVENT, Server, Stage, eventually, small_event};

/// The command, told which server to load.
fn command(server: &Server, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    let url = format!("http://{}", server.app.grpc_addr);
    command.arg("load").args(args.split(' ')).args(["--server", &url]).kill_on_drop(true);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

/// What the command tells machines, after a check that found nothing.
async fn load(server: &Server, args: &str) -> Value {
    let output = command(server, &format!("{args} --check --json")).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["violations"], 0);
    let times = ["p50_us", "p99_us", "p999_us", "max_us"].map(|name| told[name].as_u64().unwrap());
    assert!(times.is_sorted() && times[0] > 0, "{told}");
    let (rate, seconds) = (told["rate"].as_f64().unwrap(), told["seconds"].as_f64().unwrap());
    let ok = told["ok"].as_f64().unwrap();
    assert!(seconds > 0.0 && (rate - ok / seconds).abs() < 0.1, "{told}");
    told
}

/// What the command exits with, and says, where something is wrong.
async fn wrong(server: &Server, args: &str) -> (i32, String) {
    let output = command(server, args).output().await.unwrap();
    (output.status.code().unwrap(), said(&output))
}

async fn own_events(server: &Server) -> Vec<Event> {
    let listed = server.catalog.clone().list_events(ListEventsRequest::default()).await.unwrap();
    let events = listed.into_inner().events.into_iter();
    events.filter(|event| event.event_id.starts_with("load-")).collect()
}

async fn count(stage: &Stage, sql: &str) -> Vec<i64> {
    let rows = stage.stores.postgres().await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn free_seats(server: &Server, event_id: &str) -> usize {
    let map = server.get_seat_map(event_id).await.unwrap();
    map.seats.iter().filter(|seat| seat.status() == SeatStatus::Available).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_of_own_events_are_measured_drawn_and_given_back() {
    let stage = Stage::empty().await;
    let server = &stage.server;
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join("holds.svg");
    let args = "hold --events 2 --calls 200 --in-flight 16 --seats 3 --plot";
    let told = load(server, &format!("{args} {}", picture.display())).await;
    assert_eq!(
        [&told["scenario"], &told["calls"], &told["ok"]],
        [&json!("hold"), &200.into(), &200.into()]
    );
    assert_eq!([&told["refusals"], &told["errors"]], [&json!({}), &json!({})]);
    assert_eq!([&told["events"], &told["seats_per_hold"]], [&json!(2), &json!(3)]);
    assert_eq!(told["releases"], 0, "every hold has seats of its own");
    let picture = std::fs::read_to_string(picture).unwrap();
    for part in ["<svg", "p50", "p99", "latency by percentile", "99%", "polyline"] {
        assert!(picture.contains(part), "no {part} in the picture");
    }
    let events = own_events(server).await;
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event.state(), EventState::Closed);
        assert_eq!(free_seats(server, &event.event_id).await, 300);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_that_the_server_finds_are_checked_as_others_are() {
    let stage = Stage::empty().await;
    let args = "hold --best --seats 2 --calls 100 --in-flight 16 --house 220";
    let told = load(&stage.server, args).await;
    assert_eq!([&told["ok"], &told["best_available"]], [&json!(100), &json!(true)]);
    // A house that is too small: the oldest go.
    let args = "hold --best --seats 2 --calls 100 --in-flight 4 --house 40";
    let told = load(&stage.server, args).await;
    assert!(told["releases"].as_u64().unwrap() > 50, "{told}");
    let event = own_events(&stage.server).await.remove(0);
    assert_eq!(event.state(), EventState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_of_an_event_that_is_there() {
    let stage = Stage::new().await;
    let server = &stage.server;
    // Fewer seats than calls: the oldest holds go, and in the end all.
    let told = load(server, "hold --event event --calls 300 --in-flight 8").await;
    assert_eq!([&told["calls"], &told["ok"]], [&json!(300), &json!(300)]);
    assert!(told["releases"].as_u64().unwrap() >= 200, "{told}");
    assert_eq!(free_seats(server, EVENT).await, 100);
    assert_eq!(server.house().await.seats.len(), 100);
    // On schedule: the last call begins 99 / 200 s after the first, never earlier.
    let told = load(server, "hold --event event --calls 100 --rate 200 --keep").await;
    assert_eq!([&told["ok"], &told["rate_asked"]], [&json!(100), &json!(200)]);
    assert!(told["seconds"].as_f64().unwrap() >= 0.495, "{told}");
    assert_eq!(free_seats(server, EVENT).await, 0, "kept");
    let (code, told) = wrong(server, "hold --event event").await;
    assert_eq!((code, told.trim()), (2, "holdfast: event event has no seat left"));
}

#[tokio::test(flavor = "multi_thread")]
async fn noes_are_counted_by_their_reasons() {
    let stage = Stage::new().await;
    let args = "hold --event event --calls 50 --in-flight 4 --ttl-ms 90000000";
    let told = load(&stage.server, args).await;
    assert_eq!([&told["calls"], &told["ok"]], [&json!(50), &json!(0)]);
    assert_eq!(told["refusals"], json!({"INVALID_FIELD": 50}));
    let (code, table) = wrong(&stage.server, args).await;
    assert_eq!(code, 0);
    assert!(table.lines().any(|line| line.starts_with("refused INVALID_FIELD")), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirms_are_spread_as_asked() {
    let stage = Stage::empty().await;
    let args = "confirm --calls 100 --hot 20 --events 3 --seats 2 --in-flight 8";
    let told = load(&stage.server, args).await;
    assert_eq!([&told["scenario"], &told["ok"]], [&json!("confirm"), &json!(100)]);
    assert_eq!([&told["hot_percent"], &told["events"]], [&json!(20), &json!(3)]);
    let sql = "SELECT count(*) FROM orders GROUP BY event_id ORDER BY event_id";
    assert_eq!(count(&stage, sql).await, [20, 40, 40], "the first one is the hot one");
    assert_eq!(count(&stage, "SELECT count(*) FROM tickets").await, [200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_has_watchers_holders_and_buyers() {
    let stage = Stage::new().await;
    let told = load(&stage.server, "sale --event event --people 66 --seconds 2").await;
    assert_eq!([&told["people"], &told["watchers"]], [&json!(66), &json!(40)]);
    let verbs = &told["verbs"];
    let sum =
        ["look", "hold", "release", "confirm"].map(|verb| verbs[verb]["calls"].as_u64().unwrap());
    assert_eq!(sum.iter().sum::<u64>(), told["calls"].as_u64().unwrap());
    assert!(verbs["release"]["ok"].as_u64().unwrap() > 0, "{told}");
    assert!(told["messages"].as_u64().unwrap() > 0, "{told}");
    let sold = told["seats_sold"].as_i64().unwrap();
    assert!(sold > 0 && told["found_nothing"] == 0, "{told}");
    assert_eq!(count(&stage, "SELECT count(*) FROM tickets").await, [sold]);
    assert_eq!(free_seats(&stage.server, EVENT).await, 100 - usize::try_from(sold).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_may_go_on_until_all_is_sold() {
    let stage = Stage::new().await;
    let args = "sale --event event --sell-out --seats 10 --seconds 2";
    let told = load(&stage.server, args).await;
    // A fifth more is wanted than there is: by 3 people for 11 seats.
    assert_eq!([&told["people"], &told["watchers"]], [&json!(27), &json!(0)]);
    assert!(told["verbs"]["release"]["ok"].as_u64().unwrap() > 0, "{told}");
    let sold = told["seats_sold"].as_i64().unwrap();
    // 82 where nobody takes less than he came for; some give back when nobody comes any more.
    assert!(sold > 86, "{told}");
    let groups = "SELECT count(*) FROM tickets GROUP BY order_id ORDER BY 1";
    let mut groups = count(&stage, groups).await;
    assert_eq!(groups.iter().sum::<i64>(), sold);
    groups.dedup();
    assert!(groups.len() > 3 && *groups.last().unwrap() <= 10, "{groups:?}");
    let (code, said) = wrong(&stage.server, "sale --event event --sell-out --people 2").await;
    assert!(code == 2 && said.contains("cannot be used with"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_waited_in_to_its_end() {
    let stage = Stage::empty().await;
    let told = load(&stage.server, "queue --people 60 --per-minute 6000 --connections 2").await;
    assert_eq!(
        [&told["scenario"], &told["ok"], &told["people"]],
        [&json!("queue"), &json!(60), &json!(60)]
    );
    // Each is told where it is, and that it was let in.
    assert!(told["messages"].as_u64().unwrap() >= 120, "{told}");
    assert_eq!([&told["streams_ended"], &told["errors"]], [&json!(0), &json!({})]);
    assert!(own_events(&stage.server).await.iter().all(|e| e.state() == EventState::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_count_what_reaches_whom() {
    let stage = Stage::empty().await;
    let args = "stream --subscribers 20 --stalled 10 --changes 60 --seconds 1";
    let told = load(&stage.server, args).await;
    let number = |name: &str| told[name].as_u64().unwrap();
    assert_eq!((number("subscribers"), number("stalled_percent")), (20, 10));
    // Two of the readers have stopped reading.
    assert_eq!(number("expected_changes"), 18 * number("ok"), "{told}");
    assert_eq!(number("changes"), number("expected_changes"));
    assert_eq!(told["healthy_share"], 1.0);
    assert!(number("messages") > 0 && number("delay_p50_us") > 0, "{told}");
    assert!(number("delay_p50_us") <= number("delay_p99_us"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_gone_is_a_violation() {
    let stage = Stage::empty().await;
    // One sale loses its ticket as it commits.
    let sql = "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            DELETE FROM tickets WHERE order_id = NEW.order_id AND seat_index = 7;
            RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON tickets
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose()";
    stage.stores.postgres().await.batch_execute(sql).await.unwrap();
    let args = "confirm --calls 20 --in-flight 4 --check --json";
    let output = command(&stage.server, args).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines[0].starts_with("violation: event load-"), "{told}");
    assert!(lines[0].contains("of 1-8 has 0 ticket(s)"), "{told}");
    let object: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!([&object["ok"], &object["violations"]], [&json!(20), &json!(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_has_otherwise_is_a_violation() {
    let stage = Stage::empty().await;
    let args = "hold --rate 20 --seconds 60 --house 100 --check --json";
    let running = command(&stage.server, args).spawn().unwrap();
    let pid = Pid::from_raw(running.id().unwrap().cast_signed());
    let mut redis = stage.stores.redis().await;
    let (event_id, ids) = eventually("two seats are held", async || {
        let event_id = own_events(&stage.server).await.pop()?.event_id;
        let mut redis = stage.stores.redis().await;
        let seats = format!("hf:{{{event_id}}}:seats");
        let held: Vec<Option<String>> = redis.hmget(seats, &[0, 1]).await.unwrap();
        Some((event_id, held.into_iter().collect::<Option<Vec<_>>>()?))
    })
    .await;
    // One hold is gone, one has lost its seat, and one seat is nobody's.
    let [seats, holds] = ["seats", "holds"].map(|key| format!("hf:{{{event_id}}}:{key}"));
    let _: () = redis.hdel(holds, &ids[0][1..]).await.unwrap();
    let _: () = redis.hset(&seats, 1, "B").await.unwrap();
    let _: () = redis.hset(&seats, 99, "B").await.unwrap();
    // The server follows the log since the sale opened: it looks anew where an entry is
    // missing.
    let _: () = redis.hincr(format!("hf:{{{event_id}}}:meta"), "seq", 1).await.unwrap();
    eventually("the server has seen it", async || {
        let map = stage.server.get_seat_map(&event_id).await.ok()?;
        (map.seats[99].status() == SeatStatus::Blocked).then_some(())
    })
    .await;
    // Who is interrupted checks, too.
    kill(pid, Signal::SIGINT).unwrap();
    let output = running.wait_with_output().await.unwrap();
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let [first, second] = [0, 1].map(|n| Uuid::parse_str(&ids[n][1..]).unwrap());
    for line in [
        format!("violation: event {event_id}: hold {first} of 1-1 was held, and is"),
        format!("seat 1-2 is SEAT_STATUS_BLOCKED in the seat map, and hold {second} has it"),
        "seat 1-100 is SEAT_STATUS_BLOCKED in the seat map, and nobody has it".to_owned(),
        r#""violations":3"#.to_owned(),
    ] {
        assert!(told.contains(&line), "{line:?} is not told in\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut paused = small_event("paused");
    paused.event.as_mut().unwrap().state = EventState::Paused.into();
    server.create_event(paused).await.unwrap();
    for (args, text) in [
        ("hold --event nowhere", "EVENT_NOT_FOUND: "),
        ("hold --event paused", "event paused is not on sale"),
        ("hold --event event --seats 51", "event event takes at most 50 seats in one hold, not 51"),
        ("hold --event event --in-flight 101", "fewer than the 101 under way at a time"),
        ("hold --calls 200000", "an event has at most 100000"),
        ("confirm --event event --calls 101", "an event has 100 free seats: too few for 101 holds"),
        ("confirm --hot 20 --events 1", "--hot below 100 needs at least two --events"),
        ("stream --subscribers 9000", "--subscribers: 9000 need at least 9 --connections"),
        ("hold --in-flight 9000", "--in-flight: 9000 need at least 9 --connections"),
        ("hold --connections 1 --server http://127.0.0.1:1", "each server needs a connection"),
        ("hold --event event --plot /nowhere/x.svg", "cannot write /nowhere/x.svg"),
        ("hold --server 127.0.0.1", "127.0.0.1 is no URL like http://127.0.0.1:50051"),
        ("hold --server http://127.0.0.1:1", "no server answers at http://127.0.0.1:1"),
        ("hold --event event --events 2", "cannot be used with"),
        ("hold --seconds 0", "more than 0 and at most a day"),
    ] {
        let (code, told) = wrong(server, args).await;
        assert!(code == 2 && told.contains(text), "{args}: {code}, {told}");
    }
    assert_eq!(own_events(server).await.len(), 0, "nothing was begun");
}

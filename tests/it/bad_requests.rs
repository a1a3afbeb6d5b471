//! Bad input, method by method: each bad request of the corpus, `bad_requests/*.json`, is
//! told exactly what is wrong with it, and none changes anything in either store.

use std::collections::BTreeMap;

use holdfast::proto::{self, EventState, HoldRequest, SeatStatus, WaitingRoom};
use prost::Message;
use redis::AsyncCommands as _;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::{
    channels::channels,
    support::{
        EVENT, Server, Stage, Stores,
        corpus::{self, Ids, OfMethod},
        eventually, floor, hold_request, ms, small_event,
        waiting::{Lists, party},
    },
};

const CORPUS: [&str; 4] = [
    include_str!("bad_requests/catalog.json"),
    include_str!("bad_requests/reservation.json"),
    include_str!("bad_requests/operator.json"),
    include_str!("bad_requests/others.json"),
];

/// Takes no fields, so none can be bad.
const NOTHING_TO_GET_WRONG: [&str; 2] = ["OrderEventService/ListWebhooks", "OperatorService/Drain"];

#[tokio::test(flavor = "multi_thread")]
async fn each_is_told_what_is_wrong_and_nothing_changes() {
    let (stage, ids) = furnished().await;
    let stores = &stage.stores;
    let before = settled(stores).await;
    let url = format!("http://{}", stage.server.app.grpc_addr);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let (mut told_otherwise, mut sent) = (Vec::new(), 0);
    for (path, of_method) in corpus() {
        let method = corpus::method(&path);
        for bad in &of_method.bad {
            let request = bad.request(&of_method.good, &method, &ids);
            sent += 1;
            let told = match corpus::send(channel.clone(), &path, request).await {
                Ok(_) => Err("it was done".to_owned()),
                Err(status) => Ok(corpus::answer(status)),
            };
            if told.as_ref() != Ok(&bad.expected(&ids)) {
                told_otherwise.push(format!("{path} {bad:?}\n    told: {told:?}"));
            }
        }
    }
    assert!(told_otherwise.is_empty(), "{sent} sent\n{}", told_otherwise.join("\n"));
    assert!(sent >= 150, "{sent}");
    let after = settled(stores).await;
    for (thing, content) in &before {
        assert_eq!(after.get(thing), Some(content), "{thing} has changed");
    }
    for thing in after.keys() {
        assert!(before.contains_key(thing), "{thing} is new");
    }
}

#[test]
fn every_method_has_bad_requests() {
    let corpus = corpus();
    for method in corpus::methods() {
        let is_there = corpus.contains_key(&method);
        assert_ne!(is_there, NOTHING_TO_GET_WRONG.contains(&&*method), "{method}");
    }
}

fn corpus() -> BTreeMap<String, OfMethod> {
    let parts = CORPUS.map(|part| serde_json::from_str::<BTreeMap<_, _>>(part).unwrap());
    parts.into_iter().flatten().collect()
}

/// A house in which something has been done of each kind, and the ids of that.
async fn furnished() -> (Stage, Ids) {
    let stage = Stage::empty().await;
    let server = &stage.server;
    open_events(server).await;

    let mut ids = Ids::default();
    ids.0.insert("new", Uuid::now_v7().to_string());
    let hold =
        async |holder, seats: &[&str]| server.hold(hold_request(holder, seats)).await.unwrap();
    let sold = hold("ann", &["C-1"]).await;
    let paid = server.confirm(&sold, "pay-1").await.unwrap();
    // It stays as it is until it runs out, or comes with another payment.
    let tried = hold("ann", &["C-3"]).await;
    server.confirm(&tried, "pay-1").await.unwrap_err();
    let released = hold("ann", &["D-1"]).await;
    server.release(&released, &[], Vec::new()).await.unwrap();
    let expired = hold("ann", &["D-2"]).await;
    server.expire(&expired).await;
    let kept = HoldRequest { areas: floor(1), ..hold_request("ann", &["B-1", "B-2"]) };
    let held = server.hold(kept).await.unwrap();
    let ordered = hold("bob", &["F-1"]).await;
    let pending = server.create_order(&ordered).await.unwrap().order.unwrap();
    let block = proto::BlockSeatsRequest { event_id: EVENT.into(), seat_ids: vec!["D-10".into()] };
    server.catalog.clone().block_seats(block).await.unwrap();
    let keep = proto::AllocateSeatsRequest {
        event_id: EVENT.into(),
        channel: "fans".into(),
        seat_ids: vec!["E-1".into(), "E-2".into()],
        actor: "desk".into(),
        reason: "the club".into(),
    };
    channels(server).await.allocate_seats(keep).await.unwrap();
    for event_id in ["paused", "draft", "room"] {
        server.get_seat_map(event_id).await.unwrap();
    }
    // More than there are beside each other: it waits for ever.
    let entry = proto::JoinWaitingListRequest { event_id: "listed".into(), ..party("ann", 11) };
    let entry = Lists::of(server).await.join(entry).await.unwrap();
    ids.0.extend([
        ("sold", sold.hold_id),
        ("tried", tried.hold_id),
        ("released", released.hold_id),
        ("expired", expired.hold_id),
        ("held", held.hold_id),
        ("ordered", ordered.hold_id),
        ("paid", paid.order_id),
        ("pending", pending.order_id),
        ("entry", entry.entry_id),
    ]);
    // What ran out is told Redis a little after it is told callers.
    eventually("what ran out is free again", async || {
        let house = server.house().await;
        (house.seats["D-2"] == SeatStatus::Available).then_some(())
    })
    .await;
    (stage, ids)
}

async fn open_events(server: &Server) {
    let mut house = small_event(EVENT);
    house.event.as_mut().unwrap().max_units_per_holder = 40;
    let boxes = proto::Area {
        area_id: "box".into(),
        name: "Box".into(),
        capacity: 3,
        price_category_id: "floor".into(),
        ..Default::default()
    };
    house.chart.as_mut().unwrap().areas.push(boxes);
    server.create_event(house).await.unwrap();
    for (event_id, state) in [
        ("paused", EventState::Paused),
        ("draft", EventState::Draft),
        ("listed", EventState::OnSale),
    ] {
        let mut house = small_event(event_id);
        house.event.as_mut().unwrap().set_state(state);
        server.create_event(house).await.unwrap();
    }
    let mut house = small_event("room");
    let event = house.event.as_mut().unwrap();
    event.set_waiting_room(WaitingRoom::Rate);
    event.admissions_per_minute = 60;
    event.admission_ttl = ms(600_000);
    server.create_event(house).await.unwrap();
}

/// All that both stores have, once what was done is journaled and told.
async fn settled(stores: &Stores) -> BTreeMap<String, String> {
    let (postgres, redis) = (stores.postgres().await, stores.redis().await);
    eventually("what was done is journaled and told", async || {
        let open = "SELECT (SELECT count(*) FROM outbox WHERE done_at IS NULL)
                         + (SELECT count(*) FROM order_events WHERE sequence IS NULL)";
        let open: i64 = postgres.query_one(open, &[]).await.unwrap().get(0);
        let mut behind = open != 0;
        for row in postgres.query("SELECT event_id, seq FROM journal_cursors", &[]).await.unwrap() {
            let meta = format!("hf:{{{}}}:meta", row.get::<_, String>(0));
            let seq: Option<i64> = redis.clone().hget(meta, "seq").await.unwrap();
            behind |= seq != Some(row.get(1));
        }
        (!behind).then_some(())
    })
    .await;
    picture(stores).await
}

/// What is only kept for speed, says whose turn it is, or is made when it is first needed.
const MOVES_BY_ITSELF: [&str; 9] = [
    ":detail",
    ":generation",
    ":home",
    ":lease",
    ":reconciled",
    "postgres secrets",
    "postgres waiting_lists",
    "redis hf:{listed}:meta",
    "redis hf:{room}:queue",
];

/// All that both stores have, but what moves by itself.
async fn picture(stores: &Stores) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut redis = stores.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
    for key in keys {
        let dump: Option<Vec<u8>> =
            redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.unwrap();
        all.insert(format!("redis {key}"), dump.unwrap_or_default().escape_ascii().to_string());
    }
    let postgres = stores.postgres().await;
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    for row in postgres.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let rows = format!(
            "SELECT coalesce(string_agg(t::text, '\n' ORDER BY t::text), '') FROM {table} t"
        );
        let rows: String = postgres.query_one(&rows, &[]).await.unwrap().get(0);
        all.insert(format!("postgres {table}"), rows);
    }
    all.retain(|thing, _| !MOVES_BY_ITSELF.iter().any(|end| thing.ends_with(end)));
    all
}

/// So many that an answer could not carry them: the first ones, and how many.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_as_many_bad_fields_as_clients_can_take() {
    let stage = Stage::empty().await;
    let mut request = small_event("spoiled");
    for row in &mut request.chart.as_mut().unwrap().sections[0].rows {
        row.seats.iter_mut().for_each(|seat| seat.price_category_id = "gold".into());
    }
    let status = stage.server.create_event(request).await.unwrap_err();
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert_eq!(details.error_info().unwrap().metadata["violations"], "100");
    let named = &details.bad_request().unwrap().field_violations;
    assert!(named.len() >= 40, "{}", named.len());
    assert_eq!(named[0].field, "chart.sections[0].rows[0].seats[0].price_category_id");
    assert!(status.details().len() < 6_000, "it fits into a client's headers");
}

/// What JSON cannot say.
#[tokio::test(flavor = "multi_thread")]
async fn times_beyond_all_calendars() {
    let stage = Stage::empty().await;
    let url = format!("http://{}", stage.server.app.grpc_addr);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)] {
        let mut request = small_event("spoiled");
        let event = request.event.as_mut().unwrap();
        event.start_time = Some(prost_types::Timestamp { seconds, nanos });
        let path = "CatalogService/CreateEvent";
        let told = corpus::send(channel.clone(), path, request.encode_to_vec()).await;
        let told = crate::support::refusal(told);
        assert_eq!(told.subjects, ["event.start_time"], "{seconds} {nanos}");
    }
}

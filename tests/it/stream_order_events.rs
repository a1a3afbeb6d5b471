//! StreamOrderEvents: each order event once, in order, whatever commits when.

use std::{collections::HashSet, time::Duration};

use holdfast::{limits::ORDER_EVENTS_READ, proto::OrderEventKind as Kind};
use rand::Rng;
use tokio::time::sleep;
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    EVENT, Stage, code_and_reason, refusal,
    told::{Reader, order_event_service, order_events},
};

/// An early row that commits late, between many others; two servers that number, and
/// readers that go from one to the other.
#[tokio::test(flavor = "multi_thread")]
async fn what_commits_late_is_not_missed() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let postgres = stage.stores.postgres().await;

    let mut late = stage.stores.postgres().await;
    let late = late.transaction().await.unwrap();
    let early = Uuid::now_v7();
    let sql = "INSERT INTO order_events (kind, event_id, order_id) VALUES ('ORDER_PAID', $1, $2)";
    late.execute(sql, &[&EVENT, &early]).await.unwrap();

    let writers = (0..WRITERS).map(|_| {
        let stores = stage.stores.clone();
        tokio::spawn(async move {
            let mut written = Vec::new();
            let mut client = stores.postgres().await;
            for _ in 0..EACH {
                let tx = client.transaction().await.unwrap();
                let order_id = Uuid::now_v7();
                tx.execute(sql, &[&EVENT, &order_id]).await.unwrap();
                let pause = rand::rng().random_range(0..40);
                sleep(Duration::from_millis(pause)).await;
                tx.commit().await.unwrap();
                written.push(order_id.to_string());
            }
            written
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut here = Reader::open(&stage.server, Some(0), &[], "").await;
    let mut there = Reader::open(&other, Some(0), &[], "").await;
    here.read(WRITERS * EACH / 2).await;
    // It goes away, and resumes at the other server.
    let mut moved = Reader::open(&other, Some(here.at), &[], "").await;
    moved.events = here.events;
    there.read(WRITERS * EACH).await;
    late.commit().await.unwrap();

    let mut all: HashSet<String> = HashSet::from([early.to_string()]);
    for writer in writers {
        all.extend(writer.await.unwrap());
    }
    for reader in [&mut moved, &mut there] {
        reader.read(all.len()).await;
        let expected: Vec<i64> = (1..=i64::try_from(all.len()).unwrap()).collect();
        assert_eq!(reader.sequences(), expected);
        assert_eq!(reader.order_ids().into_iter().collect::<HashSet<_>>(), all);
        assert_eq!(reader.events.last().unwrap().order_id, early.to_string());
    }
    assert_eq!(moved.events, there.events);
    let unnumbered = "SELECT count(*) FROM order_events WHERE sequence IS NULL";
    let row = postgres.query_one(unnumbered, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

/// More than a server keeps for readers that come later.
#[tokio::test(flavor = "multi_thread")]
async fn resumes_from_long_ago() {
    let stage = Stage::new().await;
    let postgres = stage.stores.postgres().await;
    let count = 2 * usize::try_from(ORDER_EVENTS_READ).unwrap() + 100;
    let old = order_events(&postgres, "ORDER_CREATED", count).await;
    let mut from_now = Reader::open(&stage.server, Some(0), &[], "").await;
    from_now.read(count).await;
    let last = from_now.at;
    drop(from_now);

    let mut reader = Reader::open(&stage.server, Some(0), &[], "").await;
    reader.read(count).await;
    assert_eq!(reader.order_ids(), old);
    let new = order_events(&postgres, "ORDER_CREATED", 3).await;
    reader.read(count + 3).await;
    assert_eq!(reader.order_ids()[count..], new);
    assert_eq!(reader.sequences(), (1..=last + 3).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_what_is_wanted() {
    let stage = Stage::new().await;
    let postgres = stage.stores.postgres().await;
    order_events(&postgres, "ORDER_PAID", 2).await;
    let mut all = Reader::open(&stage.server, Some(0), &[], "").await;
    all.read(2).await;

    let mut from_now = Reader::open(&stage.server, None, &[], "").await;
    assert_eq!((from_now.at, from_now.events.len()), (2, 0));
    let kinds = [Kind::OrderCancelled, Kind::HoldsExpired];
    let mut some = Reader::open(&stage.server, Some(0), &kinds, EVENT).await;
    let mut none = Reader::open(&stage.server, Some(0), &[], "another").await;

    let cancelled = order_events(&postgres, "ORDER_CANCELLED", 1).await;
    let holds = vec![Uuid::now_v7(), Uuid::now_v7()];
    let sql = "INSERT INTO order_events (kind, event_id, hold_ids)
        VALUES ('HOLDS_EXPIRED', $1, $2)";
    postgres.execute(sql, &[&EVENT, &holds]).await.unwrap();
    order_events(&postgres, "ORDER_PAID", 1).await;

    from_now.read(3).await;
    assert_eq!(from_now.sequences(), [3, 4, 5]);
    some.read(2).await;
    assert_eq!(some.sequences(), [3, 4]);
    assert_eq!(some.events[0].order_id, cancelled[0]);
    assert_eq!(some.events[1].kind(), Kind::HoldsExpired);
    let told: Vec<String> = holds.iter().map(ToString::to_string).collect();
    assert_eq!(some.events[1].hold_ids, told);
    // It has passed over them all.
    none.next().await.unwrap();
    assert_eq!((none.at, none.events.len()), (5, 0));
    let ids: HashSet<_> = from_now.events.iter().map(|event| event.message_id.clone()).collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_with_a_hint_where_the_server_goes_away() {
    let stage = Stage::new().await;
    let mut reader = Reader::open(&stage.server, None, &[], "").await;
    let ended = tokio::spawn(async move {
        loop {
            if let Err(status) = reader.next().await {
                return status;
            }
        }
    });
    stage.server.app.stop().await;
    let told = code_and_reason::<()>(Err(ended.await.unwrap()));
    assert_eq!(told, (Code::Unavailable, "SERVER_DRAINING".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_every_bad_field() {
    let stage = Stage::empty().await;
    let mut service = order_event_service(&stage.server).await;
    let request = holdfast::proto::StreamOrderEventsRequest {
        after_sequence: Some(-1),
        event_id: "no event".into(),
        kinds: vec![3, 0, 3, 99],
    };
    let told = refusal(service.stream_order_events(request).await);
    assert_eq!((told.code, told.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    let fields = ["after_sequence", "kinds[1]", "kinds[2]", "kinds[3]", "event_id"];
    assert_eq!(told.subjects, fields);
}

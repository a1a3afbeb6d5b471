//! Holds of a JOURNALED event outlive any loss of Redis from their answer on.

use holdfast::{
    domain::{Epoch, EventId, HoldId, Position, SeatIndex},
    holds::{HoldArgs, HoldReply, Holds, Reply},
    ledger::{JournalBatch, Ledger, Settings},
    proto::{HoldDurability, HoldState, SeatStatus},
};
use uuid::Uuid;

use crate::{
    change_hold::{change, to},
    support::{EVENT, Stage, code_and_reason, eventually, floor, hold_request, ms, small_event},
};

/// A stage whose event is JOURNALED.
async fn journaled() -> Stage {
    let stage = Stage::empty().await;
    let mut request = small_event(EVENT);
    request.event.as_mut().unwrap().set_hold_durability(HoldDurability::Journaled);
    stage.server.create_event(request).await.unwrap();
    stage
}

async fn flush(stage: &Stage) {
    let mut redis = stage.stores.redis().await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_outlives_redis() {
    let stage = journaled().await;
    let server = &stage.server;
    for _ in 0..5 {
        let mut request = hold_request("ann", &["A-1", "A-2"]);
        request.areas = floor(3);
        let hold = server.hold(request.clone()).await.unwrap();
        flush(&stage).await;
        assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold);
        let told = code_and_reason(server.hold(hold_request("bob", &["A-2"])).await);
        assert_eq!(told.1, "SEAT_UNAVAILABLE");
        assert_eq!(server.hold(request).await.unwrap(), hold);

        let extended = server.extend_hold(&hold, 3_600_000).await.unwrap();
        flush(&stage).await;
        assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), extended);

        let reduced = server.release(&hold, &["A-2"], floor(1)).await.unwrap();
        flush(&stage).await;
        assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), reduced);
        let other = server.hold(hold_request("bob", &["A-2"])).await.unwrap();

        server.release(&hold, &[], vec![]).await.unwrap();
        flush(&stage).await;
        let released = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
        assert_eq!(released.state(), HoldState::Released);
        server.release(&other, &[], vec![]).await.unwrap();
        assert_eq!(server.house().await.areas["floor"], 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_at_once_at_two_servers() {
    let stage = journaled().await;
    let other = stage.another_server().await;
    let asked = (0..300).map(|i| {
        let server = if i % 2 == 0 { &stage.server } else { &other };
        let mut request = hold_request(&format!("holder-{i}"), &[]);
        request.areas = floor(1);
        server.hold(request)
    });
    let answers = futures_util::future::join_all(asked).await;
    let held: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!(held.len(), 100);
    flush(&stage).await;
    for hold in &held {
        let found = stage.server.get_hold(EVENT, &hold.hold_id).await.unwrap();
        assert_eq!(found.state(), HoldState::Active);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_cannot_be_journaled_is_undone() {
    let stage = journaled().await;
    let server = &stage.server;
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    // Postgres gives up waiting for the event's row: nothing was written.
    let mut postgres = stage.stores.postgres().await;
    let blocker = postgres.transaction().await.unwrap();
    blocker.batch_execute("SELECT FROM events FOR UPDATE").await.unwrap();
    let request = hold_request("ann", &["A-1"]);
    let told = code_and_reason(server.hold(request.clone()).await);
    assert_eq!(told.1, "STORE_UNAVAILABLE");
    let house = server.house().await;
    watcher.until("it is free again", |w| w.house == house).await;
    assert_eq!(house.areas["floor"], 100);
    blocker.rollback().await.unwrap();
    let other = server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    server.release(&other, &[], vec![]).await.unwrap();
    // As if it had never been asked for, also where the journal had read of it.
    eventually("the journal has heard of it", async || {
        let sql = "SELECT EXISTS (SELECT FROM journal_cursors WHERE seq >= 4),
            NOT EXISTS (SELECT FROM holds WHERE holder_id = 'ann')";
        let row = postgres.query_one(sql, &[]).await.unwrap();
        (row.get(0) && row.get(1)).then_some(())
    })
    .await;
    let mut request = request;
    request.seat_ids = vec!["A-1".into(), "A-2".into()];
    server.hold(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_was_asked_for_again_is_not_undone() {
    let stage = journaled().await;
    let settings = stage.stores.settings();
    let holds = Holds::new(&settings.redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let hold_id = HoldId(Uuid::now_v7());
    let args = HoldArgs {
        hold_id,
        holder: "ann".parse().unwrap(),
        fingerprint: "fingerprint".into(),
        ttl_ms: None,
        seats: vec![SeatIndex(0)],
        areas: vec![],
        revision: 1 << 40,
        entitled: false,
        owed: false,
        beside: Vec::new(),
        strict: false,
    };
    let ask = async || match holds.hold(&event_id, Epoch(1), args.clone()).await.unwrap() {
        Reply::Done(HoldReply::Held(record)) => record,
        other => panic!("{other:?}"),
    };
    let undo = async |seq| match holds.undo_hold(&event_id, Epoch(1), hold_id, seq).await.unwrap() {
        Reply::Done(undone) => undone,
        other => panic!("{other:?}"),
    };
    let (first, again) = (ask().await, ask().await);
    assert_eq!((first.seq, first.asked), (again.seq, 1));
    // Who may hear of it only, hears of it; what is not there is not made.
    let hear = async |hold_id| {
        let args = HoldArgs { hold_id, revision: 0, seats: vec![SeatIndex(5)], ..args.clone() };
        holds.hold(&event_id, Epoch(1), args).await.unwrap()
    };
    let heard = hear(hold_id).await;
    assert!(matches!(&heard, Reply::Done(HoldReply::Held(known)) if known.seats == first.seats));
    let heard = hear(HoldId(Uuid::now_v7())).await;
    assert!(matches!(heard, Reply::Done(HoldReply::Behind)));
    assert_eq!(stage.server.house().await.count(SeatStatus::Held), 1);
    assert!(!undo(first.seq).await && !undo(again.seq).await);

    // Nor one that was extended; but one that nobody has heard of.
    let hold = stage.server.get_hold(EVENT, &hold_id.to_string()).await.unwrap();
    stage.server.release(&hold, &[], vec![]).await.unwrap();
    let hold_id = HoldId(Uuid::now_v7());
    let args = HoldArgs { hold_id, ..args };
    let reply = holds.hold(&event_id, Epoch(1), args.clone()).await.unwrap();
    let Reply::Done(HoldReply::Held(made)) = reply else { panic!("{reply:?}") };
    let hold = stage.server.get_hold(EVENT, &hold_id.to_string()).await.unwrap();
    stage.server.extend_hold(&hold, 60_000).await.unwrap();
    let undone = holds.undo_hold(&event_id, Epoch(1), hold_id, made.seq).await.unwrap();
    assert!(matches!(undone, Reply::Done(false)));

    // Nor one of which it was told that it is as it was to be.
    for by_a_change in [true, false] {
        let hold_id = HoldId(Uuid::now_v7());
        let args = HoldArgs { hold_id, seats: vec![SeatIndex(1)], ..args.clone() };
        let reply = holds.hold(&event_id, Epoch(1), args).await.unwrap();
        let Reply::Done(HoldReply::Held(made)) = reply else { panic!("{reply:?}") };
        let hold = stage.server.get_hold(EVENT, &hold_id.to_string()).await.unwrap();
        let told = match by_a_change {
            true => change(&stage.server, to(&hold, ["A-2"], vec![])).await,
            false => stage.server.release(&hold, &["A-3"], vec![]).await,
        };
        assert_eq!(told.unwrap(), hold);
        let undone = holds.undo_hold(&event_id, Epoch(1), hold_id, made.seq).await.unwrap();
        assert!(matches!(undone, Reply::Done(false)), "{by_a_change}");
        stage.server.release(&hold, &[], vec![]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_does_not_go_back() {
    let stage = journaled().await;
    let server = &stage.server;
    let settings = stage.stores.settings();
    let url = settings.postgres_url.clone();
    let ledger = Ledger::new(&Settings { url, pool_size: 2 }).unwrap();
    let holds = Holds::new(&settings.redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let hold = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    let made = holds.read_log(&event_id, Position::default(), 500).await.unwrap();
    let extended = server.extend_hold(&hold, 7_000_000).await.unwrap();
    // A server that had read the log before writes what it has read.
    let (hold_id, record) = made.iter().flat_map(|entry| &entry.holds).next().unwrap().clone();
    let position = made.last().unwrap().change.position;
    let batch = |from| JournalBatch {
        from,
        to: Position { seq: position.seq + 100, ..position },
        holds: vec![(position, hold_id, record.clone())],
        expired: vec![],
        undone: vec![],
        made: 0,
    };
    eventually("it moves the cursor", async || {
        let from = ledger.find_journal_cursor(&event_id).await.unwrap();
        ledger.write_journal(&event_id, &batch(from)).await.unwrap().then_some(())
    })
    .await;
    flush(&stage).await;
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), extended);
}

/// An id that Redis has forgotten is asked for again, and undone: what the
/// journal has of its first use stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_is_not_undone() {
    let stage = journaled().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.confirm(&hold, "pay-1").await.unwrap();
    let url = stage.stores.settings().postgres_url;
    let ledger = Ledger::new(&Settings { url, pool_size: 2 }).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    eventually("the undo is journaled", async || {
        let from = ledger.find_journal_cursor(&event_id).await.unwrap();
        let to = Position { epoch: Epoch(1), seq: from.seq + 100 };
        let undone = vec![(to, hold.hold_id.parse().unwrap())];
        let batch = JournalBatch { from, to, undone, ..JournalBatch::default() };
        (from.epoch == Epoch(1) && ledger.write_journal(&event_id, &batch).await.unwrap())
            .then_some(())
    })
    .await;
    flush(&stage).await;
    assert_eq!(server.confirm(&hold, "pay-1").await.unwrap(), order);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_journal_has_not_heard_was_given_back() {
    let stage = journaled().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(40);
    let ann = server.hold(request).await.unwrap();
    server.release(&ann, &["A-2"], floor(30)).await.unwrap();
    let mut request = hold_request("bob", &["A-2"]);
    request.areas = floor(49);
    let bob = server.hold(request).await.unwrap();
    let mut request = hold_request("cat", &[]);
    request.areas = floor(41);
    server.hold(request).await.unwrap();
    // As if the release had been made in Redis, and the server had died then.
    let postgres = stage.stores.postgres().await;
    let sql = "UPDATE holds SET seat_indexes = '{0,1}', area_quantities = '{40}', seq = 1
        WHERE holder_id = 'ann'";
    assert_eq!(postgres.execute(sql, &[]).await.unwrap(), 1);
    flush(&stage).await;
    let left = server.get_hold(EVENT, &ann.hold_id).await.unwrap();
    assert_eq!((left.seat_ids, left.areas), (vec!["A-1".to_owned()], floor(10)));
    assert_eq!(server.get_hold(EVENT, &bob.hold_id).await.unwrap(), bob);
    assert_eq!(server.house().await.areas["floor"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_redis_has_forgotten_stays_used() {
    let stage = journaled().await;
    let server = &stage.server;
    let request = hold_request("ann", &["A-1"]);
    let hold = server.hold(request.clone()).await.unwrap();
    server.release(&hold, &[], vec![]).await.unwrap();
    let mut redis = stage.stores.redis().await;
    let mut forget = async || {
        let id = hold.hold_id.replace('-', "");
        let forgotten: i64 = redis::cmd("HDEL")
            .arg("hf:{event}:holds")
            .arg(id)
            .query_async(&mut redis)
            .await
            .unwrap();
        assert_eq!(forgotten, 1);
    };
    forget().await;
    assert_eq!(code_and_reason(server.hold(request.clone()).await).1, "HOLD_RELEASED");
    forget().await;
    let mut other = request;
    other.seat_ids = vec!["A-2".into()];
    assert_eq!(code_and_reason(server.hold(other).await).1, "HOLD_ID_REUSED");
    server.hold(hold_request("bob", &["A-1", "A-2"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_from_then_on() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut event = small_event(EVENT).event.unwrap();
    event.set_hold_durability(HoldDurability::Journaled);
    event.hold_ttl = ms(900_000);
    let event = server.update_event(event, &["hold_durability"]).await.unwrap();
    assert_eq!(event.hold_durability(), HoldDurability::Journaled);
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    flush(&stage).await;
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold);
}

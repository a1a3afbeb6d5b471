//! The journal follows the log: every entry once, at however many servers.

use redis::AsyncCommands;

use crate::support::{EVENT, Stage, code_and_reason, eventually, floor, hold_request};

#[tokio::test(flavor = "multi_thread")]
async fn postgres_has_each_hold_as_it_was_last() {
    let stage = Stage::new().await;
    let _other = stage.another_server().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1", "A-2", "A-3"]);
    request.areas = floor(3);
    let hold = server.hold(request).await.unwrap();
    let held = server.extend_hold(&hold, 1_000_000).await.unwrap();
    server.release(&hold, &["A-2"], floor(1)).await.unwrap();

    let postgres = stage.stores.postgres().await;
    let id = uuid::Uuid::parse_str(&hold.hold_id).unwrap();
    eventually("the hold is journaled", async || {
        let sql = "SELECT holder_id, seat_indexes, area_quantities, area_at_first,
            extract(epoch FROM expire_time)::float8 FROM holds WHERE hold_id = $1";
        let row = postgres.query_opt(sql, &[&id]).await.unwrap()?;
        let expires = held.expire_time.unwrap();
        let expires = expires.seconds as f64 + f64::from(expires.nanos) / 1e9;
        let journaled = (
            row.get::<_, String>(0),
            row.get::<_, Vec<i32>>(1),
            row.get::<_, Vec<i32>>(2),
            row.get::<_, Vec<i32>>(3),
        );
        let expected = ("ann".to_owned(), vec![0, 2], vec![2], vec![3]);
        (journaled == expected && (row.get::<_, f64>(4) - expires).abs() < 0.001).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_passes_every_entry() {
    let stage = Stage::new().await;
    let _other = stage.another_server().await;
    let server = &stage.server;
    // Many batches, while two servers journal.
    let rounds = (0..10).map(|worker: u8| async move {
        let seat = format!("{}-1", char::from(b'A' + worker));
        for _ in 0..150 {
            let hold = server.hold(hold_request("ann", &[&seat])).await.unwrap();
            server.release(&hold, &[], vec![]).await.unwrap();
        }
    });
    futures_util::future::join_all(rounds).await;
    let mut redis = stage.stores.redis().await;
    let seq: i64 = redis.hget("hf:{event}:meta", "seq").await.unwrap();
    // Holds that are asked for at once share an entry.
    assert!((1_650..=3_000).contains(&seq), "{seq}");
    let postgres = stage.stores.postgres().await;
    eventually("the cursor is at the end", async || {
        let sql = "SELECT seq FROM journal_cursors WHERE event_id = $1";
        let row = postgres.query_one(sql, &[&EVENT]).await.unwrap();
        (row.get::<_, i64>(0) == seq).then_some(())
    })
    .await;
    let sql = "SELECT (SELECT count(*) FROM holds),
        (SELECT count(*) FROM hold_outcomes WHERE outcome = 'released')";
    let row = postgres.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1_500, 1_500));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_loss_is_not_written_after_it() {
    use holdfast::{
        domain::EventId,
        holds::Holds,
        ledger::{JournalBatch, Ledger, Settings},
    };
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut postgres = stage.stores.postgres().await;
    let settings = stage.stores.settings();
    let holds = Holds::new(&settings.redis_url).unwrap();
    let url = settings.postgres_url.clone();
    let ledger = Ledger::new(&Settings { url, pool_size: 2 }).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    // The journal of a server that has read the log, and waits to write.
    let slow = postgres.transaction().await.unwrap();
    slow.batch_execute("SELECT FROM journal_cursors FOR UPDATE").await.unwrap();
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let from = ledger.find_journal_cursor(&event_id).await.unwrap();
    let entries = holds.read_log(&event_id, from, 500).await.unwrap();
    let to = entries.last().unwrap().change.position;
    let made = entries.iter().flat_map(|entry| {
        entry
            .holds
            .iter()
            .map(|(hold_id, record)| (entry.change.position, *hold_id, record.clone()))
    });
    let batch = JournalBatch {
        from,
        to,
        holds: made.collect(),
        expired: Vec::new(),
        undone: Vec::new(),
        made: 0,
    };
    assert_eq!(batch.holds.len(), 1);

    let mut redis = stage.stores.redis().await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    eventually("it is built anew", async || {
        let map = server.get_seat_map(EVENT).await.ok()?;
        map.resume_token.starts_with("2-").then_some(())
    })
    .await;
    assert_eq!(code_and_reason(server.confirm(&hold, "pay-1").await).1, "HOLD_NOT_FOUND");
    slow.commit().await.unwrap();
    assert!(!ledger.write_journal(&event_id, &batch).await.unwrap());
    assert_eq!(code_and_reason(server.confirm(&hold, "pay-1").await).1, "HOLD_NOT_FOUND");
}

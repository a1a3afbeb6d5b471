//! What an audit costs does not grow with what was sold long ago.

use crate::{
    audit::audit,
    support::{EVENT, Stage, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_looks_at_sales_of_this_moment_alone() {
    const SALES: i64 = 30_000;
    let stage = Stage::new().await;
    let postgres = stage.stores.postgres().await;
    let read = async || -> i64 {
        let sql = "SELECT pg_stat_clear_snapshot(), seq_tup_read
            FROM pg_stat_user_tables WHERE relname = 'outbox'";
        postgres.query_one(sql, &[]).await.unwrap().get(1)
    };
    let sql = format!(
        "INSERT INTO outbox (kind, event_id, hold_id, lease_until, done_at)
            SELECT 'sold', '{EVENT}', gen_random_uuid(), now(), now() - interval '10 min'
            FROM generate_series(1, {SALES});
        ANALYZE outbox"
    );
    postgres.batch_execute(&sql).await.unwrap();
    // Row by row it is read once, to see that such a read is counted.
    postgres.batch_execute("SELECT FROM outbox WHERE epoch = -1").await.unwrap();
    eventually("that is counted", async || (read().await >= SALES).then_some(())).await;

    let looked_up = async || -> i64 {
        let sql = "SELECT pg_stat_clear_snapshot(), idx_scan
            FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_done'";
        postgres.query_one(sql, &[]).await.unwrap().get(1)
    };
    let before = (read().await, looked_up().await);
    let (code, told) = audit(&stage.stores, &[]).await;
    assert_eq!(code, 0, "{told}");
    eventually("the audit's session has told what it read", async || {
        (looked_up().await > before.1).then_some(())
    })
    .await;
    assert!(read().await - before.0 < SALES, "an audit reads all that was ever sold");
}

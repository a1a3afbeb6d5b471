//! What the metrics tell of Postgres, and of this server's way there.

use std::time::Duration;

use deadpool_postgres::Pool;

use super::{Error, Ledger};
use crate::{
    limits::PAYMENT_SETTLES_WITHIN,
    telemetry::{self, PoolState},
};

/// What is not done, or not paid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backlog {
    pub outbox: i64,
    /// Age of its oldest row.
    pub outbox_age: Duration,
    pub orders_pending: i64,
    pub payments_begun: i64,
    /// Paid [`PAYMENT_SETTLES_WITHIN`] ago or more, and nothing has come of it.
    pub payments_unsettled: i64,
}

impl Ledger {
    /// Counts what is not done; all of it by partial indexes, which have nothing else.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        const SQL: &str = "-- backlog
            SELECT count(*), coalesce(extract(epoch FROM now() - min(create_time)), 0)::float8,
                (SELECT count(*) FROM orders WHERE state = 'PENDING'),
                (SELECT count(*) FROM payments WHERE state = 'BEGUN'),
                (SELECT count(*) FROM payments WHERE state = 'PAID' AND settlement IS NULL
                    AND pay_time < now() - $1 * interval '1 second')
            FROM outbox WHERE done_at IS NULL";
        let row = &self.query(SQL, &[&PAYMENT_SETTLES_WITHIN.as_secs_f64()]).await?[0];
        Ok(Backlog {
            outbox: row.get(0),
            outbox_age: Duration::try_from_secs_f64(row.get(1)).unwrap_or_default(),
            orders_pending: row.get(2),
            payments_begun: row.get(3),
            payments_unsettled: row.get(4),
        })
    }

    /// Tells the metrics how this server's sessions are used, and what waits for them.
    pub fn measure(&self) {
        telemetry::pool("postgres", state(&self.pool));
        telemetry::pool("postgres_sales", state(&self.groups));
        telemetry::batch_waiting("confirm", self.sale_batcher.waiting());
        telemetry::batch_waiting("journal", self.journal_batcher.waiting());
    }
}

fn state(pool: &Pool) -> PoolState {
    let status = pool.status();
    PoolState {
        used: status.size.saturating_sub(status.available),
        idle: status.available,
        waiting: status.waiting,
    }
}

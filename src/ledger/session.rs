//! Sessions with Postgres: how they are opened, bounded and given back.

use std::time::Duration;

use deadpool_postgres::{Object, Pool, Runtime, Timeouts, Transaction};
use scoped_futures::ScopedBoxFuture;
use secrecy::SecretString;
use tokio::time::timeout;
use tokio_postgres::{IsolationLevel, Row, types::ToSql};

use super::{Error, Ledger, confirm, journal, server::Server};
use crate::domain::EventId;
use crate::limits::{
    GROUP_LOCK_TIMEOUT, MAX_TRANSACTION_ATTEMPTS, MIN_WORD_SIMILARITY, POSTGRES_CONNECT_TIMEOUT,
    POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT, POSTGRES_LOCK_TIMEOUT, POSTGRES_STATEMENT_TIMEOUT,
    POSTGRES_WAIT_TIMEOUT, STATEMENTS_AT_ONCE,
};
use crate::telemetry;

/// How to reach Postgres.
#[derive(Debug, Clone)]
pub struct Settings {
    pub url: SecretString,
    /// Connections of this server.
    pub pool_size: usize,
}

/// After the server's own time-out: from here on it must be out of reach.
const ANSWER_TIMEOUT: Duration = POSTGRES_STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(1));

/// The work of a transaction: it may borrow from its caller and from the
/// transaction.
pub(super) type TxFuture<'w, 't, T> = ScopedBoxFuture<'w, 't, Result<T, Error>>;

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Ledger {
    /// Takes the URL of a Postgres database; connects when first used.
    ///
    /// # Errors
    /// [`Error::Url`] where the URL is none of Postgres'.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let mut server = Server::parse(&settings.url)?;
        let config = &mut server.config;
        let own = config.get_options().unwrap_or("").to_owned();
        let options = |lock_timeout: Duration| {
            let server_side = [
                ("statement_timeout", POSTGRES_STATEMENT_TIMEOUT),
                ("lock_timeout", lock_timeout),
                ("idle_in_transaction_session_timeout", POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT),
            ];
            let options = server_side.map(|(name, span)| format!("-c {name}={}", span.as_millis()));
            let alike = format!("-c pg_trgm.word_similarity_threshold={MIN_WORD_SIMILARITY}");
            // To compile a statement takes longer than ours run; which ones are compiled would
            // depend on how large the tables seem to be.
            format!("-c jit=off {own} {} {alike}", options.join(" "))
        };
        config
            .options(options(POSTGRES_LOCK_TIMEOUT))
            .application_name("holdfast")
            .connect_timeout(POSTGRES_CONNECT_TIMEOUT)
            .tcp_user_timeout(ANSWER_TIMEOUT);
        let (probes, pool) = (pool(&server, 1)?, pool(&server, settings.pool_size)?);
        server.config.options(options(GROUP_LOCK_TIMEOUT));
        let groups = self::pool(&server, STATEMENTS_AT_ONCE)?;
        let journal_batcher = journal::batcher(&pool);
        let sale_batcher = confirm::batcher(&pool, &groups);
        Ok(Self { pool, probes, groups, journal_batcher, sale_batcher })
    }

    /// Ends the sessions that nobody uses, and opens no more.
    pub fn close(&self) {
        self.pool.close();
        self.probes.close();
        self.groups.close();
    }

    /// Whether Postgres serves, and can be trusted with sales.
    ///
    /// # Errors
    /// A text for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        const SQL: &str = "-- probe
            SELECT name FROM pg_settings
            WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
            UNION ALL SELECT 'pg_is_in_recovery' WHERE pg_is_in_recovery()";
        // Not from the pool: a pool that is all in use is no Postgres that is down.
        let rows = one_query(&self.probes, SQL, &[]).await.map_err(|error| error.with_cause())?;
        let wrong: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        match wrong.as_slice() {
            [] => Ok(()),
            ["pg_is_in_recovery"] => Err("this Postgres is a replica".into()),
            _ => Err(format!("{} must not be off", wrong.join(", "))),
        }
    }

    /// One statement, which is a transaction of its own.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        one_query(&self.pool, sql, params).await
    }

    /// One statement that answers one row at most.
    pub(super) async fn query_opt(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs `work` in a transaction and commits it; again where it lost a race
    /// against another transaction, at most [`MAX_TRANSACTION_ATTEMPTS`] times.
    ///
    /// `work` must not touch anything but the transaction: it may run twice,
    /// and the transaction holds locks meanwhile.
    pub(super) async fn run_tx<'w, T: Send + 'w>(
        &self,
        work: impl for<'t> Fn(&'t Tx<'t>) -> TxFuture<'w, 't, T> + Send + Sync,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            match self.run_tx_once(&work, false).await {
                Err(Error::Race(error)) if attempt < MAX_TRANSACTION_ATTEMPTS => {
                    tracing::debug!(attempt, %error, "transaction lost a race");
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Runs `work`, which only reads, on one snapshot: all of its statements see
    /// the same moment.
    pub(super) async fn on_snapshot<'w, T: Send + 'w>(
        &self,
        work: impl for<'t> Fn(&'t Tx<'t>) -> TxFuture<'w, 't, T> + Send + Sync,
    ) -> Result<T, Error> {
        self.run_tx_once(&work, true).await
    }

    async fn run_tx_once<'w, T: Send + 'w>(
        &self,
        work: &(impl for<'t> Fn(&'t Tx<'t>) -> TxFuture<'w, 't, T> + Send + Sync),
        on_snapshot: bool,
    ) -> Result<T, Error> {
        let mut client = session(&self.pool).await?;
        let answer = Box::pin(async {
            // Dropped before its commit, the transaction is rolled back.
            let mut begin = client.build_transaction();
            if on_snapshot {
                begin = begin.isolation_level(IsolationLevel::RepeatableRead).read_only(true);
            }
            let tx = Tx(begin.start().await?);
            let value = work(&tx).await?;
            tx.0.commit().await?;
            Ok(value)
        });
        let result = timeout(ANSWER_TIMEOUT, answer).await;
        give_back(client, result.unwrap_or_else(|elapsed| Err(Error::Unknown(elapsed.into()))))
    }

    /// Waits until this server alone may build an event's state in Redis anew.
    pub async fn lock_rebuild(&self, event_id: &EventId) -> Result<RebuildLock, Error> {
        const SQL: &str = "-- lock_rebuild
            SELECT pg_advisory_lock(hashtextextended('rebuild ' || $1, 0))";
        // From here on the session ends with whoever waits: it must not go back
        // to the pool, where it could be given the lock later.
        let mut span = telemetry::statement(SQL);
        let lock = RebuildLock { session: Some(session(&self.pool).await?) };
        let session = lock.session.as_ref().expect("taken by nobody but its drop");
        let locked = async {
            let statement = session.prepare_cached(SQL).await?;
            session.query(&statement, &[&event_id.as_str()]).await
        };
        match span.of(timeout(ANSWER_TIMEOUT, locked).await) {
            Ok(Ok(_)) => Ok(lock),
            Ok(Err(error)) => Err(error.into()),
            Err(elapsed) => Err(Error::Unknown(elapsed.into())),
        }
    }
}

/// So many sessions at most.
pub(super) fn pool(server: &Server, size: usize) -> Result<Pool, Error> {
    let hosts = u32::try_from(server.config.get_hosts().len()).unwrap_or(u32::MAX).clamp(1, 10);
    Pool::builder(server.manager())
        .max_size(size)
        .timeouts(Timeouts {
            wait: Some(POSTGRES_WAIT_TIMEOUT),
            create: Some(POSTGRES_CONNECT_TIMEOUT * hosts),
            recycle: Some(POSTGRES_WAIT_TIMEOUT),
        })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| Error::Url(Box::new(error)))
}

/// A session of a pool. Boxed, as all of the driver's futures are here: they
/// are large, and every flow would carry them.
pub(super) async fn session(pool: &Pool) -> Result<Object, Error> {
    Ok(Box::pin(pool.get()).await?)
}

pub(super) async fn one_query(
    pool: &Pool,
    sql: &str,
    params: Params<'_>,
) -> Result<Vec<Row>, Error> {
    #[cfg(feature = "mutants")]
    let sql = &*crate::mutants::patched(sql);
    let mut span = telemetry::statement(sql);
    let client = span.of(session(pool).await)?;
    let answer = Box::pin(async {
        let statement = client.prepare_cached(sql).await?;
        client.query(&statement, params).await
    });
    let result = timeout(ANSWER_TIMEOUT, answer).await;
    let result = result.map_err(|elapsed| Error::Unknown(elapsed.into()));
    span.of(give_back(client, result.and_then(|rows| Ok(rows?))))
}

/// Puts a session back, unless it still may be at work, or its server cannot be
/// written to: then nobody else shall have it.
fn give_back<T>(session: Object, result: Result<T, Error>) -> Result<T, Error> {
    if result.as_ref().is_err_and(Error::ends_session) {
        drop(Object::take(session));
    }
    result
}

/// The right to rebuild one event, given up when it is dropped: its session
/// ends, and the lock with it.
pub struct RebuildLock {
    session: Option<Object>,
}

impl Drop for RebuildLock {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            drop(Object::take(session));
        }
    }
}

/// A transaction under way.
pub(super) struct Tx<'a>(Transaction<'a>);

impl Tx<'_> {
    /// One of its statements.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        #[cfg(feature = "mutants")]
        let sql = &*crate::mutants::patched(sql);
        let mut span = telemetry::statement(sql);
        let statement = span.of(self.0.prepare_cached(sql).await)?;
        Ok(span.of(self.0.query(&statement, params).await)?)
    }

    /// One of its statements, which answers one row at most.
    pub(super) async fn query_opt(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }
}

/// A plan that is kept was made when the event was smaller: a sale fills tables
/// within seconds, and what was joined by two loops takes minutes then.
pub(super) async fn plan_anew_in_tx(tx: &Tx<'_>) -> Result<(), Error> {
    const SQL: &str = "-- plan_anew
        SELECT set_config('plan_cache_mode', 'force_custom_plan', true)";
    tx.query(SQL, &[]).await.map(|_| ())
}

//! One Redis server: its connections, none of which ever silently goes to
//! another life of it.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use deadpool_redis::{
    Connection, Manager, Pool, Runtime, Timeouts,
    redis::{
        AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, InfoDict, RedisError,
        ServerErrorKind, aio::MultiplexedConnection, cmd,
    },
};
use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

use super::{Error, deployment::Address};
use crate::limits::{
    HOLD_CALLS_AT_ONCE, REDIS_CONNECT_TIMEOUT, REDIS_LINKS, REDIS_POOL_SIZE, REDIS_RESPONSE_TIMEOUT,
};
use crate::telemetry::PoolState;

/// Which life of which Redis server a connection goes to: its `run_id` and
/// `master_replid`. Another incarnation may have another past: a restart may
/// bring back an older state, and so may a replica that takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation(pub String);

/// One connection of the hot path, to a master. It does not reconnect by
/// itself: a new one reads the incarnation anew.
pub(crate) struct Link {
    pub connection: MultiplexedConnection,
    pub incarnation: Incarnation,
}

/// A place for a link; whoever finds it empty connects, alone.
#[derive(Default)]
struct Slot {
    link: RwLock<Option<Arc<Link>>>,
    /// When the last attempt that failed was begun.
    connecting: Mutex<Option<Instant>>,
}

/// A server, and the ways to it: few multiplexed links for the hot path, and a
/// pool for jobs and probes.
pub(crate) struct Node {
    /// `None` for a socket of this machine.
    pub(super) address: Option<Address>,
    pool: Pool,
    client: Client,
    slots: [Slot; REDIS_LINKS],
    /// Hold scripts that it has before it.
    pub turns: Arc<Semaphore>,
}

impl Node {
    /// Connects when first used.
    pub(crate) fn new(info: ConnectionInfo) -> Result<Arc<Self>, RedisError> {
        let timeouts = Timeouts {
            wait: Some(REDIS_CONNECT_TIMEOUT),
            create: Some(REDIS_CONNECT_TIMEOUT),
            recycle: Some(REDIS_CONNECT_TIMEOUT),
        };
        let config = patient(REDIS_RESPONSE_TIMEOUT);
        let pool = Pool::builder(Manager::new_with_config(info.clone(), config)?)
            .max_size(REDIS_POOL_SIZE)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("it has a runtime for its time-outs");
        let address = Address::of(&info);
        let (client, turns) = (Client::open(info)?, Arc::new(Semaphore::new(HOLD_CALLS_AT_ONCE)));
        Ok(Arc::new(Self { address, pool, client, slots: Default::default(), turns }))
    }

    /// The link of a key's calls; equal keys share one.
    pub(crate) async fn link(&self, key: &str) -> Result<Arc<Link>, Error> {
        let slot = self.slot(key);
        if let Some(link) = slot.current() {
            return Ok(link);
        }
        let asked = Instant::now();
        let mut failed = slot.connecting.lock().await;
        if let Some(link) = slot.current() {
            return Ok(link);
        }
        // Those who waited meanwhile do not wait again, each in turn.
        if failed.is_some_and(|begun| begun >= asked) {
            return Err(Error::unreachable("it could not be connected to a moment ago"));
        }
        let begun = Instant::now();
        let link = self.new_link().await.inspect_err(|_| *failed = Some(begun))?;
        *slot.link.write().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        Ok(link)
    }

    async fn new_link(&self) -> Result<Arc<Link>, Error> {
        let mut connection = self.connect(REDIS_RESPONSE_TIMEOUT).await?;
        let (incarnation, is_master) =
            read_incarnation(&mut connection).await.map_err(Error::unreachable)?;
        match is_master {
            true => Ok(Arc::new(Link { connection, incarnation })),
            false => Err(Error::unreachable("this Redis is a replica")),
        }
    }

    /// Makes sure that nobody gets a link that is of no use any more.
    pub(crate) fn drop_link(&self, key: &str, broken: &Arc<Link>) {
        let slot = self.slot(key);
        let mut link = slot.link.write().unwrap_or_else(PoisonError::into_inner);
        if link.as_ref().is_some_and(|link| Arc::ptr_eq(link, broken)) {
            *link = None;
        }
    }

    /// Lets go of links that know this server by another incarnation: its
    /// `master_replid` changes when the first replica follows a new master, with
    /// nothing lost. All servers, and whoever audits, shall know it by one.
    pub(crate) fn keep_links_of(&self, incarnation: &Incarnation) {
        for slot in &self.slots {
            let mut link = slot.link.write().unwrap_or_else(PoisonError::into_inner);
            if link.as_ref().is_some_and(|link| link.incarnation != *incarnation) {
                *link = None;
            }
        }
    }

    /// A pooled connection. Boxed: the pool's future is large, and every flow
    /// would carry it.
    pub(crate) async fn control(&self) -> Result<Connection, Error> {
        Ok(Box::pin(self.pool.get()).await?)
    }

    pub(super) fn pool_state(&self) -> PoolState {
        let status = self.pool.status();
        PoolState {
            used: status.size.saturating_sub(status.available),
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// A new connection, whose answers may take so long.
    pub(crate) async fn connect(
        &self,
        response_timeout: Duration,
    ) -> Result<MultiplexedConnection, Error> {
        connect(&self.client, response_timeout).await.map_err(Error::unreachable)
    }

    fn slot(&self, key: &str) -> &Slot {
        let sum = key.bytes().fold(0_usize, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
        &self.slots[sum % REDIS_LINKS]
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.client.get_connection_info().addr())
    }
}

impl Slot {
    fn current(&self) -> Option<Arc<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn patient(response_timeout: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(REDIS_CONNECT_TIMEOUT))
        .set_response_timeout(Some(response_timeout))
}

pub(crate) async fn connect(
    client: &Client,
    response_timeout: Duration,
) -> Result<MultiplexedConnection, RedisError> {
    client.get_multiplexed_async_connection_with_config(&patient(response_timeout)).await
}

/// The incarnation that a connection goes to, and whether it is a master's.
pub(crate) async fn read_incarnation(
    connection: &mut MultiplexedConnection,
) -> Result<(Incarnation, bool), RedisError> {
    let info: InfoDict =
        cmd("INFO").arg("server").arg("replication").query_async(connection).await?;
    let is_master = info.get::<String>("role").is_some_and(|role| role == "master");
    Ok((incarnation(&info), is_master))
}

/// The incarnation that an INFO of server and replication tells.
pub(crate) fn incarnation(info: &InfoDict) -> Incarnation {
    let field = |name| info.get::<String>(name).unwrap_or_default();
    Incarnation(format!("{}:{}", field("run_id"), field("master_replid")))
}

/// Whether a link is of no use after this: a server that turned replica answers
/// READONLY or MOVED for ever, and may be another master later; one that went
/// silent may never answer on it.
pub(crate) fn ends_link(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::Moved
        ),
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

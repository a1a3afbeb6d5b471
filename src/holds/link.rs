//! The hot path's connections: few, multiplexed, and never silently another
//! server's.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, InfoDict, RedisError, RedisResult,
    ScriptInvocation, aio::MultiplexedConnection, cmd,
};
use tokio::sync::Mutex;

use super::Error;
use crate::limits::{REDIS_CONNECT_TIMEOUT, REDIS_LINKS, REDIS_RESPONSE_TIMEOUT};

/// Which life of which Redis server a connection goes to: its `run_id` and
/// `master_replid`. Another incarnation may have another past: a restart may
/// bring back an older state, and so may a replica that takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation(pub String);

/// One connection. It does not reconnect by itself: a new one reads the
/// incarnation anew.
struct Link {
    connection: MultiplexedConnection,
    incarnation: Incarnation,
}

/// A place for a link; whoever finds it empty connects, alone.
#[derive(Default)]
struct Slot {
    link: RwLock<Option<Arc<Link>>>,
    connecting: Mutex<()>,
}

pub(super) struct Links {
    client: Client,
    slots: [Slot; REDIS_LINKS],
}

impl Links {
    pub(super) fn new(url: &str) -> Result<Self, Error> {
        let client = Client::open(url).map_err(Error::Url)?;
        Ok(Self { client, slots: Default::default() })
    }

    /// Runs a script, prepared for the incarnation that it is sent to; see
    /// [`Self::call`].
    pub(super) async fn invoke<'s, T: FromRedisValue>(
        &self,
        key: &str,
        prepare: impl Fn(&Incarnation) -> ScriptInvocation<'s>,
    ) -> Result<T, Error> {
        let run = |link: Arc<Link>| {
            let script = prepare(&link.incarnation);
            async move { script.invoke_async(&mut link.connection.clone()).await }
        };
        self.call(key, run).await
    }

    /// Runs a command that changes nothing, and tells which incarnation it was
    /// that answered; see [`Self::call`].
    pub(super) async fn read<T: FromRedisValue>(
        &self,
        key: &str,
        command: &Cmd,
    ) -> Result<(T, Incarnation), Error> {
        let run = async |link: Arc<Link>| {
            let answer = command.query_async(&mut link.connection.clone()).await?;
            Ok((answer, link.incarnation.clone()))
        };
        self.call(key, run).await
    }

    /// Makes a call; a second time, on a new connection, where the first one
    /// broke. `key` spreads the calls: equal keys share a connection.
    async fn call<T, F: Future<Output = RedisResult<T>>>(
        &self,
        key: &str,
        make: impl Fn(Arc<Link>) -> F,
    ) -> Result<T, Error> {
        let slot = self.slot(key);
        let link = self.link(slot).await?;
        let broken = match make(link.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_unrecoverable_error() => error,
            Err(error) => return Err(slot.note(&link, error)),
        };
        slot.drop_link(&link);
        // The first call may have been made, whatever becomes of the second.
        let link = self.link(slot).await.map_err(|_| Error::from(broken))?;
        make(link.clone()).await.map_err(|error| slot.note(&link, error))
    }

    /// The incarnation that a key's calls go to from now on, read anew: what a
    /// link was told when it was made may have changed under it.
    pub(super) async fn incarnation(&self, key: &str) -> Result<Incarnation, Error> {
        let slot = self.slot(key);
        let link = self.link(slot).await?;
        let read = read_incarnation(&mut link.connection.clone()).await;
        let incarnation = read.map_err(|error| slot.note(&link, error))?;
        if incarnation == link.incarnation {
            return Ok(incarnation);
        }
        slot.drop_link(&link);
        Ok(self.link(slot).await?.incarnation.clone())
    }

    /// A connection for one reader's own use, whose answers may take `wait`
    /// longer than others.
    pub(super) async fn dedicated(&self, wait: Duration) -> Result<MultiplexedConnection, Error> {
        self.connect(REDIS_RESPONSE_TIMEOUT + wait).await
    }

    fn slot(&self, key: &str) -> &Slot {
        let sum = key.bytes().fold(0_usize, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
        &self.slots[sum % REDIS_LINKS]
    }

    async fn link(&self, slot: &Slot) -> Result<Arc<Link>, Error> {
        if let Some(link) = slot.current() {
            return Ok(link);
        }
        let _alone = slot.connecting.lock().await;
        if let Some(link) = slot.current() {
            return Ok(link);
        }
        let mut connection = self.connect(REDIS_RESPONSE_TIMEOUT).await?;
        let incarnation = read_incarnation(&mut connection).await.map_err(Error::unreachable)?;
        let link = Arc::new(Link { connection, incarnation });
        *slot.link.write().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        Ok(link)
    }

    async fn connect(&self, response_timeout: Duration) -> Result<MultiplexedConnection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(REDIS_CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(Error::unreachable)
    }
}

impl Slot {
    fn current(&self) -> Option<Arc<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What an error means. A server that turned replica answers READONLY for
    /// ever on this link, and one that went silent may never answer on it.
    fn note(&self, link: &Arc<Link>, error: RedisError) -> Error {
        let error = Error::from(error);
        if matches!(error, Error::Unreachable(_) | Error::Unknown(_)) {
            self.drop_link(link);
        }
        error
    }

    fn drop_link(&self, broken: &Arc<Link>) {
        let mut link = self.link.write().unwrap_or_else(PoisonError::into_inner);
        if link.as_ref().is_some_and(|link| Arc::ptr_eq(link, broken)) {
            *link = None;
        }
    }
}

async fn read_incarnation(
    connection: &mut MultiplexedConnection,
) -> Result<Incarnation, RedisError> {
    let info: InfoDict =
        cmd("INFO").arg("server").arg("replication").query_async(connection).await?;
    let field = |name| info.get::<String>(name).unwrap_or_default();
    Ok(Incarnation(format!("{}:{}", field("run_id"), field("master_replid"))))
}

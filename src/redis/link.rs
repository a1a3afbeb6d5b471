//! The way of a call to the server that has its event, and what is done where
//! that is another one by now.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{
    Cmd, ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind,
    aio::MultiplexedConnection,
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

use super::{
    Error, Incarnation,
    node::{self, Link, Node},
    routes::Routes,
};
use crate::limits::{REDIS_MOVE_PATIENCE, REDIS_MOVE_PAUSE, REDIS_RESPONSE_TIMEOUT};
use crate::telemetry::PoolState;

/// The way of every call.
pub struct Links {
    pub(super) routes: Routes,
}

/// What is done where a connection breaks under a call that may have been
/// carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is made once more.
    Again,
    Once,
}

/// Why a call has no answer.
enum Failure {
    /// It was not sent.
    Before(Error),
    After(RedisError),
}

/// What comes after an error of a server's.
enum Next {
    /// Nothing was done, and another server has the event.
    FollowMoved,
    /// Nothing was done; the slot is on its way.
    Wait,
    /// Nothing was done: this server is no master any more.
    LookAgain,
    /// It may have been done: once more, on a new connection.
    Repeat,
    GiveUp,
}

impl Links {
    /// Takes the URL of a Redis server, of sentinels, or of a Cluster; connects
    /// when first used.
    ///
    /// # Errors
    /// [`Error::Url`] where the URL is none of Redis'.
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self { routes: Routes::new(url)? })
    }

    /// Runs a script, prepared for the incarnation that it is sent to; see
    /// [`Self::call`]. Tells also what broke an attempt before, which may have
    /// been carried out.
    pub(crate) async fn invoke<'s, T: FromRedisValue>(
        &self,
        key: &str,
        sent: Sent,
        prepare: impl Fn(&Incarnation) -> ScriptInvocation<'s>,
    ) -> Result<(T, Option<RedisError>), Error> {
        let prepare = &prepare;
        let run = async move |node: Arc<Node>| {
            let link = node.link(key).await.map_err(Failure::Before)?;
            let script = prepare(&link.incarnation);
            let answer = script.invoke_async(&mut link.connection.clone()).await;
            answer.map_err(|error| note(&node, key, &link, error))
        };
        self.call_telling(key, sent, run).await
    }

    /// Runs a command that changes nothing, and tells which incarnation it was
    /// that answered; see [`Self::call`].
    pub(crate) async fn read<T: FromRedisValue>(
        &self,
        key: &str,
        command: &Cmd,
    ) -> Result<(T, Incarnation), Error> {
        let run = async move |node: Arc<Node>| {
            let link = node.link(key).await.map_err(Failure::Before)?;
            let answer = command.query_async(&mut link.connection.clone()).await;
            let answer = answer.map_err(|error| note(&node, key, &link, error))?;
            Ok((answer, link.incarnation.clone()))
        };
        self.call(key, run).await
    }

    /// Runs a command of the control path, which must not hold up the hot one;
    /// see [`Self::call`].
    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        key: &str,
        command: &Cmd,
    ) -> Result<T, Error> {
        let run = async move |node: Arc<Node>| {
            let mut connection = node.control().await.map_err(Failure::Before)?;
            command.query_async(&mut connection).await.map_err(Failure::After)
        };
        self.call(key, run).await
    }

    /// The incarnation that a key's calls go to from now on, read anew: what a
    /// link was told when it was made may have changed under it.
    pub(crate) async fn incarnation(&self, key: &str) -> Result<Incarnation, Error> {
        let run = async move |node: Arc<Node>| {
            let link = node.link(key).await.map_err(Failure::Before)?;
            let read = node::read_incarnation(&mut link.connection.clone()).await;
            let (incarnation, is_master) = read.map_err(|error| note(&node, key, &link, error))?;
            if is_master && incarnation == link.incarnation {
                return Ok(incarnation);
            }
            node.drop_link(key, &link);
            Ok(node.link(key).await.map_err(Failure::Before)?.incarnation.clone())
        };
        self.call(key, run).await
    }

    /// A connection for one reader's own use, whose answers may take `wait`
    /// longer than others, and the server that it goes to.
    pub(crate) async fn dedicated(
        &self,
        key: &str,
        wait: Duration,
    ) -> Result<(Arc<Node>, MultiplexedConnection), Error> {
        let timeout = REDIS_RESPONSE_TIMEOUT + wait;
        let run = |node: Arc<Node>| async move {
            let connection = node.connect(timeout).await;
            Ok((node, connection.map_err(Failure::Before)?))
        };
        self.call(key, run).await
    }

    /// Makes a call of the server that has the key's event. `key` is the event's
    /// id, and spreads the calls over a server's connections, too.
    async fn call<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        key: &str,
        attempt: impl Fn(Arc<Node>) -> F,
    ) -> Result<T, Error> {
        Ok(self.call_telling(key, Sent::Again, attempt).await?.0)
    }

    async fn call_telling<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        key: &str,
        sent: Sent,
        attempt: impl Fn(Arc<Node>) -> F,
    ) -> Result<(T, Option<RedisError>), Error> {
        let mut so_far = SoFar::default();
        loop {
            let node = self.routes.node(key).await.map_err(|error| so_far.end(error))?;
            let failure = match attempt(node.clone()).await {
                Ok(answer) => return Ok((answer, so_far.broken)),
                Err(failure) => failure,
            };
            let next = match Next::after(&failure, &so_far) {
                Next::Repeat if sent == Sent::Once => Next::GiveUp,
                next => next,
            };
            let goes_on = match (&next, &failure) {
                (Next::FollowMoved, Failure::After(error)) => {
                    self.routes.follow(&node, error)? && so_far.may_wait().await
                }
                (Next::Wait, _) => so_far.may_wait().await,
                (Next::LookAgain, _) if !so_far.looked => {
                    so_far.looked = true;
                    let looked = self.routes.look().await;
                    looked.is_ok() && !self.is_at(key, &node)
                }
                (Next::Repeat, _) => true,
                _ => false,
            };
            match (goes_on, failure) {
                (true, Failure::After(error)) if matches!(next, Next::Repeat) => {
                    so_far.broken = Some(error);
                }
                (true, _) => {}
                (false, Failure::Before(error)) => return Err(so_far.end(error)),
                (false, Failure::After(error)) => return Err(so_far.end(error.into())),
            }
        }
    }

    /// How the pools of all servers that have events are used.
    pub(crate) fn pools(&self) -> PoolState {
        let states = self.routes.masters().into_iter().map(|node| node.pool_state());
        states.fold(PoolState::default(), |sum, one| PoolState {
            used: sum.used + one.used,
            idle: sum.idle + one.idle,
            waiting: sum.waiting + one.waiting,
        })
    }

    /// One of the calls that the server which has the key's event is to have before it
    /// at a time; `None` where none is known.
    pub(crate) async fn turn(&self, key: &str) -> Option<OwnedSemaphorePermit> {
        let node = self.routes.known(key)?;
        node.turns.clone().acquire_owned().await.ok()
    }

    /// Takes a server's word for where a slot is now; `false` where it says nothing.
    ///
    /// # Errors
    /// [`Error::Url`] where it names a server that cannot be used.
    pub(crate) fn follow(&self, node: &Arc<Node>, moved: &RedisError) -> Result<bool, Error> {
        self.routes.follow(node, moved)
    }

    /// Whether a key's calls still go to this server.
    pub(crate) fn is_at(&self, key: &str, node: &Arc<Node>) -> bool {
        self.routes.known(key).is_some_and(|known| Arc::ptr_eq(&known, node))
    }
}

/// What has become of a call until now.
#[derive(Default)]
struct SoFar {
    /// The connection broke under an attempt, which may have been carried out.
    broken: Option<RedisError>,
    looked: bool,
    /// When the patience with moving slots ends.
    patient_until: Option<Instant>,
}

impl SoFar {
    /// Waits a moment, but the first time not at all; `false` where it has
    /// waited long enough.
    async fn may_wait(&mut self) -> bool {
        let now = Instant::now();
        match self.patient_until {
            None => self.patient_until = Some(now + REDIS_MOVE_PATIENCE),
            Some(until) if now < until => sleep(REDIS_MOVE_PAUSE).await,
            Some(_) => return false,
        }
        true
    }

    /// What the last error means for the caller: nothing was done, by it; but
    /// an attempt before may have been carried out.
    fn end(&mut self, last: Error) -> Error {
        match (self.broken.take(), last) {
            (Some(broken), Error::Unreachable(_) | Error::Full(_)) => broken.into(),
            (_, last) => last,
        }
    }
}

impl Next {
    fn after(failure: &Failure, so_far: &SoFar) -> Self {
        let Failure::After(error) = failure else { return Self::LookAgain };
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => Self::FollowMoved,
            ErrorKind::Server(
                ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown,
            ) => Self::Wait,
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => {
                Self::LookAgain
            }
            _ if error.is_unrecoverable_error() && so_far.broken.is_none() => Self::Repeat,
            _ => Self::GiveUp,
        }
    }
}

/// A call's error, after which nobody else may want its link.
fn note(node: &Node, key: &str, link: &Arc<Link>, error: RedisError) -> Failure {
    if node::ends_link(&error) {
        node.drop_link(key, link);
    }
    Failure::After(error)
}

//! Ends streams whose readers have stopped reading.
//!
//! A reader that stops while its connection lives leaves what it was sent in the
//! connection's flow-control window, which its siblings need, too. Nobody says
//! so: the transport just does not ask for the next message any more. So each
//! stream notes when it gave the transport something, and a look at each connection
//! once a second finds those that have waited for too long since:
//!
//! - Where anything else on the connection has moved meanwhile, the stream alone
//!   is ended, by a reset: it has no room for anything else. Most clients give back
//!   what it had of the connection's window then.
//! - Where nothing has, the connection's window itself is full. It is closed, after
//!   calls in flight had some time, and healthy readers resume on another one.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::rt::Executor;
use tokio::{
    task::AbortHandle,
    time::{Instant, interval},
};

use crate::{
    limits::{STREAM_LOOK, STREAM_STALLED},
    telemetry,
};

tokio::task_local! {
    /// The call that a task serves.
    static CALL: Call;
}

#[derive(Clone)]
struct Call {
    connection: Arc<Connection>,
    /// The task, unless the connection serves one call at a time, as HTTP/1 does.
    task: Arc<OnceLock<AbortHandle>>,
}

/// What moves on one connection. Times are milliseconds since it began, from 1 up.
pub struct Connection {
    began: Instant,
    /// When anything was last passed on to the client.
    moved_ms: AtomicU64,
    streams: Mutex<Vec<Arc<Stream>>>,
}

struct Stream {
    call: Call,
    /// When the transport took what it has not passed on yet; 0 where it waits
    /// for us.
    taken_ms: AtomicU64,
}

/// What a stream notes of itself; it is watched until this is dropped.
pub struct Pace(Option<Arc<Stream>>);

/// Runs each call of a connection in a task of its own.
#[derive(Clone)]
pub struct Calls(pub Arc<Connection>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Calls {
    fn execute(&self, work: F) {
        let call = Call { connection: self.0.clone(), task: Arc::default() };
        let (connection, task) = (self.0.clone(), call.task.clone());
        let running = tokio::spawn(CALL.scope(call, async move {
            work.await;
            connection.moved();
        }));
        let _ = task.set(running.abort_handle());
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self { began: Instant::now(), moved_ms: AtomicU64::new(0), streams: Mutex::default() }
    }
}

impl Connection {
    /// Serves the connection itself: what runs in no task of its own is watched,
    /// too.
    pub async fn scope<T>(self: &Arc<Self>, serving: impl Future<Output = T>) -> T {
        CALL.scope(Call { connection: self.clone(), task: Arc::default() }, serving).await
    }

    /// Ends streams that have stalled; returns when the connection itself has.
    pub async fn watch(&self) {
        let mut look = interval(STREAM_LOOK);
        loop {
            look.tick().await;
            if self.has_stalled(self.now_ms()) {
                return;
            }
        }
    }

    fn has_stalled(&self, now_ms: u64) -> bool {
        let is_long_ago =
            |ms: u64| Duration::from_millis(now_ms.saturating_sub(ms)) >= STREAM_STALLED;
        let stalled: Vec<Arc<Stream>> = self
            .streams()
            .iter()
            .filter(|stream| match stream.taken_ms.load(Relaxed) {
                0 => false,
                taken_ms => is_long_ago(taken_ms),
            })
            .cloned()
            .collect();
        if stalled.is_empty() {
            return false;
        }
        let mut close = is_long_ago(self.moved_ms.load(Relaxed));
        for stream in &stalled {
            telemetry::stream_stalled();
            match stream.call.task.get() {
                // With its siblings: whoever is cut first would come back here.
                _ if close => {}
                Some(task) => task.abort(),
                None => close = true,
            }
        }
        close
    }

    fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Of the stream that answers the call that this task serves; of none where
    /// it serves none.
    pub fn of_this_call() -> Self {
        let stream = CALL.try_with(|call| {
            let stream = Arc::new(Stream { call: call.clone(), taken_ms: AtomicU64::new(0) });
            call.connection.streams().push(stream.clone());
            stream
        });
        Self(stream.ok())
    }

    /// The transport asks: it has passed on what it took before.
    pub fn asked(&self) {
        let Some(stream) = &self.0 else { return };
        if stream.taken_ms.swap(0, Relaxed) != 0 {
            stream.call.connection.moved();
        }
    }

    /// The transport took something.
    pub fn took(&self) {
        let Some(stream) = &self.0 else { return };
        stream.taken_ms.store(stream.call.connection.now_ms(), Relaxed);
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        let Some(stream) = &self.0 else { return };
        stream.call.connection.streams().retain(|other| !Arc::ptr_eq(other, stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG_MS: u64 = STREAM_STALLED.as_secs() * 1_000;

    /// A call whose task waits for ever, and its stream.
    async fn stream(connection: &Arc<Connection>) -> (Pace, AbortHandle) {
        let (tell, told) = tokio::sync::oneshot::channel();
        Calls(connection.clone()).execute(async move {
            let _ = tell.send(Pace::of_this_call());
            std::future::pending::<()>().await;
        });
        let pace = told.await.unwrap();
        let task = pace.0.as_ref().unwrap().call.task.get().unwrap().clone();
        (pace, task)
    }

    async fn is_ended(task: &AbortHandle) -> bool {
        tokio::task::yield_now().await;
        task.is_finished()
    }

    #[tokio::test]
    async fn a_stream_that_stalls_alone_is_ended_alone() {
        let connection = Arc::new(Connection::default());
        let (stalled, its_task) = stream(&connection).await;
        let (healthy, other_task) = stream(&connection).await;
        stalled.took();
        healthy.took();
        assert!(!connection.has_stalled(LONG_MS - 1000), "not for long enough");
        assert!(!is_ended(&its_task).await);
        healthy.asked();
        connection.moved_ms.store(LONG_MS / 2, Relaxed);
        assert!(!connection.has_stalled(LONG_MS + 2), "others move");
        assert!(is_ended(&its_task).await);
        assert!(!is_ended(&other_task).await);
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_is_closed() {
        let connection = Arc::new(Connection::default());
        let (first, _) = stream(&connection).await;
        let (waiting, _) = stream(&connection).await;
        waiting.took();
        waiting.asked();
        assert!(!connection.has_stalled(u64::MAX), "they wait for us");
        first.took();
        assert!(connection.has_stalled(LONG_MS + 1_000));
        drop(first);
        assert!(!connection.has_stalled(LONG_MS + 1_000), "it has ended");
    }
}

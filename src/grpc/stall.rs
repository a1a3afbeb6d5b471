//! Ends streams whose readers have stopped reading.
//!
//! A reader that stops while its connection lives leaves what it was sent in the
//! connection's flow-control window, which its siblings need, too. Nobody says
//! so: the transport just does not ask for the next message any more. So each
//! stream notes when it gave the transport something, and a look at each connection
//! finds those that have waited for too long since:
//!
//! - Where anything else on the connection has moved meanwhile, the stream alone
//!   is ended, by a reset: it has no room for anything else. Most clients give back
//!   what it had of the connection's window then.
//! - Where several wait and nothing has moved, the connection's window itself is
//!   full, or the client is away. A GOAWAY tells which: its PING is answered by a
//!   client that is there, whatever its windows. If it answers, and still nothing
//!   moves, all streams are ended at once, and healthy readers resume on another
//!   connection. If it does not, it has as long as a single stream has.
//!
//! Decision 16 says why it is done so, and how long each patience is.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::stream::AbortHandle as StreamHandle;
use hyper::rt::Executor;
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::draining::InFlight;
use crate::{
    limits::{
        CONNECTION_ANSWERED, CONNECTION_STARVED, STREAM_CLOSE_LOOK, STREAM_LOOK, STREAM_STALLED,
    },
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
    /// Each has its own.
    number: u64,
    began: Instant,
    /// When anything was last passed on to the client, or a call ended.
    moved_ms: AtomicU64,
    /// When a stream's message was: that takes room in the window, which not every
    /// end of a call does.
    passed_ms: AtomicU64,
    streams: Mutex<Vec<Arc<Stream>>>,
    /// Counts the calls of all connections.
    in_flight: InFlight,
}

struct Stream {
    call: Call,
    /// When the transport took what it has not passed on yet; 0 where it waits
    /// for us.
    taken_ms: AtomicU64,
    /// Ends it in good order, where it has no end of its own.
    drain: Option<StreamHandle>,
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
        let begun = self.0.in_flight.begin(1);
        let running = tokio::spawn(CALL.scope(call, async move {
            work.await;
            connection.moved();
            drop(begun);
        }));
        let _ = task.set(running.abort_handle());
    }
}

impl Connection {
    pub fn new(in_flight: InFlight) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NUMBERS.fetch_add(1, Relaxed),
            began: Instant::now(),
            moved_ms: AtomicU64::new(0),
            passed_ms: AtomicU64::new(0),
            streams: Mutex::default(),
            in_flight,
        }
    }

    /// Serves the connection itself: what runs in no task of its own is watched,
    /// too.
    pub async fn scope<T>(self: &Arc<Self>, serving: impl Future<Output = T>) -> T {
        CALL.scope(Call { connection: self.clone(), task: Arc::default() }, serving).await
    }

    /// Whether it has any stream.
    pub fn has_streams(&self) -> bool {
        !self.streams().is_empty()
    }

    /// Whether it has several streams, which are mostly told at the same moment.
    pub fn has_crowd(&self) -> bool {
        self.streams().len() > 1
    }

    /// Ends streams that have stalled; returns when the connection seems to have:
    /// several of its streams wait, and nothing moves.
    pub async fn starves(&self) {
        loop {
            let is_waiting = self.streams().iter().any(|stream| stream.taken_ms() > 0);
            sleep(if is_waiting { STREAM_CLOSE_LOOK } else { STREAM_LOOK }).await;
            let now_ms = self.now_ms();
            if self.is_starved(now_ms) || self.has_stalled(now_ms) {
                return;
            }
        }
    }

    /// Once the client of a connection that starves was asked whether it is there:
    /// returns when it is and still nothing has moved, or when nothing has for
    /// [`STREAM_STALLED`].
    pub async fn is_lost(&self, has_answered: impl Fn() -> bool) {
        let passed_ms = self.passed_ms.load(Relaxed);
        let mut answered_ms = None;
        loop {
            sleep(STREAM_CLOSE_LOOK).await;
            let now_ms = self.now_ms();
            if self.has_stalled(now_ms) {
                return;
            }
            if answered_ms.is_none() && has_answered() {
                answered_ms = Some(now_ms);
            }
            let has_moved = self.passed_ms.load(Relaxed) != passed_ms;
            let has_had_time =
                answered_ms.is_some_and(|ms| is_past(ms, now_ms, CONNECTION_ANSWERED));
            if has_had_time && !has_moved {
                return;
            }
        }
    }

    /// Ends streams in good order: the server goes away.
    pub fn drain(&self) {
        for drain in self.streams().iter().filter_map(|stream| stream.drain.as_ref()) {
            drain.abort();
        }
    }

    /// Ends all streams, those that wait and those that do not.
    pub fn end_streams(&self) {
        for stream in self.streams().iter() {
            if let Some(task) = stream.call.task.get() {
                telemetry::stream_stalled();
                task.abort();
            }
        }
    }

    /// Whether several streams wait, and none has been passed on for so long. One
    /// that had stopped well before the others still moved says nothing of them.
    fn is_starved(&self, now_ms: u64) -> bool {
        let passed_ms = self.passed_ms.load(Relaxed);
        if !is_past(passed_ms, now_ms, CONNECTION_STARVED) {
            return false;
        }
        let streams = self.streams();
        let waits = |stream: &&Arc<Stream>| match stream.taken_ms() {
            0 => false,
            taken_ms => {
                is_past(taken_ms, now_ms, CONNECTION_STARVED)
                    && !is_past(taken_ms, passed_ms, STREAM_LOOK)
            }
        };
        streams.iter().filter(waits).nth(1).is_some()
    }

    /// Ends streams that have stalled alone; answers whether the connection has.
    fn has_stalled(&self, now_ms: u64) -> bool {
        let has_stalled = |stream: &&Arc<Stream>| match stream.taken_ms() {
            0 => false,
            taken_ms => is_past(taken_ms, now_ms, STREAM_STALLED),
        };
        let stalled: Vec<Arc<Stream>> =
            self.streams().iter().filter(has_stalled).cloned().collect();
        if stalled.is_empty() {
            return false;
        }
        if is_past(self.moved_ms.load(Relaxed), now_ms, STREAM_STALLED) {
            // With its siblings: whoever is cut first would come back here.
            return true;
        }
        let mut close = false;
        for stream in &stalled {
            match stream.call.task.get() {
                Some(task) => {
                    telemetry::stream_stalled();
                    task.abort();
                }
                None => close = true,
            }
        }
        close
    }

    fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Relaxed);
    }

    fn passed(&self) {
        let now_ms = self.now_ms();
        self.moved_ms.store(now_ms, Relaxed);
        self.passed_ms.store(now_ms, Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn taken_ms(&self) -> u64 {
        self.taken_ms.load(Relaxed)
    }
}

/// The number of the connection of the call that this task serves; 0 where it serves
/// none.
pub fn connection_of_this_call() -> u64 {
    CALL.try_with(|call| call.connection.number).unwrap_or_default()
}

/// Whether a moment is so long ago.
fn is_past(ms: u64, now_ms: u64, patience: Duration) -> bool {
    Duration::from_millis(now_ms.saturating_sub(ms)) >= patience
}

impl Pace {
    /// Of the stream that answers the call that this task serves; of none where
    /// it serves none. `drain` ends it in good order.
    pub fn of_this_call(drain: Option<StreamHandle>) -> Self {
        let stream = CALL.try_with(|call| {
            let (call, taken_ms) = (call.clone(), AtomicU64::new(0));
            let stream = Arc::new(Stream { call, taken_ms, drain });
            stream.call.connection.streams().push(stream.clone());
            stream
        });
        Self(stream.ok())
    }

    /// The transport asks: it has passed on what it took before.
    pub fn asked(&self) {
        let Some(stream) = &self.0 else { return };
        if stream.taken_ms.swap(0, Relaxed) != 0 {
            stream.call.connection.passed();
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
            let _ = tell.send(Pace::of_this_call(None));
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
        let connection = Arc::new(Connection::new(InFlight::default()));
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
        let connection = Arc::new(Connection::new(InFlight::default()));
        let (first, its_task) = stream(&connection).await;
        let (waiting, other_task) = stream(&connection).await;
        waiting.took();
        waiting.asked();
        assert!(!connection.has_stalled(u64::MAX), "they wait for us");
        first.took();
        assert!(connection.has_stalled(LONG_MS + 1_000));
        assert!(!is_ended(&its_task).await, "not before its siblings");
        connection.end_streams();
        assert!(is_ended(&its_task).await && is_ended(&other_task).await);
        drop(first);
        assert!(!connection.has_stalled(LONG_MS + 1_000), "it has ended");
    }

    #[tokio::test]
    async fn a_connection_starves_where_several_wait_and_none_moves() {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap();
        let connection = Arc::new(Connection::new(InFlight::default()));
        let took_at = |pace: &Pace, ms| pace.0.as_ref().unwrap().taken_ms.store(ms, Relaxed);
        let (first, _) = stream(&connection).await;
        let (second, _) = stream(&connection).await;
        let now_ms = ms(10 * CONNECTION_STARVED);
        let starved_ms = now_ms - ms(CONNECTION_STARVED);
        took_at(&first, starved_ms);
        assert!(!connection.is_starved(now_ms), "it may have stopped alone");
        took_at(&second, starved_ms);
        assert!(connection.is_starved(now_ms));
        assert!(!connection.is_starved(now_ms - 1), "not for long enough");
        connection.passed_ms.store(starved_ms + 1, Relaxed);
        assert!(!connection.is_starved(now_ms), "a sibling has moved");
        connection.passed_ms.store(starved_ms, Relaxed);
        assert!(connection.is_starved(now_ms));
        took_at(&first, starved_ms - ms(STREAM_LOOK));
        assert!(!connection.is_starved(now_ms), "it had stopped while others moved");
    }
}

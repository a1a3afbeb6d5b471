//! Makes one call of what many ask for at the same time.
//!
//! Each key has few calls under way at most, often one. Where there are fewer, what
//! is asked begins one at once; what is asked meanwhile waits, and becomes the next
//! call. So an idle system adds no delay, and a busy one makes fewer, larger calls;
//! there is no timer. Calls have tasks of their own: whoever asks may go away.
//!
//! Where many keys share what serves them, their calls may have to pass a gate: what
//! would only wait behind others there waits here, where it can still be joined.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It was not asked: too many wait, or for too long.
    #[error("too many wait already")]
    Full,
    /// The call was given up; it may have been made.
    #[error("the call was given up")]
    GivenUp,
}

/// What a key and those who can be asked for it need to be.
pub trait Plain: Send + 'static {}
impl<T: Send + 'static> Plain for T {}

/// Answers each ask of a key, in their order.
type Call<K, Ask, Answer> =
    Box<dyn Fn(K, Vec<Ask>) -> BoxFuture<'static, Vec<Answer>> + Send + Sync>;

/// Lets a key's next call begin, which gives back what it is given.
type Gate<K> = Box<dyn Fn(K) -> BoxFuture<'static, Option<OwnedSemaphorePermit>> + Send + Sync>;

/// How calls are made of asks.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Calls of one key that are under way at the same time.
    pub calls: usize,
    /// Asks of one call.
    pub asks: usize,
    /// Asks that wait for one key.
    pub waiting: usize,
    /// How long an ask waits for its call to begin.
    pub patience: Duration,
}

/// Those who wait, by what they wait for.
pub struct Batcher<K, Ask, Answer> {
    queues: Mutex<Queues<K, Ask, Answer>>,
    call: Call<K, Ask, Answer>,
    gate: Option<Gate<K>>,
    bounds: Bounds,
}

/// A key is in it as long as a call for it is under way.
type Queues<K, Ask, Answer> = HashMap<K, Queue<Ask, Answer>>;

struct Queue<Ask, Answer> {
    /// Calls that are under way, or are about to begin.
    under_way: usize,
    waiting: VecDeque<Waiter<Ask, Answer>>,
}

struct Waiter<Ask, Answer> {
    ask: Ask,
    since: Instant,
    tell: oneshot::Sender<Result<Answer, Unanswered>>,
}

impl<Ask, Answer> Default for Queue<Ask, Answer> {
    fn default() -> Self {
        Self { under_way: 0, waiting: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash + Plain, Ask: Plain, Answer: Plain> Batcher<K, Ask, Answer> {
    pub fn new<F: Future<Output = Vec<Answer>> + Send + 'static>(
        bounds: Bounds,
        call: impl Fn(K, Vec<Ask>) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::with_gate(bounds, None, call))
    }

    /// As [`Self::new`], where each call begins once `gate` lets it, and carries what
    /// was asked until then.
    pub fn behind<G: Future<Output = Option<OwnedSemaphorePermit>> + Send + 'static, F>(
        gate: impl Fn(K) -> G + Send + Sync + 'static,
        bounds: Bounds,
        call: impl Fn(K, Vec<Ask>) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Vec<Answer>> + Send + 'static,
    {
        let gate: Gate<K> = Box::new(move |key| Box::pin(gate(key)));
        Arc::new(Self::with_gate(bounds, Some(gate), call))
    }

    fn with_gate<F: Future<Output = Vec<Answer>> + Send + 'static>(
        bounds: Bounds,
        gate: Option<Gate<K>>,
        call: impl Fn(K, Vec<Ask>) -> F + Send + Sync + 'static,
    ) -> Self {
        let call: Call<K, Ask, Answer> = Box::new(move |key, asks| Box::pin(call(key, asks)));
        Self { queues: Mutex::default(), call, gate, bounds }
    }

    /// Asks, in a call that may carry what others ask of the same key. Who goes
    /// away before that call begins is not asked for; who goes away later stops
    /// nobody.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn ask(self: &Arc<Self>, key: K, ask: Ask) -> Result<Answer, Unanswered> {
        let (tell, answer) = oneshot::channel();
        let begins = {
            let mut queues = self.lock();
            let queue = queues.entry(key.clone()).or_default();
            if queue.waiting.len() >= self.bounds.waiting {
                return Err(Unanswered::Full);
            }
            queue.waiting.push_back(Waiter { ask, since: Instant::now(), tell });
            let begins = queue.under_way < self.bounds.calls;
            queue.under_way += usize::from(begins);
            begins
        };
        if begins {
            tokio::spawn(Turn { batcher: self.clone(), key, is_taken: false }.serve());
        }
        answer.await.unwrap_or(Err(Unanswered::GivenUp))
    }

    fn lock(&self) -> MutexGuard<'_, Queues<K, Ask, Answer>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make a key's calls. A panic in one leaves those who wait to
/// another task.
struct Turn<K: Clone + Eq + Hash + Plain, Ask: Plain, Answer: Plain> {
    batcher: Arc<Batcher<K, Ask, Answer>>,
    key: K,
    /// Whether anybody has begun to work with it.
    is_taken: bool,
}

impl<K: Clone + Eq + Hash + Plain, Ask: Plain, Answer: Plain> Turn<K, Ask, Answer> {
    fn call(&self, asks: Vec<Ask>) -> BoxFuture<'static, Vec<Answer>> {
        (self.batcher.call)(self.key.clone(), asks)
    }

    /// Makes calls until nobody waits.
    async fn serve(mut self) {
        self.is_taken = true;
        while self.is_wanted() {
            let _pass = match &self.batcher.gate {
                Some(gate) => gate(self.key.clone()).await,
                None => None,
            };
            let next = self.take().into_iter().map(|waiter| (waiter.ask, waiter.tell));
            let (asks, tells): (Vec<_>, Vec<_>) = next.unzip();
            if asks.is_empty() {
                return;
            }
            for (tell, answer) in tells.into_iter().zip(self.call(asks).await) {
                // Who has gone away meanwhile needs no answer.
                let _ = tell.send(Ok(answer));
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.batcher.lock().get(&self.key).is_some_and(|queue| !queue.waiting.is_empty())
    }

    /// What the next call carries: its share of what waits, but nothing for those
    /// who have gone away, or have waited for too long.
    fn take(&self) -> Vec<Waiter<Ask, Answer>> {
        let mut queues = self.batcher.lock();
        let Some(Queue { waiting, .. }) = queues.get_mut(&self.key) else { return Vec::new() };
        let bounds = self.batcher.bounds;
        let is_late = |waiter: &Waiter<_, _>| waiter.since.elapsed() > bounds.patience;
        while waiting.front().is_some_and(is_late) {
            let late = waiting.pop_front().map(|waiter| waiter.tell);
            let _ = late.map(|tell| tell.send(Err(Unanswered::Full)));
        }
        waiting.retain(|waiter| !waiter.tell.is_closed());
        let count = waiting.len().div_ceil(bounds.calls).min(bounds.asks);
        waiting.drain(..count).collect()
    }
}

impl<K: Clone + Eq + Hash + Plain, Ask: Plain, Answer: Plain> Drop for Turn<K, Ask, Answer> {
    fn drop(&mut self) {
        let mut queues = self.batcher.lock();
        let Some(queue) = queues.get_mut(&self.key) else { return };
        // A turn that nobody took is dropped by a runtime that ends.
        let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| self.is_taken);
        let Some(runtime) = runtime.filter(|_| !queue.waiting.is_empty()) else {
            queue.under_way -= 1;
            if queue.under_way == 0 {
                queues.remove(&self.key);
            }
            return;
        };
        drop(queues);
        let (batcher, key) = (self.batcher.clone(), self.key.clone());
        runtime.spawn(Turn { batcher, key, is_taken: false }.serve());
    }
}

#[cfg(test)]
mod tests;

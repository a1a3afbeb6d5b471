//! Makes one call of what many ask for at the same time.
//!
//! Each key has few calls under way at most, often one. Where there are fewer, what
//! is asked begins one at once; what is asked meanwhile waits, and becomes the next
//! call. So an idle system adds no delay, and a busy one makes fewer, larger calls;
//! there is no timer. Calls have tasks of their own: whoever asks may go away.
//!
//! Where many keys share what serves them, their calls may have to pass a gate: what
//! would only wait behind others there waits here, where it can still be joined. Or a
//! call is handed on with a claim on what its key has to ask, and takes that as the work
//! begins: then one piece of work serves many keys.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    hash::Hash,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use crate::deadline;

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

/// What asks and answers need to be.
pub trait Plain: Send + 'static {}
impl<T: Send + 'static> Plain for T {}

/// What is asked for.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {}
impl<T: Clone + Eq + Hash + Send + Sync + 'static> Key for T {}

/// Answers each ask of a key, in their order.
enum Call<K: Key, Ask: Plain, Answer: Plain> {
    /// Of what waits as it begins.
    Now(Serve<K, Vec<Ask>, Answer>),
    /// Of what waits as it takes it.
    Later(Serve<K, Arc<Claim<K, Ask, Answer>>, Answer>),
}

type Serve<K, Asked, Answer> =
    Box<dyn Fn(K, Asked) -> BoxFuture<'static, Vec<Answer>> + Send + Sync>;

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
pub struct Batcher<K: Key, Ask: Plain, Answer: Plain> {
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
    /// Of these, calls that will take what waits later.
    claims: usize,
    waiting: VecDeque<Waiter<Ask, Answer>>,
}

struct Waiter<Ask, Answer> {
    ask: Ask,
    since: Instant,
    /// Until when he waits, where he has said it.
    until: Option<Instant>,
    tell: Tell<Answer>,
}

type Tell<Answer> = oneshot::Sender<Result<Answer, Unanswered>>;

impl<Ask, Answer> Default for Queue<Ask, Answer> {
    fn default() -> Self {
        Self { under_way: 0, claims: 0, waiting: VecDeque::new() }
    }
}

impl<K: Key, Ask: Plain, Answer: Plain> Batcher<K, Ask, Answer> {
    pub fn new<F: Future<Output = Vec<Answer>> + Send + 'static>(
        bounds: Bounds,
        call: impl Fn(K, Vec<Ask>) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::with(bounds, None, now(call)))
    }

    /// As [`Self::new`], where a call takes what is asked when its work begins; until
    /// then no other call of the key is needed, and none is begun.
    pub fn later<F: Future<Output = Vec<Answer>> + Send + 'static>(
        bounds: Bounds,
        call: impl Fn(K, Arc<Claim<K, Ask, Answer>>) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        let call = Call::Later(Box::new(move |key, claim| Box::pin(call(key, claim))));
        Arc::new(Self::with(bounds, None, call))
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
        Arc::new(Self::with(bounds, Some(gate), now(call)))
    }

    fn with(bounds: Bounds, gate: Option<Gate<K>>, call: Call<K, Ask, Answer>) -> Self {
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
            let (since, until) = (Instant::now(), deadline::of_this_call());
            queue.waiting.push_back(Waiter { ask, since, until, tell });
            let begins = queue.under_way < self.bounds.calls && queue.claims == 0;
            queue.under_way += usize::from(begins);
            begins
        };
        if begins {
            self.begin(key);
        }
        answer.await.unwrap_or(Err(Unanswered::GivenUp))
    }

    /// How many asks wait for their call to begin.
    pub fn waiting(&self) -> usize {
        self.lock().values().map(|queue| queue.waiting.len()).sum()
    }

    /// A turn that is counted already.
    fn begin(self: &Arc<Self>, key: K) {
        tokio::spawn(Turn { batcher: self.clone(), key, is_taken: false }.serve());
    }

    fn lock(&self) -> MutexGuard<'_, Queues<K, Ask, Answer>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now<K: Key, Ask: Plain, Answer: Plain, F>(
    call: impl Fn(K, Vec<Ask>) -> F + Send + Sync + 'static,
) -> Call<K, Ask, Answer>
where
    F: Future<Output = Vec<Answer>> + Send + 'static,
{
    Call::Now(Box::new(move |key, asks| Box::pin(call(key, asks))))
}

impl<Ask, Answer> Queue<Ask, Answer> {
    /// Whether anybody waits whom no claim will take.
    fn is_wanted(&self) -> bool {
        self.claims == 0 && !self.waiting.is_empty()
    }

    /// What the next call carries: all who wait, as far as it can, but nobody who has
    /// gone away, or has waited for too long, or whose time is over.
    fn take(&mut self, bounds: &Bounds) -> Taken<Ask, Answer> {
        let waiting = &mut self.waiting;
        while waiting.front().is_some_and(|waiter| waiter.since.elapsed() > bounds.patience) {
            let late = waiting.pop_front().map(|waiter| waiter.tell);
            let _ = late.map(|tell| tell.send(Err(Unanswered::Full)));
        }
        waiting.retain(|waiter| !waiter.tell.is_closed() && !deadline::is_over(waiter.until));
        let count = waiting.len().min(bounds.asks);
        waiting.drain(..count).map(|waiter| (waiter.ask, waiter.tell)).unzip()
    }
}

type Taken<Ask, Answer> = (Vec<Ask>, Vec<Tell<Answer>>);

/// The right to what a key has to ask, as it is when it is taken.
pub struct Claim<K: Key, Ask: Plain, Answer: Plain> {
    batcher: Arc<Batcher<K, Ask, Answer>>,
    key: K,
    /// Whom to tell; `None` as long as nothing was taken.
    tells: Mutex<Option<Vec<Tell<Answer>>>>,
}

impl<K: Key, Ask: Plain, Answer: Plain> Claim<K, Ask, Answer> {
    fn new(batcher: &Arc<Batcher<K, Ask, Answer>>, key: &K) -> Arc<Self> {
        if let Some(queue) = batcher.lock().get_mut(key) {
            queue.claims += 1;
        }
        let (batcher, key) = (batcher.clone(), key.clone());
        Arc::new(Self { batcher, key, tells: Mutex::default() })
    }

    /// All that is asked, as far as one call carries it; nothing the second time. Where
    /// that is not all, the next call begins.
    pub fn take(&self) -> Vec<Ask> {
        let mut tells = self.tells();
        let mut queues = self.batcher.lock();
        let Some(queue) = queues.get_mut(&self.key).filter(|_| tells.is_none()) else {
            return Vec::new();
        };
        let bounds = self.batcher.bounds;
        let (asks, taken) = queue.take(&bounds);
        *tells = Some(taken);
        queue.claims -= 1;
        let begins = queue.is_wanted() && queue.under_way < bounds.calls;
        queue.under_way += usize::from(begins);
        drop(queues);
        if begins {
            self.batcher.begin(self.key.clone());
        }
        asks
    }

    fn tells(&self) -> MutexGuard<'_, Option<Vec<Tell<Answer>>>> {
        self.tells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, Ask: Plain, Answer: Plain> Drop for Claim<K, Ask, Answer> {
    fn drop(&mut self) {
        let is_taken = self.tells().is_some();
        if let Some(queue) = self.batcher.lock().get_mut(&self.key).filter(|_| !is_taken) {
            queue.claims -= 1;
        }
    }
}

/// The right to make a key's calls. A panic in one leaves those who wait to
/// another task.
struct Turn<K: Key, Ask: Plain, Answer: Plain> {
    batcher: Arc<Batcher<K, Ask, Answer>>,
    key: K,
    /// Whether anybody has begun to work with it.
    is_taken: bool,
}

impl<K: Key, Ask: Plain, Answer: Plain> Turn<K, Ask, Answer> {
    /// Makes calls until nobody waits.
    async fn serve(mut self) {
        self.is_taken = true;
        while self.is_wanted() {
            let _pass = match &self.batcher.gate {
                Some(gate) => gate(self.key.clone()).await,
                None => None,
            };
            let (answers, tells) = match &self.batcher.call {
                Call::Now(call) => {
                    let (asks, tells) = self.take();
                    if asks.is_empty() {
                        return;
                    }
                    (call(self.key.clone(), asks).await, tells)
                }
                Call::Later(call) => {
                    let claim = Claim::new(&self.batcher, &self.key);
                    let answers = call(self.key.clone(), claim.clone()).await;
                    let tells = claim.tells().as_mut().map(mem::take);
                    (answers, tells.unwrap_or_default())
                }
            };
            for (tell, answer) in tells.into_iter().zip(answers) {
                // Who has gone away meanwhile needs no answer.
                let _ = tell.send(Ok(answer));
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.batcher.lock().get(&self.key).is_some_and(Queue::is_wanted)
    }

    fn take(&self) -> Taken<Ask, Answer> {
        let mut queues = self.batcher.lock();
        let queue = queues.get_mut(&self.key);
        queue.map(|queue| queue.take(&self.batcher.bounds)).unwrap_or_default()
    }
}

impl<K: Key, Ask: Plain, Answer: Plain> Drop for Turn<K, Ask, Answer> {
    fn drop(&mut self) {
        let mut queues = self.batcher.lock();
        let Some(queue) = queues.get_mut(&self.key) else { return };
        // A turn that nobody took is dropped by a runtime that ends.
        let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| self.is_taken);
        let Some(runtime) = runtime.filter(|_| queue.is_wanted()) else {
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

//! Makes one call of what many ask for at the same time.
//!
//! Each key has few calls under way at most, often one. Who asks while there are
//! fewer makes one at once, alone; what is asked meanwhile waits, and becomes the
//! next call. So an idle system adds no delay, and a busy one makes fewer, larger
//! calls; there is no timer.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{sync::oneshot, time::Instant};

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
    bounds: Bounds,
}

/// A key is in it as long as a call for it is under way.
type Queues<K, Ask, Answer> = HashMap<K, Queue<Ask, Answer>>;

struct Queue<Ask, Answer> {
    /// Calls.
    under_way: usize,
    waiting: VecDeque<Waiter<Ask, Answer>>,
}

struct Waiter<Ask, Answer> {
    ask: Ask,
    since: Instant,
    tell: oneshot::Sender<Result<Answer, Unanswered>>,
}

impl<K: Clone + Eq + Hash + Plain, Ask: Plain, Answer: Plain> Batcher<K, Ask, Answer> {
    pub fn new<F: Future<Output = Vec<Answer>> + Send + 'static>(
        bounds: Bounds,
        call: impl Fn(K, Vec<Ask>) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        let call: Call<K, Ask, Answer> = Box::new(move |key, asks| Box::pin(call(key, asks)));
        Arc::new(Self { queues: Mutex::default(), call, bounds })
    }

    /// Asks, in a call that may carry what others ask of the same key.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn ask(self: &Arc<Self>, key: K, ask: Ask) -> Result<Answer, Unanswered> {
        let wait = {
            let mut queues = self.lock();
            match queues.get_mut(&key) {
                None => {
                    let queue = Queue { under_way: 1, waiting: VecDeque::new() };
                    queues.insert(key.clone(), queue);
                    Err(ask)
                }
                Some(queue) if queue.under_way < self.bounds.calls => {
                    queue.under_way += 1;
                    Err(ask)
                }
                Some(queue) if queue.waiting.len() >= self.bounds.waiting => {
                    return Err(Unanswered::Full);
                }
                Some(queue) => {
                    let (tell, answer) = oneshot::channel();
                    queue.waiting.push_back(Waiter { ask, since: Instant::now(), tell });
                    Ok(answer)
                }
            }
        };
        match wait {
            Ok(answer) => answer.await.unwrap_or(Err(Unanswered::GivenUp)),
            Err(ask) => {
                let turn = Turn { batcher: self.clone(), key, is_taken: true };
                turn.call(vec![ask]).await.pop().ok_or(Unanswered::GivenUp)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues<K, Ask, Answer>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make a key's calls. Whoever lets go of it, be it by going away
/// or by a panic, leaves those who wait to a task of their own.
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
        loop {
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
mod tests {
    use tokio::{
        sync::{Semaphore, mpsc},
        task::yield_now,
    };

    use super::*;

    type Stage = (Arc<Batcher<u8, u32, u32>>, mpsc::UnboundedReceiver<Vec<u32>>, Arc<Semaphore>);

    /// A batcher whose calls tell what they carry, and wait to be let through.
    fn stage(bound: usize) -> Stage {
        stage_with(bound, Duration::from_secs(5))
    }

    fn stage_with(waiting: usize, patience: Duration) -> Stage {
        stage_of(Bounds { calls: 1, asks: 3, waiting, patience })
    }

    fn stage_of(bounds: Bounds) -> Stage {
        let (tell, told) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let through = gate.clone();
        let batcher = Batcher::new(bounds, move |_, asks: Vec<u32>| {
            let (tell, through) = (tell.clone(), through.clone());
            async move {
                tell.send(asks.clone()).unwrap();
                through.acquire().await.unwrap().forget();
                assert!(!asks.contains(&666), "a call that fails");
                asks.into_iter().map(|ask| ask * 10).collect()
            }
        });
        (batcher, told, gate)
    }

    #[tokio::test]
    async fn what_is_asked_meanwhile_is_the_next_call() {
        let (batcher, mut told, gate) = stage(10);
        let ask = |key, ask| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.ask(key, ask).await })
        };
        let mut asked = vec![ask(1, 1)];
        assert_eq!(told.recv().await.unwrap(), [1]);
        asked.extend((2..=6).map(|number| ask(1, number)));
        // Another key waits for nobody.
        asked.push(ask(2, 7));
        assert_eq!(told.recv().await.unwrap(), [7]);
        gate.add_permits(10);
        assert_eq!(told.recv().await.unwrap(), [2, 3, 4]);
        assert_eq!(told.recv().await.unwrap(), [5, 6]);
        for (answer, number) in asked.into_iter().zip(1..) {
            assert_eq!(answer.await.unwrap(), Ok(number * 10));
        }
        while !batcher.lock().is_empty() {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn calls_under_way_share_what_waits() {
        let patience = Duration::from_secs(5);
        let (batcher, mut told, gate) =
            stage_of(Bounds { calls: 2, asks: 9, waiting: 10, patience });
        let ask = |ask| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.ask(1, ask).await })
        };
        let mut asked = vec![ask(1), ask(2)];
        assert_eq!(told.recv().await.unwrap(), [1]);
        assert_eq!(told.recv().await.unwrap(), [2]);
        asked.extend((3..=7).map(ask));
        while batcher.lock()[&1].waiting.len() < 5 {
            yield_now().await;
        }
        gate.add_permits(1);
        assert_eq!(told.recv().await.unwrap(), [3, 4, 5]);
        gate.add_permits(1);
        assert_eq!(told.recv().await.unwrap(), [6]);
        gate.add_permits(10);
        assert_eq!(told.recv().await.unwrap(), [7]);
        for (answer, number) in asked.into_iter().zip(1..) {
            assert_eq!(answer.await.unwrap(), Ok(number * 10));
        }
        while !batcher.lock().is_empty() {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn bounded_and_not_held_up_by_who_goes_away() {
        let (batcher, mut told, gate) = stage(2);
        let ask = |ask| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.ask(1, ask).await })
        };
        let first = ask(1);
        assert_eq!(told.recv().await.unwrap(), [1]);
        let (leaves, stays) = (ask(2), ask(3));
        while batcher.lock()[&1].waiting.len() < 2 {
            yield_now().await;
        }
        assert_eq!(batcher.ask(1, 4).await, Err(Unanswered::Full));
        // One that waits goes away, then the one that makes the call.
        leaves.abort();
        let _ = leaves.await;
        first.abort();
        assert_eq!(told.recv().await.unwrap(), [3]);
        gate.add_permits(1);
        assert_eq!(stays.await.unwrap(), Ok(30));
    }

    #[tokio::test]
    async fn a_call_that_fails_leaves_nobody_waiting() {
        let (batcher, mut told, gate) = stage(10);
        let ask = |ask| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.ask(1, ask).await })
        };
        let first = ask(1);
        assert_eq!(told.recv().await.unwrap(), [1]);
        let (bad, with_it) = (ask(666), ask(2));
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), Ok(10));
        assert_eq!(bad.await.unwrap(), Err(Unanswered::GivenUp));
        assert_eq!(with_it.await.unwrap(), Err(Unanswered::GivenUp));
        gate.add_permits(1);
        assert_eq!(ask(3).await.unwrap(), Ok(30));
    }

    #[tokio::test]
    async fn who_has_waited_for_too_long_is_not_asked_any_more() {
        let (batcher, mut told, gate) = stage_with(10, Duration::ZERO);
        let ask = |ask| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.ask(1, ask).await })
        };
        let first = ask(1);
        assert_eq!(told.recv().await.unwrap(), [1]);
        let late = ask(2);
        while batcher.lock()[&1].waiting.is_empty() {
            yield_now().await;
        }
        gate.add_permits(1);
        assert_eq!(first.await.unwrap(), Ok(10));
        assert_eq!(late.await.unwrap(), Err(Unanswered::Full));
    }

    #[test]
    fn a_runtime_that_ends_leaves_nobody_waiting() {
        let (batcher, mut told, _gate) = stage(10);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ask = |ask| {
            let batcher = batcher.clone();
            runtime.spawn(async move { batcher.ask(1, ask).await })
        };
        let _first = ask(1);
        assert_eq!(runtime.block_on(told.recv()).unwrap(), [1]);
        let _waiting = ask(2);
        while batcher.lock().get(&1).is_none_or(|queue| queue.waiting.is_empty()) {
            std::thread::yield_now();
        }
        drop(runtime);
        assert!(batcher.lock().is_empty());
    }
}

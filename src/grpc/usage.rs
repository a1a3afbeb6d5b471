//! What a connection is used for: one that is not used, or only to make work, is ended.
//!
//! A client that opens calls and gives them up at once costs it nothing, and the server
//! each call's work (CVE-2023-44487). The transport has a bound on those it has not taken
//! yet; those that were taken are counted here, as Envoy counts premature resets.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Response;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::status::is_given_up;
use crate::limits::{GIVEN_UP_SOON, MAX_CALLS_GIVEN_UP};

/// Of one connection.
pub struct Usage {
    began: Instant,
    /// All that were made.
    calls: AtomicU64,
    /// Those that are not answered yet.
    open: AtomicU64,
    /// When the last one was answered: milliseconds since it began.
    answered_ms: AtomicU64,
    given_up: AtomicU64,
    abused: Notify,
}

impl Usage {
    pub fn new() -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self {
            began: Instant::now(),
            calls: zero(),
            open: zero(),
            answered_ms: zero(),
            given_up: zero(),
            abused: Notify::new(),
        })
    }

    /// Counts a call.
    pub fn count<F>(self: &Arc<Self>, call: F) -> Used<F> {
        self.calls.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Used { call, usage: self.clone(), begun: Instant::now(), is_answered: false }
    }

    /// Returns where no call was made for so long from the beginning on.
    pub async fn never_speaks(&self, time: Duration) {
        sleep_until(self.began + time).await;
        if self.calls.load(Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
    }

    /// Returns where for so long no call was made, and nothing was open.
    pub async fn is_idle(&self, time: Duration, has_streams: impl Fn() -> bool) {
        loop {
            let calls = self.calls.load(Relaxed);
            let is_open = self.open.load(Relaxed) > 0 || has_streams();
            let since = self.began + Duration::from_millis(self.answered_ms.load(Relaxed));
            match is_open {
                true => sleep(time).await,
                false => sleep_until(since + time).await,
            }
            let is_same = self.calls.load(Relaxed) == calls && self.open.load(Relaxed) == 0;
            if is_same && !is_open && !has_streams() {
                return;
            }
        }
    }

    /// Returns where most calls are given up as soon as they are made.
    pub async fn is_abused(&self) {
        self.abused.notified().await;
    }

    fn give_up(&self) {
        let given_up = self.given_up.fetch_add(1, Relaxed) + 1;
        if given_up > MAX_CALLS_GIVEN_UP && 2 * given_up > self.calls.load(Relaxed) {
            self.abused.notify_one();
        }
    }
}

/// A call that is counted.
pub struct Used<F> {
    call: F,
    usage: Arc<Usage>,
    begun: Instant,
    is_answered: bool,
}

impl<F, T, E> Future for Used<F>
where
    F: Future<Output = Result<Response<T>, E>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let answer = ready!(Pin::new(&mut self.call).poll(cx));
        // A call may hear that its request was ended before it is dropped for that.
        self.is_answered = !answer.as_ref().is_ok_and(is_given_up);
        Poll::Ready(answer)
    }
}

impl<F> Drop for Used<F> {
    fn drop(&mut self) {
        let (usage, now) = (&self.usage, Instant::now());
        let ms = u64::try_from((now - usage.began).as_millis()).unwrap_or(u64::MAX);
        usage.answered_ms.store(ms, Relaxed);
        usage.open.fetch_sub(1, Relaxed);
        if !self.is_answered && now - self.begun < GIVEN_UP_SOON {
            usage.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, pending, ready};

    use futures_util::FutureExt;

    use super::*;
    use crate::grpc::status;

    type Answer = Result<Response<()>, ()>;

    fn ok() -> Ready<Answer> {
        ready(Ok(Response::new(())))
    }

    const TIME: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(9_995);
    const NO_STREAMS: fn() -> bool = || false;

    async fn within<T>(time: Duration, what: impl Future<Output = T>) -> bool {
        tokio::time::timeout(time, what).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_speaks_in_time_or_never() {
        let usage = Usage::new();
        assert!(!within(SHORT, usage.never_speaks(TIME)).await);
        assert!(within(TIME, usage.never_speaks(TIME)).await);
        let usage = Usage::new();
        usage.count(ok()).await.unwrap();
        assert!(!within(10 * TIME, usage.never_speaks(TIME)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_idle_once_nothing_is_open_for_so_long() {
        let usage = Usage::new();
        let open = usage.count(pending::<Answer>());
        assert!(!within(10 * TIME, usage.is_idle(TIME, NO_STREAMS)).await, "a call is open");
        drop(open);
        assert!(!within(10 * TIME, usage.is_idle(TIME, || true)).await, "a stream is open");
        usage.count(ok()).await.unwrap();
        assert!(!within(SHORT, usage.is_idle(TIME, NO_STREAMS)).await, "not for long enough");
        usage.count(ok()).await.unwrap();
        assert!(!within(SHORT, usage.is_idle(TIME, NO_STREAMS)).await, "it was used again");
        assert!(within(TIME, usage.is_idle(TIME, NO_STREAMS)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_given_up_soon_are_abuse_where_they_are_most() {
        let is_abused = |usage: &Usage| usage.is_abused().now_or_never().is_some();
        let usage = Usage::new();
        for _ in 0..MAX_CALLS_GIVEN_UP {
            drop(usage.count(pending::<Answer>()));
        }
        assert!(!is_abused(&usage), "that many may be");
        drop(usage.count(pending::<Answer>()));
        assert!(is_abused(&usage));

        let usage = Usage::new();
        for _ in 0..=MAX_CALLS_GIVEN_UP {
            let given_up = status::given_up().into_http::<()>();
            usage.count(ready(Answer::Ok(given_up))).await.unwrap();
        }
        assert!(is_abused(&usage), "they heard of it themselves");

        let usage = Usage::new();
        for _ in 0..=MAX_CALLS_GIVEN_UP {
            usage.count(ok()).await.unwrap();
            drop(usage.count(pending::<Answer>()));
        }
        assert!(!is_abused(&usage), "as many were answered");

        let usage = Usage::new();
        for _ in 0..=MAX_CALLS_GIVEN_UP {
            let call = usage.count(pending::<Answer>());
            tokio::time::advance(GIVEN_UP_SOON).await;
            drop(call);
        }
        assert!(!is_abused(&usage), "each waited for a while");
    }
}

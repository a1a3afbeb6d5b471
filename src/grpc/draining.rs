//! How a server goes away: it is asked to, it says so everywhere, and it closes.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use http::{Request, Version};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

/// Where a server is on its way out.
#[derive(Debug, Clone)]
pub struct Draining {
    /// Somebody wants it to go.
    asked: CancellationToken,
    /// It has said so: streams end, connections that are there are asked to go.
    drain: CancellationToken,
    /// No new connection is taken.
    close: CancellationToken,
    pub(super) in_flight: InFlight,
}

impl Default for Draining {
    fn default() -> Self {
        let close = CancellationToken::new();
        let (asked, drain) = (CancellationToken::new(), close.child_token());
        Self { asked, drain, close, in_flight: InFlight::default() }
    }
}

impl Draining {
    /// Wants the server to go.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Waits until somebody wants that.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Ends streams, and asks connections to go. Health says so already, or who is sent
    /// away would come back.
    pub fn begin(&self) {
        self.drain.cancel();
    }

    /// Waits until that is done.
    pub async fn begun(&self) {
        self.drain.cancelled().await;
    }

    /// Takes no more connections, and asks those to go that came since.
    pub fn close(&self) {
        self.close.cancel();
    }

    /// Calls and streams under way, but for those of health and reflection.
    pub fn calls_in_flight(&self) -> i64 {
        self.in_flight.0.load(Relaxed).max(0)
    }

    /// The sign to end streams by.
    pub(super) fn sign(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// The sign for a connection that comes now to go.
    pub(super) fn sign_for_a_connection(&self) -> CancellationToken {
        if self.drain.is_cancelled() { self.close.clone() } else { self.drain.clone() }
    }

    /// What `work` comes to, unless the server closes before.
    pub(super) async fn open<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.close.run_until_cancelled(work).await
    }
}

/// How many calls are under way.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<AtomicI64>);

/// Something that counts until it is dropped.
pub(super) struct Begun {
    in_flight: InFlight,
    weight: i64,
}

impl InFlight {
    pub fn begin(&self, weight: i64) -> Begun {
        self.0.fetch_add(weight, Relaxed);
        Begun { in_flight: self.clone(), weight }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.in_flight.0.fetch_sub(self.weight, Relaxed);
    }
}

/// Whose calls go on for as long as their caller likes, and shall not keep a server.
const UNCOUNTED: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];

/// What a call counts for beside its task, which counts for one: HTTP/1 has none.
pub(super) fn weight(request: &Request<Incoming>) -> i64 {
    let has_task = request.version() >= Version::HTTP_2;
    let path = request.uri().path();
    match (has_task, UNCOUNTED.iter().any(|uncounted| path.starts_with(uncounted))) {
        (false, false) => 1,
        (true, true) => -1,
        (false, true) | (true, false) => 0,
    }
}

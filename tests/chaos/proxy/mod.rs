//! A link that can be broken: a TCP proxy between two processes, which passes
//! every byte on, late, or not at all.
//!
//! What is stalled is kept and passed on later; what is cut is gone, and both
//! ends see a reset.

mod link;
mod watch;

pub use watch::Pattern;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Notify, watch as signal},
    task::JoinHandle,
    time::timeout,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever connected.
    Up,
    /// Back to it.
    Down,
}

/// Which connections of a link are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    All,
    /// Replicas of Redis that follow their master.
    Replicas,
}

/// How a connection is cut, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After so many more bytes of the whole link.
    AfterBytes { way: Way, bytes: usize },
    /// A request that fits does not arrive.
    Request(Pattern),
    /// A request that fits arrives, and its answer is lost.
    Answer(Pattern),
}

/// Where a link leads.
#[derive(Debug, Clone)]
pub enum Target {
    Port(u16),
    Socket(PathBuf),
}

/// What a link does to all that passes.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    delay: Duration,
    stalled: Option<(Way, Who)>,
    /// One higher with each reset.
    resets: u64,
}

struct Shared {
    target: Target,
    weather: signal::Sender<Weather>,
    cut: Mutex<Option<Cut>>,
    cut_done: Notify,
}

/// A link.
pub struct Proxy {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(target: Target) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target,
            weather: signal::Sender::default(),
            cut: Mutex::default(),
            cut_done: Notify::new(),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { port, shared, accepting })
    }

    /// Every piece that passes is late by so much; zero ends it.
    pub fn delay(&self, delay: Duration) {
        self.shared.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Keeps what goes one way, until `None` lets it go on.
    pub fn stall(&self, stalled: Option<(Way, Who)>) {
        self.shared.weather.send_modify(|weather| weather.stalled = stalled);
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.shared.weather.send_modify(|weather| weather.resets += 1);
    }

    /// Cuts one connection as soon as it can be done; answers whether that was
    /// within `patience`.
    pub async fn cut(&self, cut: Cut, patience: Duration) -> bool {
        let cut_done = self.shared.cut_done.notified();
        *self.shared.cut() = Some(cut);
        let done = timeout(patience, cut_done).await.is_ok();
        // Unless it is done in this very moment.
        done || self.shared.cut().take().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset();
    }
}

impl Shared {
    fn cut(&self) -> std::sync::MutexGuard<'_, Option<Cut>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the cut that is ordered, if it is one that `fits`.
    fn take_cut(&self, fits: impl FnOnce(&mut Cut) -> bool) -> bool {
        let mut ordered = self.cut();
        if !ordered.as_mut().is_some_and(fits) {
            return false;
        }
        *ordered = None;
        drop(ordered);
        self.cut_done.notify_waiters();
        true
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(link::run(client, shared.clone()));
    }
}

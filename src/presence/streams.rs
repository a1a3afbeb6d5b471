//! Viewers by their open streams on this server, and who watches what is told of them.
//!
//! Each event that is streamed has one task, which alone tells Redis of its streams'
//! viewers: so what it says comes in order, many at a time, and no stream ever waits
//! for it.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::sources::Sources;
use crate::{
    domain::{EventId, ViewerId},
    limits::{MAX_SUBSCRIBERS, PRESENCE_GATHER, PRESENCE_LOOK, PRESENCE_PIECE, PRESENCE_TOLD},
    redis::Error,
    telemetry,
};

/// The events that this server streams.
pub(super) struct Streams {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

struct Shared {
    sources: Arc<Sources>,
    /// Which server it is, in its sources' names.
    server: String,
    events: Mutex<HashMap<EventId, Arc<Watched>>>,
    stop: CancellationToken,
}

/// An event that is streamed.
#[derive(Default)]
struct Watched {
    local: Mutex<Local>,
    /// Somebody came, or went.
    changed: Notify,
}

/// What this server knows by itself.
#[derive(Default)]
struct Local {
    /// All streams, also those that name nobody.
    streams: usize,
    /// How many streams each viewer has.
    viewers: HashMap<ViewerId, usize>,
    /// Of whom Redis was not told yet that they are there, or not any more.
    untold: HashSet<ViewerId>,
}

/// A stream that is open, until this is dropped.
pub struct Watching {
    watched: Arc<Watched>,
    viewer_id: Option<ViewerId>,
}

impl Streams {
    pub(super) fn new(sources: Arc<Sources>) -> Self {
        let server = Uuid::now_v7().simple().to_string();
        let (events, stop) = (Mutex::default(), CancellationToken::new());
        let shared = Arc::new(Shared { sources, server, events, stop });
        Self { shared, tasks: TaskTracker::new() }
    }

    pub(super) fn open(
        &self,
        event_id: &EventId,
        viewer_id: Option<ViewerId>,
        tell: impl Fn(u32) + Send + Sync + 'static,
    ) -> Watching {
        let mut events = lock(&self.shared.events);
        let watched = match events.get(event_id) {
            Some(watched) => watched.clone(),
            None => {
                let watched: Arc<Watched> = Arc::default();
                events.insert(event_id.clone(), watched.clone());
                let keeper = Keeper::new(self.shared.clone(), event_id, watched.clone(), tell);
                self.tasks.spawn(keeper.run());
                watched
            }
        };
        // Before the task could find that nobody watches.
        watched.opened(viewer_id.as_ref());
        Watching { watched, viewer_id }
    }

    pub(super) async fn stop(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Watched {
    fn opened(&self, viewer_id: Option<&ViewerId>) {
        let mut local = lock(&self.local);
        local.streams += 1;
        let Some(viewer_id) = viewer_id else { return };
        let streams = local.viewers.entry(viewer_id.clone()).or_default();
        *streams += 1;
        if *streams == 1 {
            telemetry::viewer_came();
            local.untold.insert(viewer_id.clone());
            self.changed.notify_one();
        }
    }

    fn ended(&self, viewer_id: Option<&ViewerId>) {
        let mut local = lock(&self.local);
        local.streams -= 1;
        if local.streams == 0 {
            self.changed.notify_one();
        }
        let Some(viewer_id) = viewer_id else { return };
        let Some(streams) = local.viewers.get_mut(viewer_id) else { return };
        *streams -= 1;
        if *streams == 0 {
            telemetry::viewer_went();
            local.viewers.remove(viewer_id);
            local.untold.insert(viewer_id.clone());
            self.changed.notify_one();
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watched.ended(self.viewer_id.as_ref());
    }
}

/// Keeps one event's presence, as far as its streams are here.
struct Keeper<T> {
    shared: Arc<Shared>,
    event_id: EventId,
    watched: Arc<Watched>,
    tell: T,
    /// How many watch, and what was told of it, as far as it is known.
    viewers: Option<u32>,
    told: Option<u32>,
    may_tell_at: Instant,
    look_at: Instant,
    renew_at: Instant,
    /// When somebody watched last.
    used_at: Instant,
    failed: bool,
}

impl<T: Fn(u32)> Keeper<T> {
    fn new(shared: Arc<Shared>, event_id: &EventId, watched: Arc<Watched>, tell: T) -> Self {
        let (now, event_id) = (Instant::now(), event_id.clone());
        let renew_at = now + shared.sources.ttl / 3;
        Self {
            shared,
            event_id,
            watched,
            tell,
            viewers: None,
            told: None,
            may_tell_at: now,
            look_at: now,
            renew_at,
            used_at: now,
            failed: false,
        }
    }

    async fn run(mut self) {
        while self.keep().await {}
        if self.shared.stop.is_cancelled() {
            self.go_away().await;
        }
    }

    /// Waits until there is something to do, and does it; `false` where nobody watches
    /// any more, or the server stops.
    async fn keep(&mut self) -> bool {
        let mut due = self.look_at.min(self.renew_at);
        if self.viewers != self.told {
            due = due.min(self.may_tell_at);
        }
        tokio::select! {
            // While Redis is away, it is asked no more often.
            () = self.watched.changed.notified(), if !self.failed => {
                sleep(PRESENCE_GATHER).await;
            }
            () = sleep_until(due) => {}
            () = self.shared.stop.cancelled() => return false,
        }
        self.say_and_look().await;
        self.tell_streams();
        !self.is_done()
    }

    /// Tells Redis who came and who went, or that all are still here, and hears how many
    /// watch.
    async fn say_and_look(&mut self) {
        let now = Instant::now();
        let (came, mut went) = {
            let mut local = lock(&self.watched.local);
            let untold = mem::take(&mut local.untold);
            let (came, went): (Vec<_>, Vec<_>) =
                untold.into_iter().partition(|viewer_id| local.viewers.contains_key(viewer_id));
            match now >= self.renew_at {
                true => (local.viewers.keys().cloned().collect(), went),
                false => (came, went),
            }
        };
        if came.is_empty() && went.is_empty() && now < self.look_at {
            return;
        }
        self.look_at = now + PRESENCE_LOOK;
        match self.say(&came, &went).await {
            Ok(viewers) => {
                self.viewers = Some(viewers);
                self.failed = false;
                if now >= self.renew_at {
                    self.renew_at = now + self.shared.sources.ttl / 3;
                }
            }
            Err(error) => {
                // The rest runs out by itself.
                went.truncate(MAX_SUBSCRIBERS);
                telemetry::presence_failed();
                if !mem::replace(&mut self.failed, true) {
                    tracing::warn!(event_id = %self.event_id, %error, "presence is not kept");
                }
                lock(&self.watched.local).untold.extend(went);
                // Whatever became of it: all is said again.
                self.renew_at = self.look_at;
            }
        }
    }

    async fn say(&self, came: &[ViewerId], went: &[ViewerId]) -> Result<u32, Error> {
        let sources = &self.shared.sources;
        let mut joined = None;
        for piece in self.names(came).chunks(PRESENCE_PIECE) {
            joined = Some(sources.join(&self.event_id, piece).await?);
        }
        match joined {
            Some(reply) if went.is_empty() && !reply.is_more => Ok(reply.viewers),
            _ => sources.count_without(&self.event_id, &self.names(went)).await,
        }
    }

    /// Streams learn how many watch, where that has changed, and not too often.
    fn tell_streams(&mut self) {
        let now = Instant::now();
        if let Some(viewers) = self.viewers
            && self.viewers != self.told
            && now >= self.may_tell_at
        {
            (self.tell)(viewers);
            (self.told, self.may_tell_at) = (self.viewers, now + PRESENCE_TOLD);
        }
    }

    /// Whether nobody watches, and Redis knows, or has forgotten by itself.
    fn is_done(&mut self) -> bool {
        let mut events = lock(&self.shared.events);
        let local = lock(&self.watched.local);
        let now = Instant::now();
        if local.streams > 0 {
            self.used_at = now;
        }
        let is_forgotten = now.duration_since(self.used_at) > self.shared.sources.ttl;
        let is_done = local.streams == 0 && (local.untold.is_empty() || is_forgotten);
        if is_done {
            events.remove(&self.event_id);
            // What is known now is soon out of date.
            (self.tell)(0);
        }
        is_done
    }

    /// The server stops: none of its streams is left.
    async fn go_away(&self) {
        let all: HashSet<ViewerId> = {
            let mut local = lock(&self.watched.local);
            let untold = mem::take(&mut local.untold);
            local.viewers.keys().cloned().chain(untold).collect()
        };
        let all = self.names(all.iter());
        if !all.is_empty()
            && let Err(error) = self.shared.sources.count_without(&self.event_id, &all).await
        {
            tracing::info!(event_id = %self.event_id, %error, "its viewers are left to run out");
        }
    }

    fn names<'a>(&self, viewers: impl IntoIterator<Item = &'a ViewerId>) -> Vec<String> {
        let server = &self.shared.server;
        viewers.into_iter().map(|viewer_id| format!("{viewer_id}|{server}")).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What a server shows of one queue to all who watch it there.
//!
//! Whoever keeps the board reads the queue once a tick and puts the view up. Of those who
//! watch, only they are woken then who have something to hear: their place was let in, or
//! it is time to tell them where it is. So a stream has neither a task nor a timer.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;

use super::{Seen, View};
use crate::domain::HolderId;

/// What is known of a queue now.
#[derive(Debug, Clone, Default)]
enum Shown {
    /// Nothing yet.
    #[default]
    Blank,
    View(Arc<View>),
    /// The event has no waiting room any more.
    Off,
}

/// One queue, as it is shown to those who watch.
#[derive(Default)]
pub struct Board {
    shown: RwLock<Shown>,
    watchers: Mutex<BTreeMap<Place, Arc<Watcher>>>,
    next: AtomicU64,
}

/// A place's number, and which of those it is who watch it.
type Place = (u64, u64);

struct Watcher {
    holder: HolderId,
    /// From when on it is to be woken, wherever it is: ms of Redis' clock.
    due_ms: AtomicU64,
    wake: Notify,
}

/// Somebody who watches a place, until this is dropped.
pub struct Watch {
    board: Arc<Board>,
    place: Place,
    watcher: Arc<Watcher>,
}

impl Board {
    pub(super) fn watch(self: &Arc<Self>, holder: &HolderId, number: u64) -> Watch {
        let place = (number, self.next.fetch_add(1, Relaxed));
        let watcher = Arc::new(Watcher {
            holder: holder.clone(),
            due_ms: AtomicU64::new(0),
            wake: Notify::new(),
        });
        self.watchers().insert(place, watcher.clone());
        Watch { board: self.clone(), place, watcher }
    }

    /// What is shown, where that is a view.
    pub fn view(&self) -> Option<Arc<View>> {
        match &*self.shown.read().unwrap_or_else(PoisonError::into_inner) {
            Shown::View(view) => Some(view.clone()),
            Shown::Blank | Shown::Off => None,
        }
    }

    /// Puts a view up, or, with none, that there is no waiting room any more.
    pub fn show(&self, view: Option<View>) {
        let view = view.map(Arc::new);
        let shown = view.clone().map_or(Shown::Off, Shown::View);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        for ((number, _), watcher) in self.watchers().iter() {
            let has_news = view.as_ref().is_none_or(|view| {
                let is_due = view.scene.now_ms >= watcher.due_ms.load(Relaxed);
                is_due || !matches!(view.seen(*number), Seen::Waiting(_))
            });
            if has_news {
                watcher.wake.notify_one();
            }
        }
    }

    /// Some of the places that are watched, at most so many, after a place; and the last of
    /// them, `None` where they are all.
    pub fn places_after(
        &self,
        after: Option<Place>,
        most: usize,
    ) -> (Vec<(HolderId, u64)>, Option<Place>) {
        let watchers = self.watchers();
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = watchers.range((begin, Bound::Unbounded));
        let mut last = None;
        let places = rest.by_ref().take(most).map(|(place, watcher)| {
            last = Some(*place);
            (watcher.holder.clone(), place.0)
        });
        let places = places.collect();
        (places, last.filter(|_| rest.next().is_some()))
    }

    /// How many watch.
    pub fn len(&self) -> usize {
        self.watchers().len()
    }

    /// Whether nobody watches.
    pub fn is_empty(&self) -> bool {
        self.watchers().is_empty()
    }

    fn watchers(&self) -> MutexGuard<'_, BTreeMap<Place, Arc<Watcher>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Waits until there is something to hear; answers the view, or `None` where there is no
    /// waiting room any more.
    pub async fn news(&self) -> Option<Arc<View>> {
        loop {
            self.watcher.wake.notified().await;
            match &*self.board.shown.read().unwrap_or_else(PoisonError::into_inner) {
                Shown::Blank => {}
                Shown::View(view) => return Some(view.clone()),
                Shown::Off => return None,
            }
        }
    }

    /// Waits for news until then, in ms of Redis' clock, unless the place is let in before.
    pub fn wait_until(&self, due_ms: u64) {
        self.watcher.due_ms.store(due_ms, Relaxed);
    }

    /// The place's number.
    pub fn number(&self) -> u64 {
        self.place.0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.board.watchers().remove(&self.place);
    }
}

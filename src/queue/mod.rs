//! The waiting room before an event's sale: places in the order in which they were taken,
//! and who was let in.
//!
//! Redis has one line for each event (`keys.rs`), and its clock alone says how many are
//! let in (`lua/let_in.lua`). A server that streams positions reads who waits once a tick,
//! for all its streams: a bit for each number that was given, from which each place's
//! position is a few additions away (`view.rs`). So a place costs Redis nothing while it
//! waits, but for a word from its server now and then, and a stream costs its server
//! no timer (`board.rs`). What places and admissions are known by is signed (`token.rs`).

mod board;
mod keys;
mod script;
mod token;
mod view;

pub use board::{Board, Watch};
pub use script::{Joined, LetIn, Reply, Rules, Scene, Standing};
pub use token::{Key, ShortKey, new_secret};
pub use view::{Seen, View};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

pub use crate::redis::Error;
use crate::{
    domain::{EventId, HolderId},
    limits::MAX_QUEUE_STREAMS,
    redis::Links,
};

/// The queues before events' sales.
pub struct Queue {
    links: Arc<Links>,
    /// What tokens are signed with, once it is known.
    key: OnceCell<Key>,
    /// What this server shows of the queues that somebody watches here.
    boards: Mutex<HashMap<EventId, Arc<Board>>>,
    /// A permit for each stream that may still be opened.
    streams: Arc<Semaphore>,
}

impl Queue {
    /// With a key that all servers have; without one, the first who needs it brings it.
    pub fn new(links: Arc<Links>, key: Option<Key>) -> Self {
        Self {
            links,
            key: OnceCell::new_with(key),
            boards: Mutex::default(),
            streams: Arc::new(Semaphore::new(MAX_QUEUE_STREAMS)),
        }
    }

    /// What tokens are signed with; from `read`, where it is not known yet.
    pub async fn key<E, F: Future<Output = Result<Key, E>>>(
        &self,
        read: impl FnOnce() -> F,
    ) -> Result<&Key, E> {
        self.key.get_or_try_init(read).await
    }

    /// A place for one more stream, free again when it is dropped; `None` where there are
    /// [`MAX_QUEUE_STREAMS`].
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.streams.clone().try_acquire_owned().ok()
    }

    /// Watches a place; tells whether the event's board is new, and has to be kept.
    pub fn watch(&self, event_id: &EventId, holder: &HolderId, number: u64) -> (Watch, bool) {
        let mut boards = self.boards();
        let known = boards.get(event_id).cloned();
        let is_new = known.is_none();
        let board = known.unwrap_or_default();
        if is_new {
            boards.insert(event_id.clone(), board.clone());
        }
        // Under the lock of the boards: none is forgotten that is watched.
        (board.watch(holder, number), is_new)
    }

    /// The board of an event that is watched here.
    pub fn board(&self, event_id: &EventId) -> Option<Arc<Board>> {
        self.boards().get(event_id).cloned()
    }

    /// Forgets an event's board, unless somebody watches it; tells whether it did.
    pub fn retire(&self, event_id: &EventId) -> bool {
        let mut boards = self.boards();
        let is_idle = boards.get(event_id).is_none_or(|board| board.is_empty());
        if is_idle {
            boards.remove(event_id);
        }
        is_idle
    }

    fn boards(&self) -> MutexGuard<'_, HashMap<EventId, Arc<Board>>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

//! Who loads which event into Redis now, on this server.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, Weak},
};

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use crate::{domain::EventId, limits::MAX_LOADS};

/// Turns, one event's apart from another's.
#[derive(Default)]
pub(super) struct Turns(std::sync::Mutex<HashMap<EventId, Weak<Mutex<()>>>>);

impl Turns {
    /// The turn of an event; whoever holds it locked has it.
    pub(super) fn of(&self, event_id: &EventId) -> Arc<Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(event_id).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Mutex::new(()));
        turns.insert(event_id.clone(), Arc::downgrade(&turn));
        turn
    }
}

/// Keeps the loads of one server apart.
pub(super) struct Loading {
    turns: Turns,
    permits: Semaphore,
}

impl Loading {
    pub(super) fn new() -> Self {
        Self { turns: Turns::default(), permits: Semaphore::new(MAX_LOADS) }
    }

    /// The turn to load an event.
    pub(super) fn turn(&self, event_id: &EventId) -> Arc<Mutex<()>> {
        self.turns.of(event_id)
    }

    /// One of [`MAX_LOADS`]: a load takes sessions of Postgres' from the pool,
    /// and must not wait for the last one while it has the others.
    pub(super) async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("never closed")
    }
}

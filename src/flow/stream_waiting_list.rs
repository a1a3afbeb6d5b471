//! StreamWaitingListEntry: an entry, and whatever becomes of it.
//!
//! A server looks once a second for all streams of an event; each stream takes its own
//! entry from what was found.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{Error, Flows, waiting_list::EntryRequest};
use crate::{
    domain::{EventId, WaitingEntry, WaitingEntryId},
    limits::{FEED_HEARTBEAT, MAX_WAITING_LIST_STREAMS, WAITING_LIST_LOOK},
};

/// What one server has to do with waiting lists.
pub(super) struct WaitingLists {
    /// This server, as the one that makes an event's offers.
    pub worker: Uuid,
    watched: Mutex<HashMap<EventId, Arc<Watched>>>,
    /// One for each stream.
    places: Arc<Semaphore>,
}

/// The entries of one event that somebody streams.
struct Watched {
    /// How many streams each has.
    streams: Mutex<HashMap<WaitingEntryId, usize>>,
    /// As they were when they were looked at last.
    found: watch::Sender<Arc<HashMap<WaitingEntryId, WaitingEntry>>>,
}

/// One reader.
pub struct WaitingEntryStream {
    /// What is still to be told.
    next: Option<WaitingEntry>,
    /// What was told last; `None` where the stream has ended.
    told: Option<WaitingEntry>,
    found: watch::Receiver<Arc<HashMap<WaitingEntryId, WaitingEntry>>>,
    watching: Watching,
    _place: OwnedSemaphorePermit,
}

/// An entry that is looked at until this is dropped.
struct Watching {
    watched: Arc<Watched>,
    entry_id: WaitingEntryId,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut streams = lock(&self.watched.streams);
        let Some(count) = streams.get_mut(&self.entry_id) else { return };
        *count -= 1;
        if *count == 0 {
            streams.remove(&self.entry_id);
        }
    }
}

impl WaitingLists {
    pub fn new() -> Self {
        Self {
            worker: Uuid::now_v7(),
            watched: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_WAITING_LIST_STREAMS)),
        }
    }
}

impl Flows {
    /// Begins to tell of an entry.
    pub async fn stream_waiting_list_entry(
        self: &Arc<Self>,
        request: &EntryRequest,
    ) -> Result<WaitingEntryStream, Error> {
        let _span = crate::telemetry::flow("stream_waiting_list_entry");
        let place = self.waiting_lists.places.clone().try_acquire_owned().map_err(|_| {
            let text = format!("this server has {MAX_WAITING_LIST_STREAMS} such streams already");
            Error::Overloaded(text.into())
        })?;
        // Watched first: what changes after the look at it now is not missed.
        let (watching, found) = self.watch_entry(request);
        let entry = self.get_waiting_list_entry(request).await?;
        Ok(WaitingEntryStream { next: Some(entry), told: None, found, watching, _place: place })
    }

    fn watch_entry(
        self: &Arc<Self>,
        EntryRequest { event_id, entry_id, .. }: &EntryRequest,
    ) -> (Watching, watch::Receiver<Arc<HashMap<WaitingEntryId, WaitingEntry>>>) {
        let mut all = lock(&self.waiting_lists.watched);
        let watched = all.entry(event_id.clone()).or_insert_with(|| {
            let watched = Arc::new(Watched {
                streams: Mutex::default(),
                found: watch::Sender::new(Arc::default()),
            });
            tokio::spawn(self.clone().look_for_streams(event_id.clone(), watched.clone()));
            watched
        });
        *lock(&watched.streams).entry(*entry_id).or_default() += 1;
        let watching = Watching { watched: watched.clone(), entry_id: *entry_id };
        (watching, watched.found.subscribe())
    }

    /// Looks again and again at the entries that are streamed, until none is.
    async fn look_for_streams(self: Arc<Self>, event_id: EventId, watched: Arc<Watched>) {
        loop {
            sleep(WAITING_LIST_LOOK).await;
            let entry_ids: Vec<_> = {
                let mut all = lock(&self.waiting_lists.watched);
                let streams = lock(&watched.streams);
                if streams.is_empty() {
                    all.remove(&event_id);
                    return;
                }
                streams.keys().copied().collect()
            };
            match self.ledger.read_waiting_entries(&event_id, &entry_ids).await {
                Ok(entries) => {
                    let found = entries.into_iter().map(|entry| (entry.entry_id, entry)).collect();
                    watched.found.send_replace(Arc::new(found));
                }
                Err(error) => {
                    tracing::debug!(%event_id, %error, "a waiting list is looked at again");
                }
            }
        }
    }
}

impl WaitingEntryStream {
    /// The entry as it is next: at once, whenever its state changes, and after a while
    /// without a change; waits for it. `None` after its end.
    pub async fn next(&mut self) -> Option<WaitingEntry> {
        if let Some(entry) = self.next.take() {
            self.told = Some(entry.clone());
            return Some(entry);
        }
        let told = self.told.take_if(|told| !told.state.is_end())?;
        let heartbeat_at = Instant::now() + FEED_HEARTBEAT;
        let mut latest = told.clone();
        loop {
            let entry = self.found.borrow_and_update().get(&self.watching.entry_id).cloned();
            if let Some(entry) = entry {
                latest = entry;
            }
            if is_news(&latest, &told) {
                break;
            }
            tokio::select! {
                changed = self.found.changed() => changed.ok()?,
                () = sleep_until(heartbeat_at) => break,
            }
        }
        self.told = Some(latest.clone());
        Some(latest)
    }
}

/// Whether one who was `told` must hear of this. What was found before the stream looked
/// for itself may be older than that: states only go forth.
fn is_news(latest: &WaitingEntry, told: &WaitingEntry) -> bool {
    latest.state > told.state
        || (latest.state == told.state && latest.expire_time != told.expire_time)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! One event's log, followed once on this node.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Latest, Registry, SeatMap, Stale,
    lanes::{Head, Lanes},
    lock,
};
use crate::{
    domain::{EventId, Position},
    holds::{Change, Error, Holds, LogTail},
    limits::{
        FEED_CATCH_UP, FEED_HISTORY_ENTRIES, FEED_IDLE, FEED_MAX_ENTRIES_PER_MESSAGE,
        FEED_SEATS_PER_MESSAGE, FEED_STALE, FEED_TICK,
    },
    telemetry,
};

/// The node's own copy of an event: its map now, and the changes that led
/// there, as far back as a reader may resume from.
pub struct EventFeed {
    event_id: EventId,
    state: RwLock<State>,
    /// The map's position, the default before there is one, and how many watch.
    head: watch::Sender<Head>,
    /// Those who read it.
    lanes: Lanes,
    /// Somebody waits for the map to catch up: do not wait for the tick.
    hurry: Notify,
    /// What was told of it last, as bytes.
    pub latest: Latest,
}

struct State {
    map: Option<Arc<SeatMap>>,
    /// Without a gap, the last one leading to `map`.
    history: VecDeque<Arc<Change>>,
    /// When Redis last said anything.
    heard: Instant,
}

/// Why the log is not followed any more from where the map stands.
enum Lapse {
    /// Changes were missed, or undone: the picture must be taken anew.
    Gap,
    /// Redis does not have the event.
    Missing,
    Error(Error),
}

impl From<Error> for Lapse {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a reader at some position is to be told.
pub(super) enum Next {
    /// It is up to date.
    Nothing,
    /// What [`EventFeed::changes_after`] it, up to where the map is.
    Changes { to: Position },
    /// It is too far behind, or from another epoch.
    Snapshot(Arc<SeatMap>),
}

/// Changes in order, unless they are not known any more.
#[derive(Debug, Clone)]
pub enum Changes {
    Entries(Vec<Arc<Change>>),
    Forgotten,
}

impl State {
    /// Whether the history has all that came after a position.
    fn changes_known_after(&self, position: Position) -> bool {
        let Some(map) = &self.map else { return false };
        let oldest = self.history.front().map_or(map.position.seq + 1, |entry| entry.position.seq);
        let known = oldest - 1..map.position.seq;
        position.epoch == map.position.epoch && known.contains(&position.seq)
    }
}

impl EventFeed {
    pub(super) fn new(event_id: EventId) -> Self {
        let state = State { map: None, history: VecDeque::new(), heard: Instant::now() };
        Self {
            event_id,
            state: RwLock::new(state),
            head: watch::Sender::new(Head::default()),
            lanes: Lanes::default(),
            hurry: Notify::new(),
            latest: Latest::default(),
        }
    }

    /// The map, at a position no earlier than `position`.
    ///
    /// # Errors
    /// [`Stale`] where it does not get there within [`FEED_CATCH_UP`].
    pub async fn map_at(&self, position: Position) -> Result<Arc<SeatMap>, Stale> {
        let deadline = Instant::now() + FEED_CATCH_UP;
        let mut head = self.head.subscribe();
        loop {
            head.mark_unchanged();
            if let Some(map) = self.map()
                && map.position >= position
            {
                return Ok(map);
            }
            self.hurry.notify_one();
            match timeout_at(deadline, head.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(Stale),
            }
        }
    }

    /// So many watch the event now: its readers are told, lane by lane.
    pub fn tell_viewers(&self, viewers: u32) {
        self.head.send_if_modified(|head| mem::replace(&mut head.viewers, viewers) != viewers);
    }

    /// The map as soon as it is beyond `position`; `None` where that is not before `until`.
    pub async fn map_after(&self, position: Position, until: Instant) -> Option<Arc<SeatMap>> {
        let mut head = self.head.subscribe();
        self.hurry.notify_one();
        loop {
            head.mark_unchanged();
            if let Some(map) = self.map()
                && map.position > position
            {
                return Some(map);
            }
            timeout_at(until, head.changed()).await.ok()?.ok()?;
        }
    }

    /// Whether Redis has been silent for too long to call the map current.
    pub(super) fn is_stale(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.map.is_none() || state.heard.elapsed() > FEED_STALE
    }

    /// A reader's place among those of its connection: it is told when to look.
    pub(super) fn join(&self, connection: u64) -> watch::Receiver<Head> {
        self.lanes.join(connection, *self.head.borrow())
    }

    /// What a reader at `position` is to be told.
    pub(super) fn after(&self, position: Option<Position>) -> Next {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(map) = &state.map else { return Next::Nothing };
        match position {
            Some(position) if position == map.position => Next::Nothing,
            Some(position) if state.changes_known_after(position) => {
                Next::Changes { to: map.position }
            }
            _ => Next::Snapshot(map.clone()),
        }
    }

    /// The changes after `position` and up to `to`, at most [`FEED_MAX_ENTRIES_PER_MESSAGE`] with
    /// [`FEED_SEATS_PER_MESSAGE`] seats, unless the first one alone has more.
    pub fn changes_after(&self, position: Position, to: Position) -> Changes {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.changes_known_after(position) {
            return Changes::Forgotten;
        }
        let mut seats = 0;
        let fits = |entry: &&Arc<Change>| {
            let is_first = seats == 0;
            seats += entry.seat_count();
            is_first || seats <= FEED_SEATS_PER_MESSAGE
        };
        let begin = state.history.partition_point(|entry| entry.position <= position);
        let end = state.history.partition_point(|entry| entry.position <= to).max(begin);
        let changes =
            state.history.range(begin..end).take(FEED_MAX_ENTRIES_PER_MESSAGE).take_while(fits);
        Changes::Entries(changes.cloned().collect())
    }

    /// What has changed is wanted at once, not at the next tick.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Where the map is; the default before there is one.
    pub fn position(&self) -> Position {
        self.head.borrow().position
    }

    /// The map as it is; who keeps it makes the feed copy it.
    pub fn map(&self) -> Option<Arc<SeatMap>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).map.clone()
    }

    /// Follows the log until nobody has used the feed for [`FEED_IDLE`].
    pub(super) async fn run(self: Arc<Self>, holds: Arc<Holds>, registry: Registry) {
        let mut told = false;
        loop {
            let lapse = match self.follow(&holds, &registry).await {
                Ok(()) => return,
                Err(lapse) => lapse,
            };
            match &lapse {
                Lapse::Gap => tracing::info!(event_id = %self.event_id, "feed takes a new picture"),
                Lapse::Missing if !told => {
                    tracing::warn!(event_id = %self.event_id, "feed waits: Redis lacks the event");
                }
                Lapse::Error(error) if !told => {
                    tracing::warn!(event_id = %self.event_id, %error, "feed lost Redis");
                }
                Lapse::Missing | Lapse::Error(_) => {}
            }
            told = !matches!(lapse, Lapse::Gap);
            if self.retire(&registry) {
                return;
            }
            sleep(FEED_TICK).await;
        }
    }

    /// Takes a picture and follows the log from there. Ends well when nobody
    /// uses the feed.
    async fn follow(&self, holds: &Holds, registry: &Registry) -> Result<(), Lapse> {
        // 1. The tail is connected first, so that what follows is quick.
        let mut tail = holds.tail_log(&self.event_id).await?;
        // 2. One picture, and the changes that led to it, to resume from.
        let map = holds.snapshot(&self.event_id).await?.ok_or(Lapse::Missing)?;
        let history =
            holds.read_last_changes(&self.event_id, map.position, FEED_HISTORY_ENTRIES).await?;
        self.begin(map.into(), history);
        // 3. Every change after it, and readers told of it in turn.
        tokio::select! {
            ended = self.keep_reading(holds, &mut tail, registry) => ended,
            () = self.lanes.tell(self.head.subscribe()) => Ok(()),
        }
    }

    /// Reads the log. Reading pauses after changes, for as long as it takes until the
    /// next readers are told, so that a busy event is read and told in batches.
    async fn keep_reading(
        &self,
        holds: &Holds,
        tail: &mut LogTail,
        registry: &Registry,
    ) -> Result<(), Lapse> {
        let mut used_at = Instant::now();
        loop {
            let changed = self.read_on(holds, tail).await?;
            self.latest.trim(Instant::now());
            if self.is_used(registry) {
                used_at = Instant::now();
            } else if used_at.elapsed() > FEED_IDLE && self.retire(registry) {
                return Ok(());
            }
            if changed {
                tokio::select! {
                    () = sleep(self.lanes.pause()) => {}
                    () = self.hurry.notified() => {}
                }
            }
        }
    }

    /// Reads what comes next and makes the changes; answers whether any came.
    async fn read_on(&self, holds: &Holds, tail: &mut LogTail) -> Result<bool, Lapse> {
        let here = self.map().map(|map| map.position).unwrap_or_default();
        let entries = tail.next(here, FEED_HISTORY_ENTRIES).await?;
        if entries.is_empty() {
            // Silence may mean that nothing happens, or that Redis lost its past.
            return match holds.position(&self.event_id).await? {
                None => Err(Lapse::Missing),
                Some(position) if position.epoch == here.epoch && position.seq >= here.seq => {
                    self.state.write().unwrap_or_else(PoisonError::into_inner).heard =
                        Instant::now();
                    Ok(false)
                }
                Some(_) => Err(Lapse::Gap),
            };
        }
        self.advance(entries)?;
        Ok(true)
    }

    fn begin(&self, map: SeatMap, history: Vec<Change>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.history = unbroken(history, map.position);
        let position = map.position;
        state.map = Some(Arc::new(map));
        state.heard = Instant::now();
        self.latest.clear();
        drop(state);
        self.head.send_modify(|head| head.position = position);
    }

    fn advance(&self, entries: Vec<Change>) -> Result<(), Lapse> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let State { map: Some(map), history, heard } = &mut *state else { return Err(Lapse::Gap) };
        *heard = Instant::now();
        // Readers that hold the map keep theirs; this one is a copy then.
        let map = Arc::make_mut(map);
        for entry in entries {
            if !map.is_followed_by(&entry) {
                return Err(Lapse::Gap);
            }
            map.apply(&entry);
            history.push_back(Arc::new(entry));
        }
        if let Some(last) = history.back() {
            telemetry::stream_lag(telemetry::since_ms(last.at_ms));
        }
        let surplus = history.len().saturating_sub(FEED_HISTORY_ENTRIES);
        history.drain(..surplus);
        let position = map.position;
        drop(state);
        self.head.send_modify(|head| head.position = position);
        Ok(())
    }

    fn is_used(&self, registry: &Registry) -> bool {
        let feeds = lock(registry);
        // The registry has it, and the task that follows.
        feeds.get(&self.event_id).is_some_and(|feed| Arc::strong_count(feed) > 2)
    }

    /// Takes the feed out of the registry, unless somebody uses it.
    fn retire(&self, registry: &Registry) -> bool {
        let mut feeds = lock(registry);
        let unused = feeds.get(&self.event_id).is_some_and(|feed| Arc::strong_count(feed) <= 2);
        if unused {
            feeds.remove(&self.event_id);
        }
        unused
    }
}

/// The end of a history that leads to `position` without a gap.
fn unbroken(history: Vec<Change>, position: Position) -> VecDeque<Arc<Change>> {
    let mut kept = VecDeque::with_capacity(history.len());
    let mut expected = position;
    for entry in history.into_iter().rev() {
        if entry.position != expected || entry.reset || expected.seq == 0 {
            break;
        }
        expected.seq -= 1;
        kept.push_front(Arc::new(entry));
    }
    kept
}

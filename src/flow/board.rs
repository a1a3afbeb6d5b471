//! What this server knows of an event's free seats: the feed's map, less what it gives to
//! holds that are under way or just made, and less what Redis said is gone.
//!
//! Seats are taken from it in a moment, one request after the other: so all requests of
//! this server are given different seats. Whether they are free is Redis' word.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::future::Cache;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::event::LoadedEvent;
use crate::{
    domain::{
        BestAvailable, ChannelKey, Chart, EventId, FreeSeats, Position, SeatIndex, SeatStatus,
    },
    feed::{Changes, EventFeed, SeatMap},
    holds::Change,
    limits::{FEED_CATCH_UP, FEED_IDLE, MAX_BOARD_SEATS, MAX_PASSED_OVER},
};

/// The boards of the events that seats were lately found in.
pub(super) type Boards = Cache<EventId, Arc<Board>>;

pub(super) fn boards() -> Boards {
    let seats = |_: &EventId, board: &Arc<Board>| board.seat_count;
    Cache::builder().weigher(seats).max_capacity(MAX_BOARD_SEATS).time_to_idle(FEED_IDLE).build()
}

pub(super) struct Board {
    pub feed: Arc<EventFeed>,
    /// When it was made; for the memory that it takes.
    seat_count: u32,
    /// None until somebody looks.
    seats: Mutex<Option<Seats>>,
    picks: watch::Sender<Picks>,
    /// Looks at Redis, and ends of holds that have run out.
    pub looks: Shared,
    pub sweeps: Shared,
}

/// Work that all who ask for it before it begins have together: when the latest began,
/// and whether it went well.
#[derive(Debug, Default)]
pub(super) struct Shared(tokio::sync::Mutex<Option<(Instant, bool)>>);

impl Shared {
    /// Whether what began after this was asked for went well.
    pub async fn work(&self, work: impl AsyncFnOnce(Instant) -> bool) -> bool {
        let asked_at = Instant::now();
        let mut latest = self.0.lock().await;
        if let Some((began, went_well)) = *latest
            && began >= asked_at
        {
            return went_well;
        }
        let began = Instant::now();
        let went_well = work(began).await;
        *latest = Some((began, went_well));
        went_well
    }
}

struct Seats {
    /// Of the event that `free` has the chart of.
    revision: u64,
    /// Of the map that is known here.
    position: Position,
    /// By [`SeatIndex`]: whether that map has it as available.
    available: Vec<bool>,
    /// Available, but not to be given.
    hidden: HashMap<SeatIndex, Hidden>,
    free: FreeSeats,
    /// As `free`, if all picks that are under way came to nothing.
    perhaps: FreeSeats,
    /// Picks under way, by number.
    under_way: BTreeSet<u64>,
    last_pick: u64,
}

/// Why a seat is not given, though the map has it as available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hidden {
    /// A hold of it is under way.
    Picked,
    /// It was held, as the map says from there on.
    Held(Position),
    /// Redis said then that it is not free; a map that is newer says what it is.
    Gone(Instant),
}

/// How picks go on, for those who wait for seats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Picks {
    /// All of a lower number are through.
    oldest: u64,
    /// How many were given back.
    given_back: u64,
}

/// What came of a pick.
enum Fate {
    Held(Position),
    Gone(Vec<SeatIndex>),
    GivenBack,
}

/// Seats that are nobody else's at this server; given back where nothing comes of them.
pub(super) struct Pick {
    seats: Vec<SeatIndex>,
    from: Option<(Arc<Board>, u64)>,
}

impl Board {
    pub fn new(feed: Arc<EventFeed>, event: &LoadedEvent) -> Self {
        let seat_count = u32::try_from(event.chart.seat_count()).unwrap_or(u32::MAX);
        let picks = watch::Sender::new(Picks { oldest: 1, given_back: 0 });
        Self {
            feed,
            seat_count,
            seats: Mutex::default(),
            picks,
            looks: Shared::default(),
            sweeps: Shared::default(),
        }
    }

    /// Takes the best of the seats that are free, or passes over some: up to so many
    /// times those under way as `spread` says. None of those that the caller was
    /// `refused` is among them. `None` where there are none.
    pub fn take(
        self: &Arc<Self>,
        event: &LoadedEvent,
        asked: &BestAvailable,
        may: impl Fn(&ChannelKey) -> bool,
        refused: &[SeatIndex],
        spread: usize,
    ) -> Option<Pick> {
        // The next one shall know what others take meanwhile.
        self.feed.hurry();
        let mut seats = self.lock();
        let seats = self.caught_up(&mut seats, event)?;
        let skip = match spread {
            0 => 0,
            _ => fastrand::usize(..=MAX_PASSED_OVER.min(spread * seats.under_way.len())),
        };
        let mut picked = seats.without(refused, |seats| seats.free.best(asked, may, skip))?;
        // As a hold has them: they stand otherwise in parts, and in a row that grew.
        picked.sort_unstable();
        seats.last_pick += 1;
        seats.under_way.insert(seats.last_pick);
        seats.hide(&picked, Hidden::Picked);
        Some(Pick { seats: picked, from: Some((self.clone(), seats.last_pick)) })
    }

    /// Waits for picks that are under way, as long as there could be such seats if they
    /// came to nothing; answers whether it is worth another try.
    pub async fn others_settle(
        &self,
        event: &LoadedEvent,
        asked: &BestAvailable,
        may: impl Fn(&ChannelKey) -> bool,
        refused: &[SeatIndex],
    ) -> bool {
        let (last, before, mut picks) = {
            let mut seats = self.lock();
            let Some(seats) = self.caught_up(&mut seats, event) else { return false };
            let perhaps = |seats: &Seats| seats.perhaps.best(asked, may, 0);
            if seats.without(refused, perhaps).is_none() {
                return false;
            }
            let picks = self.picks.subscribe();
            let before = picks.borrow().given_back;
            (seats.last_pick, before, picks)
        };
        let settled = |picks: &Picks| picks.oldest > last || picks.given_back != before;
        let _ = timeout(FEED_CATCH_UP, picks.wait_for(settled)).await;
        true
    }

    /// The map is as new as Redis was at that time: what it said before does not count.
    pub fn looked_at(&self, began: Instant, event: &LoadedEvent) {
        let mut seats = self.lock();
        if let Some(seats) = self.caught_up(&mut seats, event) {
            seats.reveal(|hidden| matches!(hidden, Hidden::Gone(since) if since < began));
        }
    }

    fn settle(&self, number: u64, picked: &[SeatIndex], fate: Fate) {
        let mut seats = self.lock();
        let Some(seats) = &mut *seats else { return };
        let given_back = !matches!(fate, Fate::Held(_));
        let gone = match fate {
            Fate::Held(at) if at > seats.position => {
                seats.hide(picked, Hidden::Held(at));
                Vec::new()
            }
            // The map has it already.
            Fate::Held(_) | Fate::GivenBack => Vec::new(),
            Fate::Gone(gone) => gone,
        };
        let since = Instant::now();
        seats.give_back(picked);
        let gone: Vec<_> = gone.into_iter().filter(|&seat| seats.is_available(seat)).collect();
        seats.hide(&gone, Hidden::Gone(since));
        seats.under_way.remove(&number);
        let oldest = seats.under_way.first().copied().unwrap_or(seats.last_pick + 1);
        self.picks.send_if_modified(|picks| {
            let after = Picks { oldest, given_back: picks.given_back + u64::from(given_back) };
            mem::replace(picks, after) != after
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seats>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seats as the feed has them now; `None` before its first map.
    fn caught_up<'a>(
        &self,
        seats: &'a mut Option<Seats>,
        event: &LoadedEvent,
    ) -> Option<&'a mut Seats> {
        if let Some(known) = seats {
            let is_followed = known.follow(&self.feed);
            if is_followed && known.revision >= event.revision {
                return seats.as_mut();
            }
        }
        let map = self.feed.map()?;
        let before = seats.take();
        Some(seats.insert(Seats::new(&map, &event.chart, event.revision, before)))
    }
}

impl Seats {
    /// By a map that is new to it, or with a chart that is.
    fn new(map: &SeatMap, chart: &Arc<Chart>, revision: u64, before: Option<Self>) -> Self {
        let available: Vec<_> =
            map.seats.iter().map(|&status| status == SeatStatus::Available).collect();
        let is_available = |seat: SeatIndex| available.get(seat.0 as usize) == Some(&true);
        let all = || FreeSeats::new(chart.clone(), is_available);
        let (free, perhaps) = (all(), all());
        let (under_way, last_pick, hidden) = match before {
            None => (BTreeSet::new(), 0, HashMap::new()),
            Some(before) => (before.under_way, before.last_pick, before.hidden),
        };
        let position = map.position;
        let mut seats =
            Self { revision, position, available, hidden, free, perhaps, under_way, last_pick };
        let hidden: Vec<_> = seats.hidden.keys().copied().collect();
        seats.show(&hidden);
        seats.reveal_held();
        seats
    }

    /// Makes the changes that the feed has made; whether it could.
    fn follow(&mut self, feed: &EventFeed) -> bool {
        let head = feed.position();
        if head == self.position {
            return true;
        }
        while self.position != head {
            match feed.changes_after(self.position, head) {
                Changes::Entries(entries) if !entries.is_empty() => {
                    for entry in entries {
                        self.apply(&entry);
                    }
                }
                _ => return false,
            }
        }
        self.reveal_held();
        true
    }

    fn apply(&mut self, entry: &Change) {
        for (status, seats) in &entry.seats {
            for &seat in seats {
                let at = seat.0 as usize;
                if at >= self.available.len() {
                    self.available.resize(at + 1, true);
                }
                self.available[at] = *status == SeatStatus::Available;
                // What it is now is known.
                if matches!(self.hidden.get(&seat), Some(Hidden::Gone(_))) {
                    self.hidden.remove(&seat);
                }
            }
            self.show(seats);
        }
        self.position = entry.position;
    }

    /// The map has what was held up to its position.
    fn reveal_held(&mut self) {
        let position = self.position;
        self.reveal(|hidden| matches!(hidden, Hidden::Held(at) if at <= position));
    }

    fn hide(&mut self, seats: &[SeatIndex], why: Hidden) {
        self.hidden.extend(seats.iter().map(|&seat| (seat, why)));
        self.show(seats);
    }

    /// What `look` sees where these are not available.
    fn without<T>(&mut self, seats: &[SeatIndex], look: impl FnOnce(&Self) -> T) -> T {
        let closed = seats.iter().map(|&seat| (seat, false));
        self.free.set(closed.clone());
        self.perhaps.set(closed);
        let seen = look(self);
        self.show(seats);
        seen
    }

    fn give_back(&mut self, picked: &[SeatIndex]) {
        for seat in picked {
            if self.hidden.get(seat) == Some(&Hidden::Picked) {
                self.hidden.remove(seat);
            }
        }
        self.show(picked);
    }

    fn reveal(&mut self, is_over: impl Fn(Hidden) -> bool) {
        let over: Vec<_> = self.hidden.extract_if(|_, hidden| is_over(*hidden)).collect();
        let over: Vec<_> = over.into_iter().map(|(seat, _)| seat).collect();
        self.show(&over);
    }

    fn is_available(&self, seat: SeatIndex) -> bool {
        self.available.get(seat.0 as usize) == Some(&true)
    }

    fn show(&mut self, seats: &[SeatIndex]) {
        let (available, hidden) = (&self.available, &self.hidden);
        let is_available = |seat: SeatIndex| available.get(seat.0 as usize) == Some(&true);
        let hidden = |seat| hidden.get(&seat).copied();
        let free = |&seat: &SeatIndex| (seat, is_available(seat) && hidden(seat).is_none());
        let perhaps = |&seat: &SeatIndex| {
            (seat, is_available(seat) && hidden(seat).is_none_or(|why| why == Hidden::Picked))
        };
        self.free.set(seats.iter().map(free));
        self.perhaps.set(seats.iter().map(perhaps));
    }
}

impl Pick {
    /// What a hold has already.
    pub fn again(seats: Vec<SeatIndex>) -> Self {
        Self { seats, from: None }
    }

    pub fn is_again(&self) -> bool {
        self.from.is_none()
    }

    pub fn seats(&self) -> &[SeatIndex] {
        &self.seats
    }

    /// A hold was made of them by this entry of the log.
    pub fn held(self, at: Position) {
        self.settle(Fate::Held(at));
    }

    /// Redis says that these of them are gone.
    pub fn gone(self, seats: Vec<SeatIndex>) {
        self.settle(Fate::Gone(seats));
    }

    fn settle(mut self, fate: Fate) {
        if let Some((board, number)) = self.from.take() {
            board.settle(number, &self.seats, fate);
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        if let Some((board, number)) = self.from.take() {
            board.settle(number, &self.seats, Fate::GivenBack);
        }
    }
}

/// How long a request waits for others' picks, in all.
pub(super) const PATIENCE: Duration = FEED_CATCH_UP;

//! What readers of one event were told last, as bytes: who stands at the same
//! position is told the same, so it is named and encoded once for all of them.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    domain::Position,
    limits::{FEED_TOLD_KEPT, FEED_TOLD_MESSAGES},
};

/// What is told at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// The changes that follow it, as far as readers are told of now.
    Changes { to: Position },
    /// How many watch.
    Heartbeat { viewers: u32 },
    /// The whole house, as parts of a stream.
    Snapshot,
    /// The same, with two bits a seat.
    PackedSnapshot,
    /// The whole house, as one answer.
    SeatMap,
    /// The same, with two bits a seat.
    PackedSeatMap,
}

/// A message, or the parts of a large one, and where it leads.
#[derive(Debug, Clone)]
pub struct Told {
    /// None where nothing of it shows.
    pub parts: Arc<[Bytes]>,
    pub to: Position,
}

/// The latest messages of an event: at most [`FEED_TOLD_MESSAGES`], each for
/// [`FEED_TOLD_KEPT`]. Whoever still sends one has it for as long.
#[derive(Debug, Default)]
pub struct Latest(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    at: Position,
    telling: Telling,
    made: Instant,
    told: Arc<OnceCell<Told>>,
}

impl Latest {
    /// What is told at a position: made by the first who asks, while the others
    /// wait. Where making it fails, the next one tries.
    ///
    /// # Errors
    /// Those of `make`.
    pub async fn get_or_make<E, F>(
        &self,
        at: Position,
        telling: Telling,
        make: impl FnOnce() -> F,
    ) -> Result<Told, E>
    where
        F: Future<Output = Result<Told, E>>,
    {
        self.kept(at, telling).get_or_try_init(make).await.cloned()
    }

    fn kept(&self, at: Position, telling: Telling) -> Arc<OnceCell<Told>> {
        let mut latest = self.lock();
        // Most readers ask for what was made last.
        let known = latest.iter().rev().find(|kept| kept.at == at && kept.telling == telling);
        if let Some(kept) = known {
            return kept.told.clone();
        }
        if latest.len() >= FEED_TOLD_MESSAGES {
            latest.pop_front();
        }
        let told = Arc::default();
        latest.push_back(Kept { at, telling, made: Instant::now(), told: Arc::clone(&told) });
        told
    }

    /// Lets go of what is too old.
    pub(super) fn trim(&self, now: Instant) {
        let mut latest = self.lock();
        let is_old = |kept: &Kept| now.duration_since(kept.made) > FEED_TOLD_KEPT;
        while latest.front().is_some_and(is_old) {
            latest.pop_front();
        }
    }

    /// Lets go of all: the past is another one.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Epoch;

    fn at(seq: u64) -> Position {
        Position { epoch: Epoch(1), seq }
    }

    const CHANGES: Telling = Telling::Changes { to: Position { epoch: Epoch(1), seq: 2 } };

    async fn tell(latest: &Latest, from: u64, telling: Telling) -> Bytes {
        let make = || async move {
            let text = format!("{telling:?} from {from}");
            Ok::<_, ()>(Told { parts: [Bytes::from(text)].into(), to: at(from + 1) })
        };
        latest.get_or_make(at(from), telling, make).await.unwrap().parts[0].clone()
    }

    #[tokio::test]
    async fn readers_at_one_position_share_their_bytes() {
        let latest = Latest::default();
        let first = tell(&latest, 1, CHANGES).await;
        let second = tell(&latest, 1, CHANGES).await;
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_ne!(tell(&latest, 2, CHANGES).await, first, "another position");
        let further = Telling::Changes { to: at(3) };
        assert_ne!(tell(&latest, 1, further).await, first, "told later, of more");
        let heartbeat = tell(&latest, 1, Telling::Heartbeat { viewers: 1 }).await;
        assert_ne!(heartbeat, first, "another message");
        let more = Telling::Heartbeat { viewers: 2 };
        assert_ne!(tell(&latest, 1, more).await, heartbeat, "another number");
        latest.clear();
        assert_ne!(tell(&latest, 1, CHANGES).await.as_ptr(), first.as_ptr());
    }

    #[tokio::test]
    async fn what_could_not_be_made_is_tried_again() {
        let latest = Latest::default();
        let failed = latest.get_or_make(at(1), CHANGES, || async { Err("no chart") });
        assert_eq!(failed.await.unwrap_err(), "no chart");
        assert!(tell(&latest, 1, CHANGES).await.starts_with(b"Changes"));
    }

    #[tokio::test]
    async fn old_messages_are_let_go_and_so_are_too_many() {
        let latest = Latest::default();
        for from in 0..2 * FEED_TOLD_MESSAGES as u64 {
            tell(&latest, from, CHANGES).await;
        }
        assert_eq!(latest.lock().len(), FEED_TOLD_MESSAGES);
        let last_made = latest.lock().back().unwrap().made;
        latest.trim(last_made);
        assert_eq!(latest.lock().len(), FEED_TOLD_MESSAGES, "none is old");
        latest.trim(Instant::now() + FEED_TOLD_KEPT * 2);
        assert_eq!(latest.lock().len(), 0);
    }
}

//! Letting in: what moves a queue on, and shows those who watch where they are.
//!
//! Redis' clock says how many are due, so any number of servers may ask: those that have
//! streams do so each tick, and a job of every server each second.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval};

use super::{Error, Flows};
use crate::{
    domain::{EventId, HolderId},
    limits::{
        JOB_CONCURRENCY, MAX_EPOCH_ATTEMPTS, QUEUE_TICK, QUEUE_TOUCH_BATCH, QUEUE_TOUCH_TICKS,
    },
    queue::{Board, LetIn, Reply, Rules, View},
    telemetry,
};

/// What the keeper of a board remembers from tick to tick.
#[derive(Default)]
struct Keeper {
    /// Since when the life of Redis has the queue that was seen last.
    begun_ms: u64,
    /// The place that was spoken for last.
    spoken: Option<(u64, u64)>,
    is_failing: bool,
}

impl Flows {
    /// Lets in who is due, at all events that have a waiting room.
    ///
    /// # Errors
    /// The first trouble with an event; the others were seen to all the same.
    pub async fn let_in_everywhere(&self) -> Result<(), Error> {
        let (mut waiting, mut trouble) = (0, Ok(()));
        let rooms = stream::iter(self.ledger.waiting_rooms().await?);
        let mut seen =
            rooms.map(|event_id| self.see_to(event_id)).buffer_unordered(JOB_CONCURRENCY);
        while let Some(seen) = seen.next().await {
            match seen {
                Ok(count) => waiting += count,
                Err(error) => trouble = trouble.and(Err(error)),
            }
        }
        telemetry::queue_waiting(waiting);
        trouble
    }

    /// Where somebody streams, the board's keeper lets in; else this does.
    async fn see_to(&self, event_id: EventId) -> Result<u64, Error> {
        match self.queue.board(&event_id).and_then(|board| board.view()) {
            Some(view) => Ok(view.scene.waiting),
            None => self.let_in(&event_id).await,
        }
    }

    /// Lets in who is due at one event, by its latest rules; answers how many wait.
    pub(super) async fn let_in(&self, event_id: &EventId) -> Result<u64, Error> {
        loop {
            let Some((_, room)) = self.let_in_once(event_id, false).await? else { return Ok(0) };
            if !room.more {
                return Ok(room.scene.waiting);
            }
        }
    }

    /// `None` where there is no waiting room.
    async fn let_in_once(
        &self,
        event_id: &EventId,
        pictures: bool,
    ) -> Result<Option<(Rules, LetIn)>, Error> {
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            let event = self.event(event_id).await?;
            let rules = Rules::new(&event.rules, event.revision);
            match self.queue.let_in(event_id, &rules, pictures).await? {
                Reply::Behind => _ = self.event_anew(event_id).await?,
                Reply::Off => return Ok(None),
                Reply::Done(room) => {
                    telemetry::let_in(room.admitted, room.reaped);
                    return Ok(Some((rules, room)));
                }
            }
        }
        Err(Error::unsettled())
    }

    /// Keeps an event's board as long as anybody watches it.
    pub(super) async fn keep_board(self: Arc<Self>, event_id: EventId) {
        let mut keeper = Keeper::default();
        let mut ticks = interval(QUEUE_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.queue.retire(&event_id) {
            ticks.tick().await;
            let Some(board) = self.queue.board(&event_id) else { return };
            match self.tick(&event_id, &board, &mut keeper).await {
                Ok(()) => keeper.is_failing = false,
                // Those who watch keep their streams, and what they were told.
                Err(error) if !keeper.is_failing => {
                    keeper.is_failing = true;
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%event_id, %error, cause, "a queue stands still");
                }
                Err(_) => {}
            }
        }
    }

    async fn tick(
        &self,
        event_id: &EventId,
        board: &Board,
        keeper: &mut Keeper,
    ) -> Result<(), Error> {
        loop {
            // 1. Whoever is due comes in.
            let Some((rules, room)) = self.let_in_once(event_id, true).await? else {
                board.show(None);
                return Ok(());
            };
            // 2. Redis may have lost places: they are put back before anybody is told
            //    that they are gone, and before anybody else is let in.
            if keeper.begun_ms != room.scene.begun_ms {
                let mut after = None;
                loop {
                    let (places, last) = board.places_after(after, QUEUE_TOUCH_BATCH);
                    self.speak_for(event_id, &rules, &places).await?;
                    after = last;
                    if after.is_none() {
                        break;
                    }
                }
                keeper.begun_ms = room.scene.begun_ms;
                continue;
            }
            // 3. All who watch see it.
            let more = room.more;
            board.show(Some(View::new(room.scene, &room.generations, &room.bits)));
            // 4. Some of the places are spoken for: each in its turn, so that none is
            //    given up that is watched.
            let mut left = board.len().div_ceil(QUEUE_TOUCH_TICKS);
            while left > 0 {
                let (places, last) = board.places_after(keeper.spoken, left.min(QUEUE_TOUCH_BATCH));
                left = left.saturating_sub(places.len().max(1));
                self.speak_for(event_id, &rules, &places).await?;
                keeper.spoken = last;
                if last.is_none() {
                    break;
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Tells Redis that these places are watched.
    async fn speak_for(
        &self,
        event_id: &EventId,
        rules: &Rules,
        places: &[(HolderId, u64)],
    ) -> Result<(), Error> {
        if !places.is_empty() {
            // Where the rules have changed, the next tick says it again.
            self.queue.find(event_id, rules, places).await?;
        }
        Ok(())
    }
}

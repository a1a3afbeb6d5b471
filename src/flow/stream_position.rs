//! StreamPosition: where a place in a queue is, until it is let in.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::OwnedSemaphorePermit;

use super::{Error, Flows, join::position};
use crate::{
    domain::{EventId, HolderId, QueuePosition, Refusal},
    limits::{MAX_QUEUE_STREAMS, QUEUE_TELL, QUEUE_TELL_STEP},
    queue::{Rules, Scene, Seen, Standing, View, Watch},
};

/// One who waits. It has a place on the board, and nothing in memory beside.
pub struct PositionStream {
    flows: Arc<Flows>,
    event_id: EventId,
    holder: HolderId,
    number: u64,
    /// `None` once the place was let in.
    watch: Option<Watch>,
    /// What is told next, without waiting.
    next: Option<QueuePosition>,
    told_ahead: u64,
    told_ms: u64,
    /// What is older than this says nothing of the place: ms of Redis' clock.
    since_ms: u64,
    _place: OwnedSemaphorePermit,
}

impl Flows {
    /// Begins to tell where a place is.
    pub async fn stream_position(
        self: &Arc<Self>,
        event_id: &EventId,
        place_token: &str,
    ) -> Result<PositionStream, Error> {
        let _span = crate::telemetry::flow("stream_position");
        // 1. A server has room for so many.
        let place = self.queue.place().ok_or_else(|| {
            let why = format!("this server has {MAX_QUEUE_STREAMS} streams of positions already");
            Error::Overloaded(why.into())
        })?;
        // 2. Whose place it is.
        let (holder, number) = self.place(event_id, place_token).await?;
        let mut stream = PositionStream {
            flows: self.clone(),
            event_id: event_id.clone(),
            holder,
            number,
            watch: None,
            next: None,
            told_ahead: 0,
            told_ms: 0,
            since_ms: 0,
            _place: place,
        };
        // 3. Where it is now, from Redis; from then on, from the board.
        stream.look().await?;
        Ok(stream)
    }
}

impl PositionStream {
    /// The next position; waits for it. `None` after the one with the admission.
    pub async fn next(&mut self) -> Result<Option<QueuePosition>, Error> {
        loop {
            if let Some(position) = self.next.take() {
                return Ok(Some(position));
            }
            let Some(watch) = &self.watch else { return Ok(None) };
            let Some(view) = watch.news().await else {
                // No waiting room any more: whoever has waited comes in.
                self.let_in_without_a_room().await?;
                continue;
            };
            self.hear(&view).await?;
        }
    }

    /// What a view says of the place.
    async fn hear(&mut self, view: &View) -> Result<(), Error> {
        if view.scene.now_ms <= self.since_ms {
            return Ok(());
        }
        match view.seen(self.number) {
            Seen::Waiting(ahead) => {
                let is_silent = view.scene.now_ms >= self.told_ms + to_ms(*QUEUE_TELL.end());
                if ahead != self.told_ahead || is_silent {
                    let rules = self.rules().await?;
                    self.tell(&rules, &view.scene, ahead);
                } else {
                    self.rest(view.scene.now_ms, ahead);
                }
            }
            Seen::LetIn => {
                let event = self.flows.event(&self.event_id).await?;
                let until_ms = view.scene.now_ms + to_ms(event.rules.admission_ttl);
                self.let_in(&view.scene, until_ms).await?;
            }
            Seen::Nowhere => self.look().await?,
        }
        Ok(())
    }

    /// Asks Redis, which counts as a word from the holder.
    async fn look(&mut self) -> Result<(), Error> {
        let places = [(self.holder.clone(), self.number)];
        let flows = self.flows.clone();
        let (queue, event_id, places) = (&flows.queue, &self.event_id, &places);
        let find = |rules| async move { queue.find(event_id, &rules, places).await };
        let (rules, found) = flows.at_queue(event_id, find).await?;
        let Some((found, scene)) = found else { return self.let_in_without_a_room().await };
        match found.first() {
            None | Some(Standing::Gone) => {
                Err(Refusal::PlaceNotFound(self.event_id.clone()).into())
            }
            Some(Standing::In(_, until_ms)) => self.let_in(&scene, *until_ms).await,
            Some(&Standing::Waiting(number, ahead)) => {
                if self.watch.is_none() || self.number != number {
                    self.number = number;
                    let (watch, is_new) = flows.queue.watch(&self.event_id, &self.holder, number);
                    self.watch = Some(watch);
                    if is_new {
                        tokio::spawn(flows.clone().keep_board(self.event_id.clone()));
                    }
                }
                self.since_ms = scene.now_ms;
                self.tell(&rules, &scene, ahead);
                Ok(())
            }
        }
    }

    fn tell(&mut self, rules: &Rules, scene: &Scene, ahead: u64) {
        self.told_ahead = ahead;
        self.told_ms = scene.now_ms;
        self.next = Some(position(rules, scene, ahead));
        self.rest(scene.now_ms, ahead);
    }

    /// Nothing is to be heard for a while: the longer, the further back the place is.
    fn rest(&self, now_ms: u64, ahead: u64) {
        let Some(watch) = &self.watch else { return };
        let (least, most) = (*QUEUE_TELL.start(), *QUEUE_TELL.end());
        let rest = (least + Duration::from_secs(ahead / QUEUE_TELL_STEP)).min(most);
        // Those who came together need not be told together.
        watch.wait_until(now_ms + to_ms(rest.mul_f64(0.9 + 0.1 * fastrand::f64())));
    }

    async fn let_in(&mut self, scene: &Scene, until_ms: u64) -> Result<(), Error> {
        let key = self.flows.queue_key().await?;
        let admission = Flows::admission(key, &self.event_id, &self.holder, until_ms);
        let (waiting, admission) = (scene.waiting, Some(admission));
        self.next = Some(QueuePosition { ahead: 0, waiting, estimated_wait: None, admission });
        self.watch = None;
        Ok(())
    }

    async fn let_in_without_a_room(&mut self) -> Result<(), Error> {
        let event = self.flows.event(&self.event_id).await?;
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        let until_ms = to_ms(now + event.rules.admission_ttl);
        let scene = Scene { now_ms: 0, begun_ms: 0, waiting: 0, lately: 0 };
        self.let_in(&scene, until_ms).await
    }

    async fn rules(&self) -> Result<Rules, Error> {
        let event = self.flows.event(&self.event_id).await?;
        Ok(Rules::new(&event.rules, event.revision))
    }
}

fn to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

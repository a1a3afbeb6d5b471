//! Join: a place in the queue before an event's sale.

use std::time::Duration;

use super::{Error, Flows};
use crate::{
    domain::{EventId, HolderId, QueuePosition, Refusal},
    limits::{MAX_EPOCH_ATTEMPTS, MAX_PLACES_WAITING, QUEUE_PACE_KNOWN},
    queue::{self, Joined, Reply, Rules, Scene, Standing},
};

impl Flows {
    /// Takes a place at the end of the event's queue, or answers the holder's own: the
    /// token that says which it is, and where it is now.
    pub async fn join(
        &self,
        event_id: &EventId,
        holder: &HolderId,
    ) -> Result<(String, QueuePosition), Error> {
        let _span = crate::telemetry::flow("join");
        let join = |rules| async move { self.queue.join(event_id, &rules, holder).await };
        let (rules, joined) = self.at_queue(event_id, join).await?;
        let Some(joined) = joined else {
            return Err(Refusal::NoWaitingRoom(event_id.clone()).into());
        };
        let (standing, scene) = match joined {
            Joined::Full => {
                let why = format!("{MAX_PLACES_WAITING} wait for event {event_id} already");
                return Err(Error::Overloaded(why.into()));
            }
            Joined::Standing(standing, scene) => (standing, scene),
        };
        let key = self.queue_key().await?;
        let (number, position) = match standing {
            Standing::In(number, until_ms) => {
                let admission = Self::admission(key, event_id, holder, until_ms);
                let admission = Some(admission);
                let waiting = scene.waiting;
                let position = QueuePosition { ahead: 0, waiting, estimated_wait: None, admission };
                (number, position)
            }
            Standing::Waiting(number, ahead) => (number, position(&rules, &scene, ahead)),
            Standing::Gone => return Err(Error::internal("a place has gone as it was taken")),
        };
        Ok((key.place_token(event_id, holder, number), position))
    }

    /// Asks an event's queue, by the event's latest rules; with no answer where it has no
    /// waiting room.
    pub(super) async fn at_queue<T, F>(
        &self,
        event_id: &EventId,
        ask: impl Fn(Rules) -> F,
    ) -> Result<(Rules, Option<T>), Error>
    where
        F: Future<Output = Result<Reply<T>, queue::Error>>,
    {
        let mut event = self.event(event_id).await?;
        let mut rules = Rules::new(&event.rules, event.revision);
        if rules.is_off() {
            // It may have got one at another server.
            event = self.event_anew(event_id).await?;
            rules = Rules::new(&event.rules, event.revision);
        }
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            if rules.is_off() {
                return Ok((rules, None));
            }
            match ask(rules.clone()).await? {
                Reply::Done(answer) => return Ok((rules, Some(answer))),
                Reply::Off => return Ok((rules, None)),
                Reply::Behind => {
                    event = self.event_anew(event_id).await?;
                    rules = Rules::new(&event.rules, event.revision);
                }
            }
        }
        Err(Error::unsettled())
    }
}

/// Of a place that waits.
pub(super) fn position(rules: &Rules, scene: &Scene, ahead: u64) -> QueuePosition {
    // By the pace of the last minute; of a queue that is younger, by the setting.
    let age = Duration::from_millis(scene.now_ms.saturating_sub(scene.begun_ms));
    let per_minute = if age < QUEUE_PACE_KNOWN { rules.rate.into() } else { scene.lately };
    let wait = |per_minute| Duration::from_millis((ahead + 1) * 60_000 / per_minute);
    QueuePosition {
        ahead,
        waiting: scene.waiting,
        estimated_wait: (per_minute > 0 && rules.rate > 0).then(|| wait(per_minute)),
        admission: None,
    }
}

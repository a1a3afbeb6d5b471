//! What a server tells others with: its ways out, and what is under way on them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Error, Flows, order_event_tail::Tail};
use crate::{
    domain::{Target, WebhookId},
    limits::{CALLS_OF_A_WEBHOOK, DELIVERY_SESSIONS, MAILS_AT_ONCE, PUBLISH_PAUSE},
    mail::Mailer,
    webhooks::Caller,
};

/// The ways out of one server.
pub struct Couriers {
    /// `None`: no mail is sent, and no delivery by mail is made.
    pub(super) mail: Option<Mailer>,
    pub(super) caller: Caller,
    pub(super) tail: Tail,
    /// Whoever numbers order events at this server; others would only wait in Postgres.
    pub(super) publishing: tokio::sync::Mutex<()>,
    /// Whoever claims deliveries: what is under way says how many.
    pub(super) claiming: tokio::sync::Mutex<()>,
    /// Order events were written here.
    written: Notify,
    /// Deliveries may be due, and there is room for them.
    pub(super) due: Notify,
    under_way: Mutex<HashMap<Target, UnderWay>>,
    /// Sessions that tries under way may use: callers shall not wait for them.
    pub(super) sessions: Semaphore,
    pub(super) tasks: TaskTracker,
}

/// What is under way to one target.
#[derive(Debug, Clone, Copy, Default)]
struct UnderWay {
    count: i64,
    /// The last try failed: until one does not, there is one at a time.
    is_failing: bool,
}

impl Couriers {
    pub fn new(mail: Option<Mailer>, caller: Caller) -> Self {
        Self {
            mail,
            caller,
            tail: Tail::new(),
            publishing: tokio::sync::Mutex::default(),
            claiming: tokio::sync::Mutex::default(),
            written: Notify::new(),
            due: Notify::new(),
            under_way: Mutex::default(),
            sessions: Semaphore::new(DELIVERY_SESSIONS),
            tasks: TaskTracker::new(),
        }
    }

    /// How many more mails this server may try.
    pub(super) fn room_for_mails(&self) -> i64 {
        self.lock().get(&Target::Mail).map_or(MAILS_AT_ONCE, |under_way| {
            let most = if under_way.is_failing { 1 } else { MAILS_AT_ONCE };
            (most - under_way.count).max(0)
        })
    }

    /// Webhooks with less than all their room, and how much.
    pub(super) fn rooms_for_calls(&self) -> Vec<(WebhookId, i64)> {
        let room = |(target, under_way): (&Target, &UnderWay)| {
            let Target::Webhook(webhook_id) = target else { return None };
            let most = if under_way.is_failing { 1 } else { CALLS_OF_A_WEBHOOK };
            Some((*webhook_id, (most - under_way.count).max(0)))
        };
        self.lock().iter().filter_map(room).collect()
    }

    /// Notes how the last try went, as far as it tells of the target.
    pub(super) fn note(&self, target: Target, is_failing: bool) {
        self.lock().entry(target).or_default().is_failing = is_failing;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A try under way; until it is dropped, it takes room.
pub(super) struct Trip {
    flows: Arc<Flows>,
    target: Target,
}

impl Drop for Trip {
    fn drop(&mut self) {
        let couriers = &self.flows.couriers;
        let mut under_way = couriers.lock();
        let Some(of_target) = under_way.get_mut(&self.target) else { return };
        of_target.count -= 1;
        // What fails is left to the job: a server that is down is asked once a second.
        if of_target.is_failing {
            return;
        }
        if of_target.count == 0 {
            under_way.remove(&self.target);
        }
        couriers.due.notify_one();
    }
}

impl Flows {
    /// Takes room for a try.
    pub(super) fn trip(self: &Arc<Self>, target: Target) -> Trip {
        self.couriers.lock().entry(target).or_default().count += 1;
        Trip { flows: self.clone(), target }
    }

    /// Says that order events were committed: they are told within some tens of
    /// milliseconds. Without it, the jobs do so within a second or two.
    pub fn order_events_written(&self) {
        self.couriers.written.notify_one();
    }

    /// Tells what this server has written as soon as it is asked to, until `stop`. What
    /// fails is tried again by the jobs.
    pub async fn tell_at_once(self: Arc<Self>, stop: CancellationToken) {
        let publish = async {
            loop {
                self.couriers.written.notified().await;
                note(self.publish_order_events().await);
                // What is sold meanwhile is told of together.
                sleep(PUBLISH_PAUSE).await;
            }
        };
        let deliver = async {
            loop {
                self.couriers.due.notified().await;
                note(self.deliver().await);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = publish => {}
            () = deliver => {}
        }
    }

    /// Waits for the deliveries under way, so that they are not made twice; no longer
    /// than this.
    pub async fn end_deliveries(&self, patience: Duration) {
        self.couriers.tasks.close();
        if timeout(patience, self.couriers.tasks.wait()).await.is_err() {
            tracing::info!("deliveries under way are left; they are made again");
        }
    }
}

fn note(told: Result<(), Error>) {
    if let Err(error) = told {
        tracing::debug!(%error, "not told at once; the jobs will");
    }
}

//! Who was let in by an event's waiting room: what says so, and what it is good for.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Error, Flows, event::LoadedEvent, event::from_ms};
use crate::{
    domain::{Admission, EventId, HolderId, Refusal, WaitingRoom},
    limits::ADMISSION_LEEWAY,
    queue::{Key, new_secret},
};

/// The name of the key in Postgres.
const SECRET: &str = "queue";

impl Flows {
    /// Whether the token lets the holder make holds of the event.
    ///
    /// By this server's clock, so that no store is asked: Redis' own, by which the token was
    /// made, is a little off at most, and a moment more harms nobody.
    ///
    /// # Errors
    /// [`Refusal::AdmissionRequired`].
    pub(super) async fn check_admission(
        &self,
        event: &LoadedEvent,
        holder: &HolderId,
        token: &str,
    ) -> Result<(), Error> {
        if event.rules.waiting_room == WaitingRoom::Off {
            return Ok(());
        }
        let until = self.queue_key().await?.admission(&event.event_id, holder, token);
        // A clock before 1970 lets in whoever has a token.
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        match until {
            Some(until) if until + ADMISSION_LEEWAY > now => Ok(()),
            _ => Err(Refusal::AdmissionRequired(event.event_id.clone()).into()),
        }
    }

    /// Notes that a holder who was let in has made a hold: what that took is not free any
    /// more, and so the admission need not count against what is. Where this is lost, the
    /// admission counts until it runs out.
    pub(super) fn note_admission_used(self: &Arc<Self>, event: &LoadedEvent, holder: &HolderId) {
        if event.rules.waiting_room != WaitingRoom::Inventory {
            return;
        }
        let (flows, event_id, holder) = (self.clone(), event.event_id.clone(), holder.clone());
        self.tasks.spawn(async move {
            if let Err(error) = flows.queue.note_use(&event_id, &holder).await {
                tracing::info!(%event_id, %error, "an admission that was used still counts");
            }
        });
    }

    /// The right to make holds until then, in ms of Unix time.
    pub(super) fn admission(
        key: &Key,
        event_id: &EventId,
        holder: &HolderId,
        until_ms: u64,
    ) -> Admission {
        let token = key.admission_token(event_id, holder, until_ms);
        Admission { token, expire_time: from_ms(until_ms.cast_signed()) }
    }

    /// What places and admissions are signed with: the setting, or what Postgres has for
    /// all servers.
    pub(super) async fn queue_key(&self) -> Result<&Key, Error> {
        let read = || async {
            let fresh = new_secret().map_err(Error::internal)?;
            let secret = self.ledger.secret(SECRET, &fresh).await?;
            Key::new(secret).map_err(Error::internal)
        };
        Box::pin(self.queue.key(read)).await
    }
}

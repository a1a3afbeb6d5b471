//! Reconcile: the audit, in the background, of a share of the events.

use tokio::time::Instant;

use super::{Audited, Error, Flows};
use crate::{domain::EventId, ledger::ActiveEvent, limits::RECONCILE_FIRST_LOOKS};

impl Flows {
    /// Audits events whose turn it is and that no other server has taken; mends
    /// nothing. What heals by itself is healed by the other jobs.
    ///
    /// # Errors
    /// The first trouble with an event; the others were compared all the same.
    pub async fn reconcile(&self) -> Result<(Vec<Audited>, Result<(), Error>), Error> {
        // 1. Turns are taken from a place that differs from run to run, and one
        //    after the other: where there are more events than time, each comes up
        //    in the end.
        let active = self.ledger.active_events().await?;
        let first = random_below(active.len());
        let until = Instant::now() + RECONCILE_FIRST_LOOKS;
        let (mut audited, mut doubtful, mut trouble) = (Vec::new(), Vec::new(), Ok(()));
        let mut note = |event_id: &EventId, error: Error| {
            tracing::info!(%event_id, %error, "event was not compared");
            if trouble.is_ok() {
                trouble = Err(error);
            }
        };
        for ActiveEvent { event_id, .. } in active.iter().cycle().skip(first).take(active.len()) {
            if Instant::now() >= until {
                break;
            }
            if !self.holds.take_reconcile_turn(event_id).await? {
                continue;
            }
            match self.look(event_id).await.map_err(Error::of_a_read) {
                Ok(look) if look.differences.is_empty() => audited.push(look),
                Ok(look) => doubtful.push(look),
                Err(error) => note(event_id, error),
            }
        }
        // 2. What differs is looked at again, as in the operator's audit.
        for (event_id, look) in self.look_again(doubtful).await {
            match look {
                Ok(look) => audited.push(look),
                Err(error) => note(&event_id, error),
            }
        }
        Ok((audited, trouble))
    }
}

/// A number that nobody can foresee; 0 for 0.
fn random_below(count: usize) -> usize {
    let random = uuid::Uuid::new_v4().as_u128() % (count.max(1) as u128);
    usize::try_from(random).unwrap_or_default()
}

//! Leave: gives a place in a queue up.

use super::{Error, Flows};
use crate::domain::{EventId, Refusal};

impl Flows {
    /// Gives the place up, if it still waits. An admission stands: its token is good
    /// wherever it is.
    pub async fn leave_queue(&self, event_id: &EventId, place_token: &str) -> Result<(), Error> {
        self.event(event_id).await?;
        let place = self.queue_key().await?.place(event_id, place_token);
        let (holder, number) = place.ok_or_else(|| Refusal::PlaceNotFound(event_id.clone()))?;
        Ok(self.queue.leave(event_id, &holder, number).await?)
    }
}

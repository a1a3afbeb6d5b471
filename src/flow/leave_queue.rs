//! Leave: gives a place in a queue up.

use super::{Error, Flows};
use crate::domain::{EventId, HolderId, Refusal};

impl Flows {
    /// Gives the place up, if it still waits. An admission stands: its token is good
    /// wherever it is.
    pub async fn leave_queue(&self, event_id: &EventId, place_token: &str) -> Result<(), Error> {
        let _span = crate::telemetry::flow("leave_queue");
        let (holder, number) = self.place(event_id, place_token).await?;
        Ok(self.queue.leave(event_id, &holder, number).await?)
    }

    /// Whose place it is.
    pub async fn holder_of_place(
        &self,
        event_id: &EventId,
        place_token: &str,
    ) -> Result<HolderId, Error> {
        Ok(self.place(event_id, place_token).await?.0)
    }

    /// Whose place it is, and its number: only one of our servers can have said so.
    pub(super) async fn place(
        &self,
        event_id: &EventId,
        place_token: &str,
    ) -> Result<(HolderId, u64), Error> {
        self.event(event_id).await?;
        let place = self.queue_key().await?.place(event_id, place_token);
        Ok(place.ok_or_else(|| Refusal::PlaceNotFound(event_id.clone()))?)
    }
}

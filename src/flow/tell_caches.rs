//! What a change of an event means for the caches: nothing read before it counts.

use super::{Error, Flows};
use crate::domain::EventId;

impl Flows {
    /// Makes void what the caches have of an event, whose change is committed, and not
    /// answered yet; then puts the new home page in its place.
    ///
    /// # Errors
    /// Where a cache may still tell what was before.
    pub(super) async fn tell_caches(&self, event_id: &EventId) -> Result<(), Error> {
        self.cache.invalidate(event_id).await?;
        if let Err(error) = self.write_home().await {
            // Whoever asks for it reads it.
            tracing::info!(%event_id, %error, "the home page is not written through");
        }
        Ok(())
    }
}

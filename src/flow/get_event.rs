//! GetEvent: one event and its chart.

use super::{Error, Flows};
use crate::domain::{ChartDraft, Event, EventId, Refusal};

impl Flows {
    /// The event as it is now.
    pub async fn get_event(&self, event_id: &EventId) -> Result<(Event, ChartDraft), Error> {
        let stored = self.ledger.find_event(event_id).await?;
        let stored = stored.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
        let mut known = self.event(event_id).await?;
        if known.revision != stored.revision {
            known = self.event_anew(event_id).await?;
        }
        Ok((stored.event, known.chart.draft()))
    }
}

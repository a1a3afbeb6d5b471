//! ListEvents: a page of all events but the drafts.

use super::{Error, Flows};
use crate::domain::{Event, EventId, Paging};
use time::OffsetDateTime;

impl Flows {
    /// A page, and the last event of it where there may be another page.
    pub async fn list_events(
        &self,
        paging: Paging,
    ) -> Result<(Vec<Event>, Option<(OffsetDateTime, EventId)>), Error> {
        // One more than asked for tells whether there is another page.
        let one_more = Paging { page_size: paging.page_size + 1, ..paging };
        let mut events = self.ledger.list_events(&one_more).await?;
        let more = events.len() > paging.page_size as usize;
        events.truncate(paging.page_size as usize);
        let last = events.last().filter(|_| more);
        let next = last.map(|event| (event.start_time, event.event_id.clone()));
        Ok((events, next))
    }
}

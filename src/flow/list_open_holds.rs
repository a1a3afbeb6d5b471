//! ListOpenHolds: an event's holds that have not ended.

use super::{Error, Flows, HoldsAfter, OpenHold};
use crate::domain::EventId;

impl Flows {
    /// A page of an event's open holds, and after which the next one begins.
    pub async fn list_open_holds(
        &self,
        event_id: &EventId,
        after: Option<HoldsAfter>,
        page_size: u32,
    ) -> Result<(Vec<OpenHold>, Option<HoldsAfter>), Error> {
        let mut read = self.open_holds(event_id, after).await?;
        let holds = self.next_open_holds(&mut read, page_size as usize).await?;
        Ok((holds, read.next))
    }
}

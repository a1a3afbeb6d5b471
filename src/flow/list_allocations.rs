//! ListAllocations and ListChannelActions: what is kept for whom, and by whom.

use std::collections::BTreeMap;

use super::{Error, Flows};
use crate::domain::{Allocation, ChannelKey, EventId, PastAction};

impl Flows {
    /// What is kept for which channel.
    pub async fn list_allocations(
        &self,
        event_id: &EventId,
    ) -> Result<BTreeMap<ChannelKey, Allocation>, Error> {
        let _span = crate::telemetry::flow("list_allocations");
        Ok(self.event_anew(event_id).await?.chart.allocations())
    }

    /// A page of what was done about channels, the latest first, and whether there is
    /// more.
    pub async fn list_channel_actions(
        &self,
        event_id: &EventId,
        before: Option<i64>,
        page_size: u32,
    ) -> Result<(Vec<PastAction>, bool), Error> {
        let _span = crate::telemetry::flow("list_channel_actions");
        self.event(event_id).await?;
        // One more than is told says whether there are more.
        let listed = self.ledger.list_channel_actions(event_id, before, page_size + 1);
        let mut actions = listed.await?;
        let has_more = actions.len() > page_size as usize;
        actions.truncate(page_size as usize);
        Ok((actions, has_more))
    }
}

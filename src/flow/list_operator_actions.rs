//! ListOperatorActions: what operators did to holds.

use super::{Error, Flows};
use crate::domain::{EventId, PastOperatorAction};

impl Flows {
    /// A page of what operators did to an event's holds, the latest first, and whether
    /// there is more.
    pub async fn list_operator_actions(
        &self,
        event_id: &EventId,
        before: Option<i64>,
        page_size: u32,
    ) -> Result<(Vec<PastOperatorAction>, bool), Error> {
        self.event(event_id).await?;
        // One more than is told says whether there are more.
        let listed = self.ledger.list_operator_actions(event_id, before, page_size + 1);
        let mut actions = listed.await?;
        let has_more = actions.len() > page_size as usize;
        actions.truncate(page_size as usize);
        Ok((actions, has_more))
    }
}

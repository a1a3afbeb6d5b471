//! Heartbeat, Leave and GetPresence: who watches an event now.
//!
//! Redis alone knows; the event is known from this server's memory.

use super::{Error, Flows};
use crate::{
    domain::{EventId, ViewerId},
    limits::MAX_VIEWERS,
};

impl Flows {
    /// A viewer is there for a while; answers how many are.
    pub async fn heartbeat(&self, event_id: &EventId, viewer_id: &ViewerId) -> Result<u32, Error> {
        let _span = crate::telemetry::flow("heartbeat");
        self.event(event_id).await?;
        let viewers = self.presence.heartbeat(event_id, viewer_id).await?;
        let full = || Error::Overloaded(format!("it has {MAX_VIEWERS} viewers already").into());
        viewers.ok_or_else(full)
    }

    /// A viewer has gone, but for his streams; answers how many are there.
    pub async fn leave_presence(
        &self,
        event_id: &EventId,
        viewer_id: &ViewerId,
    ) -> Result<u32, Error> {
        let _span = crate::telemetry::flow("leave_presence");
        self.event(event_id).await?;
        Ok(self.presence.leave(event_id, viewer_id).await?)
    }

    /// How many are there.
    pub async fn get_presence(&self, event_id: &EventId) -> Result<u32, Error> {
        let _span = crate::telemetry::flow("get_presence");
        self.event(event_id).await?;
        Ok(self.presence.count(event_id).await?)
    }

    /// Says that the viewers of this server's streams have gone; all streams have ended.
    pub async fn leave_all(&self) {
        self.presence.stop().await;
    }
}

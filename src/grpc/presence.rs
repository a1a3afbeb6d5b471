//! PresenceService: decode, call one flow, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{decode, encode::signed};
use crate::{
    flow::{Error, Flows},
    proto::{self, presence_service_server::PresenceService},
};

/// The service.
pub struct Presences {
    pub flows: Arc<Flows>,
}

type Answer<T> = Result<Response<T>, Status>;

/// Every method may be called again: what was not heard is as good as not done.
#[tonic::async_trait]
impl PresenceService for Presences {
    async fn heartbeat(
        &self,
        request: Request<proto::HeartbeatRequest>,
    ) -> Answer<proto::HeartbeatResponse> {
        let (event_id, viewer_id) = decode::heartbeat(request.get_ref())?;
        let viewers = self.flows.heartbeat(&event_id, &viewer_id).await;
        let active_viewers = signed(viewers.map_err(Error::of_a_read)?);
        Ok(Response::new(proto::HeartbeatResponse { active_viewers }))
    }

    async fn leave(&self, request: Request<proto::LeaveRequest>) -> Answer<proto::LeaveResponse> {
        let (event_id, viewer_id) = decode::leave_presence(request.get_ref())?;
        let viewers = self.flows.leave_presence(&event_id, &viewer_id).await;
        let active_viewers = signed(viewers.map_err(Error::of_a_read)?);
        Ok(Response::new(proto::LeaveResponse { active_viewers }))
    }

    async fn get_presence(
        &self,
        request: Request<proto::GetPresenceRequest>,
    ) -> Answer<proto::GetPresenceResponse> {
        let event_id = decode::get_presence(request.get_ref())?;
        let viewers = self.flows.get_presence(&event_id).await;
        let active_viewers = signed(viewers.map_err(Error::of_a_read)?);
        Ok(Response::new(proto::GetPresenceResponse { active_viewers }))
    }
}

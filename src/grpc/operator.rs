//! OperatorService: decode, call one flow, encode; and this server's way out.

use std::sync::Arc;

use tonic::{Extensions, Request, Response, Status};

use super::{Draining, decode, encode, page_token};
use crate::{
    domain::Caller,
    flow::{Error, Flows},
    proto::{self, operator_service_server::OperatorService},
};

/// The service, and the way out.
pub struct Operators {
    pub flows: Arc<Flows>,
    pub draining: Draining,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl OperatorService for Operators {
    async fn force_release_hold(
        &self,
        request: Request<proto::ForceReleaseHoldRequest>,
    ) -> Answer<proto::ForceReleaseHoldResponse> {
        let caller = caller(request.extensions());
        let request = decode::force_release(request.into_inner(), caller)?;
        let flows = self.flows.clone();
        let released = async move { flows.force_release(request).await };
        let hold = Some(encode::hold(self.flows.carry_through(released).await?));
        Ok(Response::new(proto::ForceReleaseHoldResponse { hold }))
    }

    async fn force_extend_hold(
        &self,
        request: Request<proto::ForceExtendHoldRequest>,
    ) -> Answer<proto::ForceExtendHoldResponse> {
        let caller = caller(request.extensions());
        let request = decode::force_extend(request.into_inner(), caller)?;
        let flows = self.flows.clone();
        let extended = async move { flows.force_extend(request).await };
        let hold = Some(encode::hold(self.flows.carry_through(extended).await?));
        Ok(Response::new(proto::ForceExtendHoldResponse { hold }))
    }

    async fn reassign_hold(
        &self,
        request: Request<proto::ReassignHoldRequest>,
    ) -> Answer<proto::ReassignHoldResponse> {
        let caller = caller(request.extensions());
        let request = decode::reassign_hold(request.into_inner(), caller)?;
        let flows = self.flows.clone();
        let reassigned = async move { flows.reassign_hold(request).await };
        let hold = Some(encode::hold(self.flows.carry_through(reassigned).await?));
        Ok(Response::new(proto::ReassignHoldResponse { hold }))
    }

    async fn list_operator_actions(
        &self,
        request: Request<proto::ListOperatorActionsRequest>,
    ) -> Answer<proto::ListOperatorActionsResponse> {
        let (event_id, before, page_size) = decode::list_operator_actions(request.get_ref())?;
        let listed = self.flows.list_operator_actions(&event_id, before, page_size).await;
        let (actions, has_more) = listed.map_err(Error::of_a_read)?;
        let last = actions.last().filter(|_| has_more);
        let next_page_token = last.map(|last| page_token::encode_number(last.number));
        Ok(Response::new(proto::ListOperatorActionsResponse {
            next_page_token: next_page_token.unwrap_or_default(),
            actions: actions.into_iter().map(encode::operator_action).collect(),
        }))
    }

    async fn list_open_holds(
        &self,
        request: Request<proto::ListOpenHoldsRequest>,
    ) -> Answer<proto::ListOpenHoldsResponse> {
        let (event_id, after, page_size) = decode::list_open_holds(request.get_ref())?;
        let listed = self.flows.list_open_holds(&event_id, after, page_size).await;
        let (holds, next) = listed.map_err(Error::of_a_read)?;
        Ok(Response::new(proto::ListOpenHoldsResponse {
            holds: holds.into_iter().map(encode::open_hold).collect(),
            next_page_token: next.map(page_token::encode_holds).unwrap_or_default(),
        }))
    }

    async fn drain(&self, _: Request<proto::DrainRequest>) -> Answer<proto::DrainResponse> {
        self.draining.ask();
        self.draining.begun().await;
        let others = (self.draining.calls_in_flight() - 1).max(0);
        let calls_in_flight = i32::try_from(others).unwrap_or(i32::MAX);
        Ok(Response::new(proto::DrainResponse { calls_in_flight }))
    }
}

/// Who calls, as the layer before has found out.
fn caller(extensions: &Extensions) -> Option<String> {
    extensions.get::<Arc<Caller>>().and_then(|caller| caller.name.clone())
}

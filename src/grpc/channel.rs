//! ChannelService: decode, call one flow, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{decode, encode, page_token};
use crate::{
    flow::{Error, Flows},
    proto::{self, channel_service_server::ChannelService},
};

/// The service.
pub struct Channels {
    pub flows: Arc<Flows>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ChannelService for Channels {
    async fn allocate_seats(
        &self,
        request: Request<proto::AllocateSeatsRequest>,
    ) -> Answer<proto::AllocateSeatsResponse> {
        let (event_id, channel, seat_ids, by) = decode::allocate_seats(request.into_inner())?;
        let (flows, key) = (self.flows.clone(), channel.clone());
        let allocate = async move { flows.allocate_seats(event_id, key, seat_ids, by).await };
        let allocation = self.flows.carry_through(allocate).await?;
        let allocation = Some(encode::allocation(&channel, allocation));
        Ok(Response::new(proto::AllocateSeatsResponse { allocation }))
    }

    async fn allocate_area(
        &self,
        request: Request<proto::AllocateAreaRequest>,
    ) -> Answer<proto::AllocateAreaResponse> {
        let request = decode::allocate_area(request.into_inner())?;
        let (flows, channel) = (self.flows.clone(), request.channel.clone());
        let allocate = async move { flows.allocate_area(request).await };
        let allocation = self.flows.carry_through(allocate).await?;
        let allocation = Some(encode::allocation(&channel, allocation));
        Ok(Response::new(proto::AllocateAreaResponse { allocation }))
    }

    async fn free_allocation(
        &self,
        request: Request<proto::FreeAllocationRequest>,
    ) -> Answer<proto::FreeAllocationResponse> {
        let (event_id, seat_ids, area_ids, by) = decode::free_allocation(request.into_inner())?;
        let flows = self.flows.clone();
        let free = async move { flows.free_allocation(event_id, seat_ids, area_ids, by).await };
        self.flows.carry_through(free).await?;
        Ok(Response::new(proto::FreeAllocationResponse {}))
    }

    async fn list_allocations(
        &self,
        request: Request<proto::ListAllocationsRequest>,
    ) -> Answer<proto::ListAllocationsResponse> {
        let event_id = decode::list_allocations(request.get_ref())?;
        let listed = self.flows.list_allocations(&event_id).await.map_err(Error::of_a_read)?;
        let allocations = listed.into_iter();
        let allocations = allocations.map(|(channel, kept)| encode::allocation(&channel, kept));
        let allocations = allocations.collect();
        Ok(Response::new(proto::ListAllocationsResponse { allocations }))
    }

    async fn list_channel_actions(
        &self,
        request: Request<proto::ListChannelActionsRequest>,
    ) -> Answer<proto::ListChannelActionsResponse> {
        let (event_id, before, page_size) = decode::list_channel_actions(request.get_ref())?;
        let listed = self.flows.list_channel_actions(&event_id, before, page_size).await;
        let (actions, has_more) = listed.map_err(Error::of_a_read)?;
        let last = actions.last().filter(|_| has_more);
        let next_page_token = last.map(|last| page_token::encode_number(last.number));
        Ok(Response::new(proto::ListChannelActionsResponse {
            next_page_token: next_page_token.unwrap_or_default(),
            actions: actions.into_iter().map(encode::channel_action).collect(),
        }))
    }
}

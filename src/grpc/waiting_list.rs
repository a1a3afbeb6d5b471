//! WaitingListService: decode, call one flow, encode.

use std::sync::Arc;

use futures_util::stream::{self, Empty};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    decode, encode,
    frames::{self, Body},
    mine::mine,
};
use crate::{
    flow::{Error, Flows},
    proto::{self, waiting_list_service_server::WaitingListService},
};

/// The service, and the sign to end its streams by.
pub struct WaitingLists {
    pub flows: Arc<Flows>,
    pub drain: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl WaitingListService for WaitingLists {
    type StreamWaitingListEntryStream =
        Empty<Result<proto::StreamWaitingListEntryResponse, Status>>;

    async fn join_waiting_list(
        &self,
        request: Request<proto::JoinWaitingListRequest>,
    ) -> Answer<proto::JoinWaitingListResponse> {
        let (event_id, entry_id, party, token) = decode::join_waiting_list(&mine(request)?)?;
        let flows = self.flows.clone();
        let join =
            async move { flows.join_waiting_list(&event_id, entry_id, &party, &token).await };
        let entry = Some(encode::waiting_list_entry(self.flows.carry_through(join).await?));
        Ok(Response::new(proto::JoinWaitingListResponse { entry }))
    }

    async fn get_waiting_list_entry(
        &self,
        request: Request<proto::GetWaitingListEntryRequest>,
    ) -> Answer<proto::GetWaitingListEntryResponse> {
        let proto::GetWaitingListEntryRequest { event_id, entry_id, holder_id } = mine(request)?;
        let request = decode::waiting_list_entry(&event_id, &entry_id, &holder_id)?;
        let found = self.flows.get_waiting_list_entry(&request).await;
        let entry = Some(encode::waiting_list_entry(found.map_err(Error::of_a_read)?));
        Ok(Response::new(proto::GetWaitingListEntryResponse { entry }))
    }

    async fn stream_waiting_list_entry(
        &self,
        request: Request<proto::StreamWaitingListEntryRequest>,
    ) -> Answer<Self::StreamWaitingListEntryStream> {
        let proto::StreamWaitingListEntryRequest { event_id, entry_id, holder_id } = mine(request)?;
        let request = decode::waiting_list_entry(&event_id, &entry_id, &holder_id)?;
        let opened = self.flows.stream_waiting_list_entry(&request).await;
        let reader = opened.map_err(Error::of_a_read)?;
        // The transport asks for a message only when its client has room for one.
        let messages = stream::unfold(reader, async |mut reader| {
            let entry = Some(encode::waiting_list_entry(reader.next().await?));
            let message = frames::framed(&proto::StreamWaitingListEntryResponse { entry });
            Some((Ok(message), reader))
        });
        Ok(Body::until(&self.drain, messages).into_response(stream::empty()))
    }

    async fn leave_waiting_list(
        &self,
        request: Request<proto::LeaveWaitingListRequest>,
    ) -> Answer<proto::LeaveWaitingListResponse> {
        let proto::LeaveWaitingListRequest { event_id, entry_id, holder_id } = mine(request)?;
        let request = decode::waiting_list_entry(&event_id, &entry_id, &holder_id)?;
        let flows = self.flows.clone();
        let leave = async move { flows.leave_waiting_list(&request).await };
        let entry = Some(encode::waiting_list_entry(self.flows.carry_through(leave).await?));
        Ok(Response::new(proto::LeaveWaitingListResponse { entry }))
    }
}

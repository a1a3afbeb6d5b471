//! QueueService: decode, call one flow, encode.

use std::sync::Arc;

use futures_util::stream::{self, Empty};
use tokio_util::sync::CancellationToken;
use tonic::{Extensions, Request, Response, Status};

use super::{
    decode, encode,
    frames::{self, Body},
    mine::{is_bound, is_his, mine},
};
use crate::{
    domain::{EventId, Refusal},
    flow::{Error, Flows},
    proto::{self, queue_service_server::QueueService},
    telemetry,
};

/// The service, and the sign to end its streams by.
pub struct Queues {
    pub flows: Arc<Flows>,
    pub drain: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

impl Queues {
    /// Whether a place is its caller's, where he may only know of his own.
    async fn check_place(
        &self,
        extensions: &Extensions,
        event_id: &EventId,
        place_token: &str,
    ) -> Result<(), Status> {
        if is_bound(extensions) {
            let holder = self.flows.holder_of_place(event_id, place_token).await;
            if !is_his(extensions, &holder.map_err(Error::of_a_read)?) {
                return Err(Refusal::PlaceNotFound(event_id.clone()).into());
            }
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl QueueService for Queues {
    async fn join(&self, request: Request<proto::JoinRequest>) -> Answer<proto::JoinResponse> {
        let (event_id, holder_id) = decode::join(&mine(request)?)?;
        let (place_token, position) = self.flows.join(&event_id, &holder_id).await?;
        let position = Some(encode::queue_position(position));
        Ok(Response::new(proto::JoinResponse { place_token, position }))
    }

    type StreamPositionStream = Empty<Result<proto::StreamPositionResponse, Status>>;

    async fn stream_position(
        &self,
        request: Request<proto::StreamPositionRequest>,
    ) -> Answer<Self::StreamPositionStream> {
        let (_, extensions, request) = request.into_parts();
        let (event_id, place_token) = decode::stream_position(request)?;
        self.check_place(&extensions, &event_id, &place_token).await?;
        let opened = self.flows.stream_position(&event_id, &place_token).await;
        let reader = (opened.map_err(Error::of_a_read)?, telemetry::queue_stream());
        // The transport asks for a message only when its client has room for one.
        let messages = stream::unfold(reader, async |(mut reader, counted)| {
            let position = match reader.next().await {
                Ok(position) => position?,
                Err(error) => return Some((Err(error.of_a_read().into()), (reader, counted))),
            };
            let position = Some(encode::queue_position(position));
            let message = frames::framed(&proto::StreamPositionResponse { position });
            Some((Ok(message), (reader, counted)))
        });
        Ok(Body::until(&self.drain, messages).into_response(stream::empty()))
    }

    async fn leave(
        &self,
        request: Request<proto::QueueServiceLeaveRequest>,
    ) -> Answer<proto::QueueServiceLeaveResponse> {
        let (_, extensions, request) = request.into_parts();
        let (event_id, place_token) = decode::leave_queue(request)?;
        self.check_place(&extensions, &event_id, &place_token).await?;
        self.flows.leave_queue(&event_id, &place_token).await?;
        Ok(Response::new(proto::QueueServiceLeaveResponse {}))
    }
}

//! QueueService: decode, call one flow, encode.

use std::{future::ready, sync::Arc};

use futures_util::{
    StreamExt,
    stream::{self, AbortHandle, Abortable, Empty},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    decode, encode,
    frames::{self, Body},
    status,
};
use crate::{
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

#[tonic::async_trait]
impl QueueService for Queues {
    async fn join(&self, request: Request<proto::JoinRequest>) -> Answer<proto::JoinResponse> {
        let (event_id, holder_id) = decode::join(request.get_ref())?;
        let (place_token, position) = self.flows.join(&event_id, &holder_id).await?;
        let position = Some(encode::queue_position(position));
        Ok(Response::new(proto::JoinResponse { place_token, position }))
    }

    type StreamPositionStream = Empty<Result<proto::StreamPositionResponse, Status>>;

    async fn stream_position(
        &self,
        request: Request<proto::StreamPositionRequest>,
    ) -> Answer<Self::StreamPositionStream> {
        let (event_id, place_token) = decode::stream_position(request.into_inner())?;
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
        let (drain, drained) = AbortHandle::new_pair();
        // It ends well by itself, once the place was let in.
        let ended = drain.clone();
        let draining = stream::once(ready(()))
            .filter_map(move |()| ready(ended.is_aborted().then(|| Err(status::draining()))));
        let messages = Abortable::new(messages, drained).chain(draining);
        let body = Body::drained_by(messages, drain.clone());
        if self.drain.is_cancelled() {
            drain.abort();
        }
        Ok(body.into_response(stream::empty()))
    }

    async fn leave(
        &self,
        request: Request<proto::QueueServiceLeaveRequest>,
    ) -> Answer<proto::QueueServiceLeaveResponse> {
        let (event_id, place_token) = decode::leave_queue(request.into_inner())?;
        self.flows.leave_queue(&event_id, &place_token).await?;
        Ok(Response::new(proto::QueueServiceLeaveResponse {}))
    }
}

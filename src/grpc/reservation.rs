//! ReservationService: decode, call one flow, encode.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{decode, encode, status};
use crate::{
    flow::{Caller, Error, Flows, SeatStream},
    proto::{self, reservation_service_server::ReservationService},
    telemetry,
};

/// The service, and the sign to end its streams by.
pub struct Reservations {
    pub flows: Arc<Flows>,
    pub drain: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ReservationService for Reservations {
    async fn hold(&self, request: Request<proto::HoldRequest>) -> Answer<proto::HoldResponse> {
        let request = decode::hold(request.get_ref())?;
        // It goes with this call, where that is given up.
        let caller = Caller::default();
        let (flows, watch) = (self.flows.clone(), caller.watch());
        let held = self.flows.carry_through(async move { flows.hold(request, watch).await }).await;
        let hold = Some(encode::hold(held?));
        Ok(Response::new(proto::HoldResponse { hold }))
    }

    async fn extend_hold(
        &self,
        request: Request<proto::ExtendHoldRequest>,
    ) -> Answer<proto::ExtendHoldResponse> {
        let request = decode::extend_hold(request.get_ref())?;
        let flows = self.flows.clone();
        let held = self.flows.carry_through(async move { flows.extend_hold(request).await }).await;
        let hold = Some(encode::hold(held?));
        Ok(Response::new(proto::ExtendHoldResponse { hold }))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Answer<proto::ReleaseResponse> {
        let request = decode::release(request.get_ref())?;
        let flows = self.flows.clone();
        let held = self.flows.carry_through(async move { flows.release(request).await }).await;
        let hold = Some(encode::hold(held?));
        Ok(Response::new(proto::ReleaseResponse { hold }))
    }

    async fn confirm(
        &self,
        request: Request<proto::ConfirmRequest>,
    ) -> Answer<proto::ConfirmResponse> {
        let request = decode::confirm(request.get_ref())?;
        let flows = self.flows.clone();
        let sold = self.flows.carry_through(async move { flows.confirm(request).await }).await;
        let order = Some(encode::order(sold?));
        Ok(Response::new(proto::ConfirmResponse { order }))
    }

    async fn get_hold(
        &self,
        request: Request<proto::GetHoldRequest>,
    ) -> Answer<proto::GetHoldResponse> {
        let (event_id, hold_id) = decode::get_hold(request.get_ref())?;
        let hold = self.flows.get_hold(&event_id, hold_id).await.map_err(Error::of_a_read)?;
        Ok(Response::new(proto::GetHoldResponse { hold: Some(encode::hold(hold)) }))
    }

    async fn get_seat_map(
        &self,
        request: Request<proto::GetSeatMapRequest>,
    ) -> Answer<proto::GetSeatMapResponse> {
        let event_id = decode::get_seat_map(request.get_ref())?;
        let view = self.flows.get_seat_map(&event_id).await.map_err(Error::of_a_read)?;
        Ok(Response::new(encode::seat_map(view)))
    }

    type StreamSeatUpdatesStream =
        Pin<Box<dyn Stream<Item = Result<proto::StreamSeatUpdatesResponse, Status>> + Send>>;

    async fn stream_seat_updates(
        &self,
        request: Request<proto::StreamSeatUpdatesRequest>,
    ) -> Answer<Self::StreamSeatUpdatesStream> {
        let (event_id, position) = decode::stream_seat_updates(request.get_ref())?;
        let opened = self.flows.stream_seat_updates(&event_id, position).await;
        let reader = Reader {
            stream: opened.map_err(Error::of_a_read)?,
            drain: self.drain.clone(),
            _counted: telemetry::subscriber(),
        };
        Ok(Response::new(Box::pin(stream::unfold(Some(reader), Reader::next))))
    }
}

/// A stream to one client. It is asked for a message only when the client's
/// connection has room for one.
struct Reader {
    stream: SeatStream,
    drain: CancellationToken,
    _counted: telemetry::Subscriber,
}

impl Reader {
    /// The next message, and the reader for the one after it, unless the
    /// stream has ended.
    async fn next(
        reader: Option<Self>,
    ) -> Option<(Result<proto::StreamSeatUpdatesResponse, Status>, Option<Self>)> {
        let mut reader = reader?;
        let drained = reader.drain.clone();
        match drained.run_until_cancelled(reader.stream.next()).await {
            Some(Ok(message)) => Some((Ok(encode::stream_message(message)), Some(reader))),
            Some(Err(error)) => Some((Err(error.of_a_read().into()), None)),
            None => Some((Err(status::draining()), None)),
        }
    }
}

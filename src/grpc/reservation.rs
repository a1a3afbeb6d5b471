//! ReservationService: decode, call one flow, encode.

use std::sync::Arc;

use futures_util::stream::{self, Empty};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    decode, encode,
    frames::{self, Body},
    mine::{is_his, mine},
    stall,
};
use crate::{
    domain::Refusal,
    flow::{Error, Flows},
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
        let request = decode::hold(&mine(request)?)?;
        // Where this call is given up, a hold that waits for its turn is not made.
        let held = self.flows.hold(request).await?;
        Ok(Response::new(proto::HoldResponse {
            hold: Some(encode::hold(held.hold)),
            stranded_seat_ids: held.stranded.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn change_hold(
        &self,
        request: Request<proto::ChangeHoldRequest>,
    ) -> Answer<proto::ChangeHoldResponse> {
        let request = decode::change_hold(&mine(request)?)?;
        let flows = self.flows.clone();
        let held = self.flows.carry_through(async move { flows.change_hold(request).await });
        let held = held.await?;
        Ok(Response::new(proto::ChangeHoldResponse {
            hold: Some(encode::hold(held.hold)),
            stranded_seat_ids: held.stranded.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn extend_hold(
        &self,
        request: Request<proto::ExtendHoldRequest>,
    ) -> Answer<proto::ExtendHoldResponse> {
        let request = decode::extend_hold(&mine(request)?)?;
        let flows = self.flows.clone();
        let held = self.flows.carry_through(async move { flows.extend_hold(request).await }).await;
        let hold = Some(encode::hold(held?));
        Ok(Response::new(proto::ExtendHoldResponse { hold }))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Answer<proto::ReleaseResponse> {
        let request = decode::release(&mine(request)?)?;
        let flows = self.flows.clone();
        let held = self.flows.carry_through(async move { flows.release(request).await }).await;
        let hold = Some(encode::hold(held?));
        Ok(Response::new(proto::ReleaseResponse { hold }))
    }

    async fn confirm(
        &self,
        request: Request<proto::ConfirmRequest>,
    ) -> Answer<proto::ConfirmResponse> {
        let request = decode::confirm(&mine(request)?)?;
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
        if !is_his(request.extensions(), &hold.holder_id) {
            return Err(Refusal::HoldNotFound(hold_id).into());
        }
        Ok(Response::new(proto::GetHoldResponse { hold: Some(encode::hold(hold)) }))
    }

    async fn get_seat_map(
        &self,
        request: Request<proto::GetSeatMapRequest>,
    ) -> Answer<proto::GetSeatMapResponse> {
        let (event_id, format) = decode::get_seat_map(request.get_ref())?;
        let encode = |view| frames::framed(&encode::seat_map(view));
        let map = self.flows.get_seat_map(&event_id, format, encode).await;
        let map = map.map_err(Error::of_a_read)?;
        let body = Body::of(stream::iter([Ok(map)]));
        Ok(body.into_response(proto::GetSeatMapResponse::default()))
    }

    type StreamSeatUpdatesStream = Empty<Result<proto::StreamSeatUpdatesResponse, Status>>;

    async fn stream_seat_updates(
        &self,
        request: Request<proto::StreamSeatUpdatesRequest>,
    ) -> Answer<Self::StreamSeatUpdatesStream> {
        let request = decode::stream_seat_updates(request.get_ref())?;
        let encode = |message, token| frames::framed(&encode::stream_message(message, token));
        let connection = stall::connection_of_this_call();
        let opened = self.flows.stream_seat_updates(request, encode, connection).await;
        let reader = (opened.map_err(Error::of_a_read)?, telemetry::subscriber());
        // The transport asks for a message only when its client has room for one.
        let messages = stream::unfold(reader, async |(mut stream, counted)| {
            let message = stream.next().await.map_err(|error| error.of_a_read().into());
            Some((message, (stream, counted)))
        });
        Ok(Body::until(&self.drain, messages).into_response(stream::empty()))
    }
}

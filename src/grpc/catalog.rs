//! CatalogService: decode, call one flow, encode.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    decode, encode,
    frames::{self, Body},
    page_token,
};
use crate::{
    domain::{ChartDraft, Event, FoundAt, Search, SeatStatus},
    flow::{Encoders, Error, Flows},
    proto::{self, catalog_service_server::CatalogService},
};

/// The service.
pub struct Catalog {
    pub flows: Arc<Flows>,
}

/// What the caches keep, as bytes.
pub const ENCODERS: Encoders = Encoders { detail, listed };

fn detail(event: Event, chart: ChartDraft) -> Bytes {
    let chart_version = encode::chart_version(chart.seat_count());
    let (event, chart) = (Some(encode::event(event)), Some(encode::chart(chart)));
    frames::framed(&proto::GetEventResponse { event, chart, chart_version })
}

fn listed(event: Event) -> Bytes {
    let page = proto::ListEventsResponse {
        events: vec![encode::event(event)],
        next_page_token: String::new(),
    };
    page.encode_to_vec().into()
}

fn found_page(events: Vec<Event>, last: Option<FoundAt>, search: &Search) -> Bytes {
    let token = last.map(|at| page_token::encode_found(&at, search));
    frames::framed(&proto::SearchEventsResponse {
        events: events.into_iter().map(encode::event).collect(),
        next_page_token: token.unwrap_or_default(),
    })
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl CatalogService for Catalog {
    async fn create_event(
        &self,
        request: Request<proto::CreateEventRequest>,
    ) -> Answer<proto::CreateEventResponse> {
        let (event, chart, fingerprint) = decode::create_event(request.into_inner())?;
        let flows = self.flows.clone();
        let created = self
            .flows
            .carry_through(async move { flows.create_event(event, chart, fingerprint).await });
        let event = Some(encode::event(created.await?));
        Ok(Response::new(proto::CreateEventResponse { event }))
    }

    async fn update_event(
        &self,
        request: Request<proto::UpdateEventRequest>,
    ) -> Answer<proto::UpdateEventResponse> {
        let (event_id, change) = decode::update_event(request.into_inner())?;
        let flows = self.flows.clone();
        let updated =
            self.flows.carry_through(async move { flows.update_event(event_id, change).await });
        let event = Some(encode::event(updated.await?));
        Ok(Response::new(proto::UpdateEventResponse { event }))
    }

    async fn get_event(
        &self,
        request: Request<proto::GetEventRequest>,
    ) -> Answer<proto::GetEventResponse> {
        let event_id = decode::get_event(request.get_ref())?;
        let event = self.flows.get_event(&event_id).await.map_err(Error::of_a_read)?;
        let body = Body::of(stream::iter([Ok(event)]));
        Ok(body.into_response(proto::GetEventResponse::default()))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Answer<proto::ListEventsResponse> {
        let paging = decode::list_events(request.get_ref())?;
        let (events, next) = self.flows.list_events(paging).await.map_err(Error::of_a_read)?;
        let end = proto::ListEventsResponse {
            events: Vec::new(),
            next_page_token: next.as_ref().map(page_token::encode).unwrap_or_default(),
        };
        let page = frames::framed_parts(&events, &end);
        let body = Body::of(stream::iter([Ok(page)]));
        Ok(body.into_response(proto::ListEventsResponse::default()))
    }

    async fn search_events(
        &self,
        request: Request<proto::SearchEventsRequest>,
    ) -> Answer<proto::SearchEventsResponse> {
        let (search, paging) = decode::search_events(request.get_ref())?;
        let found = self.flows.search_events(&search, &paging, found_page).await;
        let body = Body::of(stream::iter([Ok(found.map_err(Error::of_a_read)?)]));
        Ok(body.into_response(proto::SearchEventsResponse::default()))
    }

    async fn add_seats(
        &self,
        request: Request<proto::AddSeatsRequest>,
    ) -> Answer<proto::AddSeatsResponse> {
        let new = decode::add_seats(request.into_inner())?;
        let flows = self.flows.clone();
        let grown = self.flows.carry_through(async move { flows.add_seats(new).await });
        let section = Some(encode::section(grown.await?));
        Ok(Response::new(proto::AddSeatsResponse { section }))
    }

    async fn add_areas(
        &self,
        request: Request<proto::AddAreasRequest>,
    ) -> Answer<proto::AddAreasResponse> {
        let (event_id, areas) = decode::add_areas(request.into_inner())?;
        let flows = self.flows.clone();
        let grown = self.flows.carry_through(async move { flows.add_areas(event_id, areas).await });
        let areas = encode::areas(grown.await?);
        Ok(Response::new(proto::AddAreasResponse { areas }))
    }

    async fn block_seats(
        &self,
        request: Request<proto::BlockSeatsRequest>,
    ) -> Answer<proto::BlockSeatsResponse> {
        let (event_id, seat_ids) = decode::block_seats(request.get_ref())?;
        let blocked = seat_ids.iter().map(|id| (id.clone(), SeatStatus::Blocked)).collect();
        let flows = self.flows.clone();
        let done =
            self.flows.carry_through(async move { flows.block_seats(event_id, seat_ids).await });
        done.await?;
        let seats = encode::seat_states(blocked);
        Ok(Response::new(proto::BlockSeatsResponse { seats }))
    }

    async fn unblock_seats(
        &self,
        request: Request<proto::UnblockSeatsRequest>,
    ) -> Answer<proto::UnblockSeatsResponse> {
        let (event_id, seat_ids) = decode::unblock_seats(request.get_ref())?;
        let flows = self.flows.clone();
        let done =
            self.flows.carry_through(async move { flows.unblock_seats(event_id, seat_ids).await });
        let seats = encode::seat_states(done.await?);
        Ok(Response::new(proto::UnblockSeatsResponse { seats }))
    }
}

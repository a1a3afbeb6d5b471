//! CatalogService: decode, call one flow, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{decode, encode, page_token};
use crate::{
    domain::SeatStatus,
    flow::{Error, Flows},
    proto::{self, catalog_service_server::CatalogService},
};

/// The service.
pub struct Catalog {
    pub flows: Arc<Flows>,
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
        let (event, chart) = self.flows.get_event(&event_id).await.map_err(Error::of_a_read)?;
        let chart_version = encode::chart_version(chart.seat_count());
        let (event, chart) = (Some(encode::event(event)), Some(encode::chart(chart)));
        Ok(Response::new(proto::GetEventResponse { event, chart, chart_version }))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Answer<proto::ListEventsResponse> {
        let paging = decode::list_events(request.get_ref())?;
        let (events, next) = self.flows.list_events(paging).await.map_err(Error::of_a_read)?;
        Ok(Response::new(proto::ListEventsResponse {
            events: events.into_iter().map(encode::event).collect(),
            next_page_token: next.as_ref().map(page_token::encode).unwrap_or_default(),
        }))
    }

    async fn search_events(
        &self,
        _: Request<proto::SearchEventsRequest>,
    ) -> Answer<proto::SearchEventsResponse> {
        Err(Status::unimplemented(""))
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

//! The requests of CatalogService.

use super::{
    chart::{areas, new_rows},
    fields::Fields,
};
use crate::{
    domain::{Area, EventId, Paging, Refusal, Search, SearchPaging, SeatId},
    flow::AddSeatsRequest,
    grpc::page_token,
    limits::{
        MAX_AREAS, MAX_CITY_CHARS, MAX_NAME_CHARS, MAX_PAGE_SIZE, MAX_QUERY_CHARS, MAX_ROWS,
        MAX_SEATS_BLOCKED_AT_ONCE,
    },
    proto,
};

pub fn get_event(request: &proto::GetEventRequest) -> Result<EventId, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    fields.finish(|| event_id)
}

pub fn list_events(request: &proto::ListEventsRequest) -> Result<Paging, Refusal> {
    let mut fields = Fields::default();
    let page_size = fields.page_size(request.page_size, MAX_PAGE_SIZE);
    let after = page_token::decode(&request.page_token);
    if after.is_none() && !request.page_token.is_empty() {
        fields.bad("page_token", "is not the token of a page before");
    }
    fields.finish(|| Some(Paging { page_size: page_size?, after }))
}

pub fn search_events(
    request: &proto::SearchEventsRequest,
) -> Result<(Search, SearchPaging), Refusal> {
    let mut fields = Fields::default();
    let query = fields.text("query", request.query.clone(), 0..=MAX_QUERY_CHARS);
    let city = fields.text("city", request.city.clone(), 0..=MAX_CITY_CHARS);
    let from = request.start_time.map(|time| fields.time("start_time", Some(time)));
    let to = request.end_time.map(|time| fields.time("end_time", Some(time)));
    let page_size = fields.page_size(request.page_size, MAX_PAGE_SIZE);
    let search = Option::zip(query, city)
        .map(|(query, city)| Search::new(&query, &city, from.flatten(), to.flatten()));
    let after =
        search.as_ref().and_then(|search| page_token::decode_found(&request.page_token, search));
    if after.is_none() && !request.page_token.is_empty() {
        fields.bad("page_token", "is not the token of a page before, of the same search");
    }
    fields.finish(|| Some((search?, SearchPaging { page_size: page_size?, after })))
}

pub fn add_seats(request: proto::AddSeatsRequest) -> Result<AddSeatsRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let section_id = fields.parsed("section_id", &request.section_id);
    fields.count("rows", &request.rows, 1..=MAX_ROWS);
    let rows = new_rows(&mut fields, request.rows);
    let name = match request.section_name.is_empty() {
        true => request.section_id,
        false => request.section_name,
    };
    let section_name = fields.text("section_name", name, 0..=MAX_NAME_CHARS);
    fields.finish(|| {
        Some(AddSeatsRequest {
            event_id: event_id?,
            section_id: section_id?,
            section_name: section_name?,
            rows: rows?,
        })
    })
}

pub fn add_areas(request: proto::AddAreasRequest) -> Result<(EventId, Vec<Area>), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    fields.count("areas", &request.areas, 1..=MAX_AREAS);
    let areas = areas(&mut fields, "areas", request.areas);
    fields.finish(|| Some((event_id?, areas?)))
}

pub fn block_seats(request: &proto::BlockSeatsRequest) -> Result<(EventId, Vec<SeatId>), Refusal> {
    seats_of_event(&request.event_id, &request.seat_ids)
}

pub fn unblock_seats(
    request: &proto::UnblockSeatsRequest,
) -> Result<(EventId, Vec<SeatId>), Refusal> {
    seats_of_event(&request.event_id, &request.seat_ids)
}

fn seats_of_event(event_id: &str, seat_ids: &[String]) -> Result<(EventId, Vec<SeatId>), Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", event_id);
    fields.count("seat_ids", seat_ids, 1..=MAX_SEATS_BLOCKED_AT_ONCE);
    let seat_ids = fields.ids("seat_ids", seat_ids);
    fields.finish(|| Some((event_id?, seat_ids?)))
}

//! The events that are loaded: one that is there, or own ones.

use std::{sync::Arc, time::SystemTime};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::client::{Clients, why};
use crate::{
    config::Houses,
    limits::{
        LOAD_EVENTS_AT_ONCE, LOAD_HOUSE_SEATS, LOAD_HOUSES_SEATS, MAX_SEATS, MAX_UNITS_PER_HOLD,
    },
    proto::{
        self, CreateEventRequest, EventState, GetEventRequest, GetSeatMapRequest, HoldDurability,
        SeatStatus, UpdateEventRequest, google::r#type::Money,
    },
};

/// Seats of one row of an own event.
const ROW: usize = 100;

/// One event, and the seats that can be held in it, in chart order.
#[derive(Debug)]
pub struct House {
    pub event_id: String,
    pub seats: Vec<String>,
    /// Made by this run: nobody else holds anything here.
    pub own: bool,
}

/// What a scenario needs of its houses.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Events of its own where neither --event nor --events is given.
    pub events: u32,
    /// Seats in one hold.
    pub seats_per_hold: u32,
    /// Holds that live at the same time in one event; `None` for as many as there
    /// is room for.
    pub holds: Option<u64>,
}

/// The event named, or own ones, on sale.
///
/// # Errors
/// Where there is no such event, it takes no such holds, or none can be made.
pub async fn open(
    clients: &Clients,
    run: &str,
    houses: &Houses,
    need: Need,
) -> anyhow::Result<Arc<[House]>> {
    if let Some(event_id) = &houses.event {
        return Ok([find(clients, event_id.as_str(), need).await?].into());
    }
    let events = houses.events.unwrap_or(need.events);
    let seats = match (houses.house, need.holds) {
        (Some(seats), _) => u64::from(seats.get()),
        (None, Some(holds)) => {
            let seats = holds.saturating_mul(u64::from(need.seats_per_hold));
            ensure!(
                seats <= MAX_SEATS as u64,
                "{holds} holds of {} seats in one event need {seats} seats, and an event has at \
                 most {MAX_SEATS}: take more --events, or fewer --calls, or name a --house that \
                 is smaller than that",
                need.seats_per_hold
            );
            seats
        }
        (None, None) => LOAD_HOUSE_SEATS.min(LOAD_HOUSES_SEATS / u64::from(events)),
    };
    ensure!(seats <= MAX_SEATS as u64, "an event has at most {MAX_SEATS} seats");
    let seats = usize::try_from(seats)?;
    let made = stream::iter(0..events).map(async |n| {
        let event_id = format!("{run}-{n}");
        let request = draw(&event_id, seats, need.seats_per_hold, houses.journaled);
        let made = clients.catalog(n as usize).create_event(request).await;
        made.map_err(|status| why(&status)).context("cannot create an event")?;
        anyhow::Ok(House { event_id, seats: (0..seats).map(seat_id).collect(), own: true })
    });
    let made: Vec<anyhow::Result<House>> = made.buffered(LOAD_EVENTS_AT_ONCE).collect().await;
    let (mut houses, mut failed) = (Vec::new(), None);
    for made in made {
        match made {
            Ok(house) => houses.push(house),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        close(clients, &houses).await?;
        return Err(error);
    }
    Ok(houses.into())
}

/// Closes the events that this run made.
pub async fn close(clients: &Clients, houses: &[House]) -> anyhow::Result<()> {
    let own = houses.iter().enumerate().filter(|(_, house)| house.own);
    let closed = stream::iter(own).map(async |(n, house)| {
        let event = proto::Event {
            event_id: house.event_id.clone(),
            state: EventState::Closed.into(),
            ..proto::Event::default()
        };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["state".into()] });
        let request = UpdateEventRequest { event: Some(event), update_mask };
        let closed = clients.catalog(n).update_event(request).await;
        closed.map_err(|status| why(&status)).context("cannot close an event")
    });
    closed.buffer_unordered(LOAD_EVENTS_AT_ONCE).try_collect::<Vec<_>>().await?;
    Ok(())
}

/// An event that is there, and its seats that are free now.
async fn find(clients: &Clients, event_id: &str, need: Need) -> anyhow::Result<House> {
    let request = GetEventRequest { event_id: event_id.to_owned() };
    let event = clients.catalog(0).get_event(request).await.map_err(|status| why(&status))?;
    let event = event.into_inner().event.unwrap_or_default();
    ensure!(event.state() == EventState::OnSale, "event {event_id} is not on sale");
    let asked = i32::try_from(need.seats_per_hold)?;
    let limit = event.max_units_per_hold;
    ensure!(
        asked <= limit,
        "event {event_id} takes at most {limit} seats in one hold, not {asked}"
    );
    let limit = event.max_units_per_holder;
    ensure!(
        limit == 0,
        "event {event_id} allows {limit} units to a holder; a load needs one without that limit"
    );
    let limit = event.max_holds_per_holder;
    ensure!(
        limit == 0,
        "event {event_id} allows {limit} holds to a holder; a load needs one without that limit"
    );
    let request = GetSeatMapRequest { event_id: event_id.to_owned(), ..Default::default() };
    let map = clients.of(0).get_seat_map(request).await.map_err(|status| why(&status))?;
    let seats = map.into_inner().seats.into_iter();
    let free = seats.filter(|seat| seat.status() == SeatStatus::Available);
    let seats: Vec<String> = free.map(|seat| seat.seat_id).collect();
    ensure!(!seats.is_empty(), "event {event_id} has no seat left");
    Ok(House { event_id: event_id.to_owned(), seats, own: false })
}

fn draw(event_id: &str, seats: usize, per_hold: u32, journaled: bool) -> CreateEventRequest {
    let start_time = SystemTime::now() + std::time::Duration::from_secs(30 * 24 * 3_600);
    let event = proto::Event {
        event_id: event_id.to_owned(),
        name: format!("Load {event_id}"),
        start_time: Some(start_time.into()),
        max_units_per_hold: i32::try_from(per_hold.clamp(50, MAX_UNITS_PER_HOLD)).unwrap_or(50),
        hold_durability: match journaled {
            true => HoldDurability::Journaled.into(),
            false => HoldDurability::Fast.into(),
        },
        ..proto::Event::default()
    };
    let seat = |n| proto::Seat {
        seat_id: seat_id(n),
        price_category_id: "seat".into(),
        ..proto::Seat::default()
    };
    let rows = (0..seats).step_by(ROW).map(|first| proto::Row {
        row_id: (first / ROW + 1).to_string(),
        seats: (first..seats.min(first + ROW)).map(seat).collect(),
    });
    let price = Money { currency_code: "EUR".into(), units: 50, nanos: 0 };
    let chart = proto::Chart {
        price_categories: vec![proto::PriceCategory {
            price_category_id: "seat".into(),
            name: "Seat".into(),
            price: Some(price),
        }],
        sections: vec![proto::Section {
            section_id: "stalls".into(),
            name: "Stalls".into(),
            rows: rows.collect(),
        }],
        areas: Vec::new(),
    };
    CreateEventRequest { event: Some(event), chart: Some(chart) }
}

/// The seat of an own event, such as `12-7`: row, number.
fn seat_id(n: usize) -> String {
    format!("{}-{}", n / ROW + 1, n % ROW + 1)
}

//! The events that are sold: small ones, a few at a time, and new ones again
//! and again, since what is sold never comes back.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use holdfast::proto::{self, catalog_service_client::CatalogServiceClient};
use rand::{Rng, rngs::StdRng};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

use super::{Floor, call::channel};
use crate::history::{Event, Line};

/// Events on sale at the same time.
const SHOWS: usize = 3;
/// How long a season lasts, in ms.
const SEASON_MS: std::ops::Range<u64> = 5_000..9_000;
const TRY_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than any fault lasts.
const CREATE_PATIENCE: Duration = Duration::from_secs(90);

/// One event.
#[derive(Debug, Clone)]
pub struct Show {
    pub event_id: String,
    pub journaled: bool,
    pub seat_ids: Vec<String>,
    pub area_id: String,
    pub capacity: u32,
}

impl Show {
    /// One with so many seats.
    pub fn new(event_id: String, journaled: bool, seats: usize) -> Self {
        Self {
            event_id,
            journaled,
            seat_ids: (1..=seats).map(|number| format!("A-{number}")).collect(),
            area_id: "floor".into(),
            capacity: 10,
        }
    }

    fn request(&self) -> proto::CreateEventRequest {
        let (seat, floor) = ("seat".to_owned(), "floor".to_owned());
        let seats = self.seat_ids.iter().map(|seat_id| proto::Seat {
            seat_id: seat_id.clone(),
            price_category_id: seat.clone(),
            ..proto::Seat::default()
        });
        let seats: Vec<_> = seats.collect();
        let rows = seats
            .chunks(1_000)
            .enumerate()
            .map(|(row, seats)| proto::Row { row_id: row.to_string(), seats: seats.to_vec() });
        let chart = proto::Chart {
            price_categories: vec![price(&seat, 30), price(&floor, 12)],
            sections: vec![proto::Section {
                section_id: "stalls".into(),
                rows: rows.collect(),
                ..proto::Section::default()
            }],
            areas: vec![proto::Area {
                area_id: self.area_id.clone(),
                capacity: i32::try_from(self.capacity).unwrap_or(i32::MAX),
                price_category_id: floor,
                ..proto::Area::default()
            }],
        };
        let durability = match self.journaled {
            true => proto::HoldDurability::Journaled,
            false => proto::HoldDurability::Fast,
        };
        let event = proto::Event {
            event_id: self.event_id.clone(),
            name: "An Evening".into(),
            start_time: Some(prost_types::Timestamp { seconds: 1_900_000_000, nanos: 0 }),
            hold_ttl: Some(prost_types::Duration { seconds: 3, nanos: 0 }),
            max_hold_time: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
            max_units_per_hold: 12,
            hold_durability: durability.into(),
            ..proto::Event::default()
        };
        proto::CreateEventRequest { event: Some(event), chart: Some(chart) }
    }

    fn line(&self) -> Line {
        Line::Event(Event {
            event_id: self.event_id.clone(),
            journaled: self.journaled,
            seat_ids: self.seat_ids.clone(),
            areas: vec![(self.area_id.clone(), self.capacity)],
        })
    }
}

fn price(id: &str, units: i64) -> proto::PriceCategory {
    proto::PriceCategory {
        price_category_id: id.into(),
        name: id.into(),
        price: Some(proto::google::r#type::Money { currency_code: "EUR".into(), units, nanos: 0 }),
    }
}

/// Puts an event on sale, however often that has to be tried.
pub async fn create(doors: &[u16], show: &Show) -> anyhow::Result<()> {
    let mut clients: Vec<CatalogServiceClient<Channel>> =
        doors.iter().map(|&port| CatalogServiceClient::new(channel(port))).collect();
    let deadline = Instant::now() + CREATE_PATIENCE;
    for turn in 0.. {
        let client = &mut clients[turn % doors.len()];
        let failed = match timeout(TRY_TIMEOUT, client.create_event(show.request())).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(status)) => status.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() > deadline {
            return None.with_context(|| format!("{} cannot be made: {failed}", show.event_id));
        }
        sleep(Duration::from_millis(100)).await;
    }
    unreachable!("it is tried for ever")
}

/// Whoever puts new events on sale.
pub struct Dealer {
    floor: Arc<Floor>,
    random: StdRng,
    season: usize,
}

impl Dealer {
    pub fn new(floor: Arc<Floor>, random: StdRng) -> Self {
        Self { floor, random, season: 0 }
    }

    /// The next events, on sale.
    pub async fn next_season(&mut self) -> anyhow::Result<()> {
        self.season += 1;
        let shows = (0..SHOWS).map(|number| {
            let seats = self.random.random_range(12..=20);
            let event_id = format!("show-{}-{number}", self.season);
            Arc::new(Show::new(event_id, number == 0, seats))
        });
        let shows: Vec<_> = shows.collect();
        for show in &shows {
            create(&self.floor.doors, show).await?;
            self.floor.recorder.write(show.line());
            self.floor.shows.lock().unwrap_or_else(PoisonError::into_inner).push(show.clone());
        }
        self.floor.on_sale.send_replace(Arc::new(shows));
        Ok(())
    }

    /// New events, season by season.
    pub async fn run(mut self) {
        let closing = self.floor.closing.clone();
        loop {
            let season = Duration::from_millis(self.random.random_range(SEASON_MS));
            if closing.run_until_cancelled(sleep(season)).await.is_none() {
                return;
            }
            // An event that cannot be made is one less; the season goes on.
            if let Err(error) = self.next_season().await {
                println!("{error:#}");
            }
        }
    }
}

//! Events to measure on, and requests to send.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use holdfast::{
    domain::{
        Epoch, Event, EventId, EventState, HoldDurability, HoldId, HolderId, LatePayment,
        OrphanPolicy, SeatIndex, WaitingRoom,
    },
    holds::{HoldArgs, HoldReply, Holds, LoadArgs, LoadReply, Reply, Rules},
    limits::{DEFAULT_HOLD_TTL, DEFAULT_MAX_HOLD_TIME, MAX_HOLDS_PER_CALL, MAX_UNITS_PER_HOLD},
    proto::{
        self, AreaQuantity, ConfirmRequest, CreateEventRequest, HoldRequest, google::r#type::Money,
    },
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{stage::Server, wire::frame};

pub const HOLDER: &str = "ann";
/// An area that every event has, of a million units.
pub const AREA: &str = "pit";

/// The id of a seat, by its number.
pub fn seat_id(seat: usize) -> String {
    format!("A:{seat}")
}

/// One seat to hold.
#[derive(Debug, Clone)]
pub struct Place {
    pub event_id: Arc<str>,
    pub seat: usize,
    pub hold_id: Uuid,
}

/// Places of these events in turn, so many in all, from seat number `first` on.
pub fn places(event_ids: &[Arc<str>], first: usize, count: usize) -> Vec<Place> {
    let events = event_ids.len();
    let place = |i: usize| Place {
        event_id: event_ids[i % events].clone(),
        seat: first + i / events,
        hold_id: Uuid::now_v7(),
    };
    (0..count).map(place).collect()
}

pub fn hold_bodies(places: &[Place]) -> Arc<Vec<Bytes>> {
    Arc::new(places.iter().map(|place| frame(&hold_request(place))).collect())
}

pub fn hold_request(place: &Place) -> HoldRequest {
    HoldRequest {
        event_id: place.event_id.to_string(),
        holder_id: HOLDER.into(),
        hold_id: place.hold_id.to_string(),
        seat_ids: vec![seat_id(place.seat)],
        ..HoldRequest::default()
    }
}

pub fn confirm_bodies(places: &[Place]) -> Arc<Vec<Bytes>> {
    let request = |place: &Place| ConfirmRequest {
        event_id: place.event_id.to_string(),
        holder_id: HOLDER.into(),
        hold_id: place.hold_id.to_string(),
        payment_reference: place.hold_id.to_string(),
    };
    Arc::new(places.iter().map(|place| frame(&request(place))).collect())
}

/// Holds of one area unit of each of the events, which can be asked for again and
/// again: each is another hold.
pub fn area_bodies(events: &[Arc<str>]) -> Arc<Vec<Bytes>> {
    let request = |event_id: &Arc<str>| HoldRequest {
        event_id: event_id.to_string(),
        holder_id: HOLDER.into(),
        areas: vec![AreaQuantity { area_id: AREA.into(), quantity: 1 }],
        ..HoldRequest::default()
    };
    Arc::new(events.iter().map(|event_id| frame(&request(event_id))).collect())
}

/// Makes an event through the server's own door.
pub async fn create(server: &Server, event_id: &str, seats: usize) -> anyhow::Result<Arc<str>> {
    const ROW: usize = 1_000;
    let seat = |seat: usize| proto::Seat {
        seat_id: seat_id(seat),
        price_category_id: "all".into(),
        ..proto::Seat::default()
    };
    let row = |row: usize| proto::Row {
        row_id: row.to_string(),
        seats: (row * ROW..seats.min((row + 1) * ROW)).map(seat).collect(),
    };
    let section = proto::Section {
        section_id: "A".into(),
        rows: (0..seats.div_ceil(ROW)).map(row).collect(),
        ..proto::Section::default()
    };
    let area = proto::Area {
        area_id: AREA.into(),
        name: "Pit".into(),
        capacity: 1_000_000,
        price_category_id: "all".into(),
        ..Default::default()
    };
    let price = Money { currency_code: "GBP".into(), units: 150, nanos: 0 };
    let chart = proto::Chart {
        price_categories: vec![proto::PriceCategory {
            price_category_id: "all".into(),
            name: "All".into(),
            price: Some(price),
        }],
        sections: vec![section],
        areas: vec![area],
    };
    let event = proto::Event {
        event_id: event_id.into(),
        name: "Speed".into(),
        start_time: Some(prost_types::Timestamp { seconds: 1_900_000_000, nanos: 0 }),
        ..proto::Event::default()
    };
    let request = CreateEventRequest { event: Some(event), chart: Some(chart) };
    server.catalog.clone().create_event(request).await.context("an event is not made")?;
    Ok(event_id.into())
}

pub async fn create_many(
    server: &Server,
    prefix: &str,
    count: usize,
    seats: usize,
) -> anyhow::Result<Vec<Arc<str>>> {
    let mut made = Vec::new();
    for i in 0..count {
        made.push(create(server, &format!("{prefix}{i}"), seats).await?);
    }
    Ok(made)
}

/// Builds an event in a Redis that no server works on.
pub async fn load_raw(holds: &Holds, event_id: &str, seats: usize) -> anyhow::Result<Arc<str>> {
    let now = OffsetDateTime::now_utc();
    let id: EventId = event_id.parse()?;
    let event = Event {
        event_id: id.clone(),
        name: "Speed".into(),
        venue: String::new(),
        city: String::new(),
        start_time: now,
        state: EventState::OnSale,
        hold_ttl: DEFAULT_HOLD_TTL,
        max_hold_time: DEFAULT_MAX_HOLD_TIME,
        max_units_per_hold: MAX_UNITS_PER_HOLD,
        max_units_per_holder: 0,
        max_holds_per_holder: 0,
        hold_durability: HoldDurability::Fast,
        payment_window: Duration::from_secs(900),
        late_payment: LatePayment::Accept,
        orphan_policy: OrphanPolicy::Off,
        waiting_room: WaitingRoom::Off,
        admissions_per_minute: 600,
        admission_ttl: Duration::from_secs(600),
        max_expired_holds: 0,
        cool_down: Duration::from_secs(600),
        offer_ttl: Duration::from_secs(900),
        create_time: now,
        update_time: now,
    };
    let args = LoadArgs {
        epoch: Epoch(1),
        incarnation: holds.incarnation(&id).await?,
        rules: Rules::new(&event, 1),
        seat_count: seats,
        blocked: Vec::new(),
        sold: Vec::new(),
        areas: vec![(1_000_000, 1_000_000)],
        holds: Vec::new(),
        ended: Vec::new(),
        holders: HashMap::new(),
    };
    let reply = holds.load(&id, &args).await?;
    ensure!(matches!(reply, LoadReply::Loaded), "{reply:?}");
    Ok(event_id.into())
}

/// A hold as the script is asked for it.
#[derive(Debug, Clone)]
pub struct RawHold {
    pub event_id: EventId,
    pub args: HoldArgs,
}

pub fn raw_holds(places: &[Place]) -> anyhow::Result<Arc<Vec<RawHold>>> {
    let holder: HolderId = HOLDER.parse()?;
    let raw = |place: &Place| {
        let args = HoldArgs {
            hold_id: HoldId(place.hold_id),
            holder: holder.clone(),
            fingerprint: "0123456789abcdef".into(),
            ttl_ms: None,
            seats: vec![SeatIndex(u32::try_from(place.seat)?)],
            areas: Vec::new(),
            revision: 1 << 40,
            entitled: false,
            owed: false,
            beside: Vec::new(),
            strict: false,
        };
        Ok(RawHold { event_id: place.event_id.parse()?, args })
    };
    Ok(Arc::new(places.iter().map(raw).collect::<anyhow::Result<_>>()?))
}

/// One call of the script for one hold, which must be made.
pub async fn hold_raw(holds: &Holds, hold: &RawHold) -> anyhow::Result<()> {
    let reply = holds.hold_now(&hold.event_id, Epoch(1), vec![hold.args.clone()]).await?;
    let Reply::Done(replies) = &reply else { anyhow::bail!("{reply:?}") };
    ensure!(matches!(replies[..], [HoldReply::Held(_)]), "{reply:?}");
    Ok(())
}

/// Holds these places of one event, many by each call of the script, from here:
/// each as long as `ttl_ms` says of its number.
pub async fn fill(
    holds: &Holds,
    places: &[Place],
    ttl_ms: impl Fn(usize) -> anyhow::Result<Option<u64>>,
) -> anyhow::Result<()> {
    let mut first = 0;
    for some in raw_holds(places)?.chunks(MAX_HOLDS_PER_CALL.into()) {
        let mut args: Vec<_> = some.iter().map(|hold| hold.args.clone()).collect();
        for (i, args) in args.iter_mut().enumerate() {
            args.ttl_ms = ttl_ms(first + i)?;
        }
        first += args.len();
        let reply = holds.hold_now(&some[0].event_id, Epoch(1), args).await?;
        let Reply::Done(replies) = &reply else { anyhow::bail!("{reply:?}") };
        let is_held = |reply: &HoldReply| matches!(reply, HoldReply::Held(_));
        ensure!(replies.iter().all(is_held), "{reply:?}");
    }
    Ok(())
}

//! What a server knows of an event: the epoch it works in, and the chart.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use moka::future::Cache;
use time::OffsetDateTime;

use super::{Error, Flows};
use crate::{
    domain::{
        AreaId, Chart, Epoch, Event, EventId, Hold, HoldId, HoldRecord, HoldState, Items, Refusal,
        SeatId,
    },
    holds::Reply,
    limits::{MAX_CACHED_SEATS, MAX_EPOCH_ATTEMPTS},
};

/// An event as this server last saw it in Postgres. The epoch may be out of
/// date, and the chart have grown; neither does harm, since Redis' scripts
/// compare the epoch, and a chart only grows.
#[derive(Debug)]
pub(super) struct LoadedEvent {
    pub event_id: EventId,
    pub epoch: Epoch,
    pub revision: u64,
    /// Its own rules, as of that revision or later.
    pub rules: Event,
    pub chart: Arc<Chart>,
    /// Both as GetEvent answers them, once somebody has asked for that.
    pub detail: Arc<OnceLock<Bytes>>,
}

/// What this server knows of events, as many as [`MAX_CACHED_SEATS`] allows.
pub(super) type Events = Cache<EventId, Arc<LoadedEvent>>;

pub(super) fn cache() -> Events {
    const EVENT_ITSELF: usize = 100;
    let seats = |_: &EventId, event: &Arc<LoadedEvent>| {
        u32::try_from(EVENT_ITSELF + event.chart.seat_count()).unwrap_or(u32::MAX)
    };
    Cache::builder().weigher(seats).max_capacity(MAX_CACHED_SEATS).build()
}

impl Flows {
    /// The event, from this server's memory, or from Postgres once for all who
    /// ask at the same time.
    pub(super) async fn event(&self, event_id: &EventId) -> Result<Arc<LoadedEvent>, Error> {
        if let Some(event) = self.events.get(event_id).await {
            return Ok(event);
        }
        let read = self.events.try_get_with(event_id.clone(), self.read_event(event_id));
        // Boxed, as all that is rare on the way of a hold: each call in flight
        // would have room for it.
        Box::pin(read).await.map_err(Error::shared)
    }

    /// The event as Postgres has it now.
    pub(super) fn event_anew<'a>(
        &'a self,
        event_id: &'a EventId,
    ) -> BoxFuture<'a, Result<Arc<LoadedEvent>, Error>> {
        Box::pin(async move {
            let event = self.read_event(event_id).await?;
            self.events.insert(event_id.clone(), event.clone()).await;
            Ok(event)
        })
    }

    /// The event of a later revision than `known`, where Postgres has one: read once for
    /// all who find at the same time that theirs is too old.
    pub(super) async fn event_after(
        &self,
        event_id: &EventId,
        known: u64,
    ) -> Result<Arc<LoadedEvent>, Error> {
        let turn = self.reading.of(event_id);
        let _turn = turn.lock().await;
        match self.events.get(event_id).await {
            Some(event) if event.revision > known => Ok(event),
            _ => self.event_anew(event_id).await,
        }
    }

    async fn read_event(&self, event_id: &EventId) -> Result<Arc<LoadedEvent>, Error> {
        let stored = self.ledger.find_event(event_id).await?;
        let stored = stored.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
        // Most often only the epoch has moved on.
        let known = self.events.get(event_id).await.filter(|e| e.revision == stored.revision);
        let (chart, detail) = match known {
            Some(known) => (known.chart.clone(), known.detail.clone()),
            // Read after the revision: it may have more than that, never less.
            None => (Arc::new(self.ledger.read_chart(event_id).await?), Arc::default()),
        };
        Ok(Arc::new(LoadedEvent {
            event_id: event_id.clone(),
            epoch: stored.epoch,
            revision: stored.revision,
            rules: stored.event,
            chart,
            detail,
        }))
    }

    /// Runs a script on an event; loads the event into Redis first where Redis
    /// does not have it in the epoch that Postgres says.
    pub(super) async fn on_event<T, E, F>(
        self: &Arc<Self>,
        event_id: &EventId,
        script: impl Fn(Epoch) -> F,
    ) -> Result<(Arc<LoadedEvent>, T), Error>
    where
        E: Into<Error>,
        F: Future<Output = Result<Reply<T>, E>>,
    {
        for _ in 0..MAX_EPOCH_ATTEMPTS {
            let event = self.event(event_id).await?;
            match script(event.epoch).await.map_err(Into::into)? {
                Reply::Done(answer) => return Ok((event, answer)),
                behind => {
                    let (flows, event_id, found) = (self.clone(), event_id.clone(), behind.epoch());
                    let load = async move { flows.load_event(&event_id, found).await };
                    self.carry_through(load).await?;
                }
            }
        }
        Err(Error::unsettled())
    }

    /// The numbers of what a request names. Where the chart lacks a name, it
    /// may have grown at another server: it is read anew, if it has.
    pub(super) async fn items(
        &self,
        event_id: &EventId,
        seat_ids: &[SeatId],
        areas: &[(AreaId, u32)],
    ) -> Result<Items, Error> {
        Ok(self.event_and_items(event_id, seat_ids, areas).await?.1)
    }

    /// As [`Self::items`], and the event that they are of.
    pub(super) async fn event_and_items(
        &self,
        event_id: &EventId,
        seat_ids: &[SeatId],
        areas: &[(AreaId, u32)],
    ) -> Result<(Arc<LoadedEvent>, Items), Error> {
        let event = self.event(event_id).await?;
        match event.chart.items(seat_ids, areas) {
            Ok(items) => Ok((event, items)),
            Err(refusal) => {
                let stored = Box::pin(self.ledger.find_event(event_id)).await?;
                if stored.is_none_or(|stored| stored.revision == event.revision) {
                    return Err(refusal.into());
                }
                let event = self.event_anew(event_id).await?;
                let items = event.chart.items(seat_ids, areas)?;
                Ok((event, items))
            }
        }
    }

    /// A hold as its holder sees it.
    pub(super) async fn hold_of(
        &self,
        event: &LoadedEvent,
        hold_id: HoldId,
        record: &HoldRecord,
    ) -> Result<Hold, Error> {
        match hold_by_chart(event, hold_id, record) {
            Some(hold) => Ok(hold),
            // The hold was made on a chart that has grown since we read ours.
            None => hold_by_chart(&*self.event_anew(&event.event_id).await?, hold_id, record)
                .ok_or_else(|| Error::internal("a hold names seats that no chart has")),
        }
    }
}

fn hold_by_chart(event: &LoadedEvent, hold_id: HoldId, record: &HoldRecord) -> Option<Hold> {
    let chart = &event.chart;
    let seat_ids = record.seats.iter().map(|&seat| chart.seat_id(seat).cloned());
    let areas =
        record.areas.iter().map(|units| Some((chart.area_id(units.area)?.clone(), units.quantity)));
    Some(Hold {
        hold_id,
        event_id: event.event_id.clone(),
        holder_id: record.holder_id.clone(),
        seat_ids: seat_ids.collect::<Option<_>>()?,
        areas: areas.collect::<Option<_>>()?,
        state: record.state,
        create_time: from_ms(record.created_ms),
        expire_time: from_ms(record.expires_ms),
        order_id: record.order_id.filter(|_| record.state == HoldState::Confirmed),
    })
}

/// A time of Redis' clock.
pub(super) fn from_ms(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

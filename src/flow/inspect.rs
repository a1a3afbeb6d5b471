//! What an operator looks at, from the stores themselves. Nothing here changes anything:
//! an event that Redis does not have is not loaded, it is told by the journal.

use std::{collections::VecDeque, sync::Arc};

use time::OffsetDateTime;

use super::{
    Error, Flows,
    event::{LoadedEvent, from_ms},
};
use crate::{
    domain::{
        Epoch, Event, EventId, Happening, Hold, HoldId, HoldState, OrderId, Position, SeatId,
        SeatIndex, SeatStatus,
    },
    holds::LogEntry,
    limits::{LOG_PAGE, MAX_WHY_LINES},
};

/// An event in numbers. Places are seats and units of areas.
#[derive(Debug, Clone)]
pub struct Overview {
    pub event: Event,
    pub epoch: Epoch,
    /// Whether Redis has it; else what is held is told by the journal.
    pub is_loaded: bool,
    pub sold: i64,
    pub held: i64,
    pub free: i64,
    pub blocked: i64,
    pub open_holds: i64,
}

/// A hold that is open.
#[derive(Debug, Clone)]
pub struct OpenHold {
    pub hold: Hold,
    /// That was made of it, and is not paid.
    pub order_id: Option<OrderId>,
}

/// How far the open holds of an event were read.
pub struct OpenHolds {
    event: Arc<LoadedEvent>,
    /// Whether Redis tells them; else the journal does.
    pub is_loaded: bool,
    /// Where the next ones begin; `None` where all were told.
    pub next: Option<HoldsAfter>,
}

/// Those that were told, by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldsAfter {
    /// All that are due before that moment, by Redis' clock, and so many of those that are
    /// due then.
    Redis { due_ms: i64, told: u32 },
    /// Up to that one, in the order of ids.
    Journal(HoldId),
}

/// All that is known of what happened to a seat.
#[derive(Debug, Clone)]
pub struct SeatHistory {
    /// In order; the latest, where there is more than is told.
    pub happened: Vec<Happening>,
    pub is_cut: bool,
    /// What Redis says that it is; `None` where Redis does not have the event.
    pub status: Option<SeatStatus>,
    pub blocked: bool,
    pub owned_by: Option<OrderId>,
    /// Redis' log has what happened from here on; `None` where it has nothing.
    pub log_since: Option<OffsetDateTime>,
}

impl Flows {
    /// An event in numbers.
    pub async fn overview(&self, event_id: &EventId) -> Result<Overview, Error> {
        let event = self.event_anew(event_id).await?;
        let counts = self.ledger.event_counts(event_id).await?;
        let sold = counts.seats_sold + counts.units_sold;
        let picture = self.holds.snapshot(event_id).await?;
        let picture = picture.filter(|picture| picture.position.epoch == event.epoch);
        let (is_loaded, held, open_holds) = match picture {
            Some(picture) => {
                let is_held = |status: &&SeatStatus| **status == SeatStatus::Held;
                let seats = picture.seats.iter().filter(is_held).count();
                let free: i64 = picture.areas.iter().map(|area| i64::from(area.available)).sum();
                let all: i64 = picture.areas.iter().map(|area| i64::from(area.capacity)).sum();
                // A sale under way is counted by one of the two stores for a moment.
                let units = (all - free - counts.units_sold).max(0);
                let seats = i64::try_from(seats).unwrap_or(i64::MAX);
                (true, seats + units, self.holds.count_open(event_id).await?)
            }
            None => (false, counts.places_held, counts.holds),
        };
        let places = counts.seats + counts.units;
        Ok(Overview {
            event: event.rules.clone(),
            epoch: event.epoch,
            is_loaded,
            sold,
            held,
            free: (places - sold - held - counts.seats_blocked).max(0),
            blocked: counts.seats_blocked,
            open_holds,
        })
    }

    /// Begins to read an event's open holds, or goes on after those that were told. Where
    /// Redis has lost the event since, or has it again, they are told from the first on.
    pub async fn open_holds(
        &self,
        event_id: &EventId,
        after: Option<HoldsAfter>,
    ) -> Result<OpenHolds, Error> {
        let event = self.event_anew(event_id).await?;
        let position = self.holds.position(event_id).await?;
        let is_loaded = position.is_some_and(|at| at.epoch == event.epoch);
        let next = match (is_loaded, after) {
            (true, Some(HoldsAfter::Redis { .. })) | (false, Some(HoldsAfter::Journal(_))) => after,
            (true, _) => Some(HoldsAfter::Redis { due_ms: 0, told: 0 }),
            (false, _) => Some(HoldsAfter::Journal(HoldId(uuid::Uuid::nil()))),
        };
        Ok(OpenHolds { event, is_loaded, next })
    }

    /// The next of them, `count` at most, by Redis in the order in which they run out. One
    /// that ends, or is extended, between two calls may be left out, or told twice; so may
    /// one that is due at the same moment.
    pub async fn next_open_holds(
        &self,
        read: &mut OpenHolds,
        count: usize,
    ) -> Result<Vec<OpenHold>, Error> {
        let OpenHolds { event, next, .. } = read;
        let event_id = &event.event_id;
        let Some(after) = *next else { return Ok(Vec::new()) };
        let records = match after {
            HoldsAfter::Journal(after) => {
                let page = self.ledger.open_holds(event_id, after, count).await?;
                let last = page.last().filter(|_| page.len() == count);
                *next = last.map(|(last, _)| HoldsAfter::Journal(*last));
                page
            }
            HoldsAfter::Redis { mut due_ms, mut told } => loop {
                let due = self.holds.due_page(event_id, due_ms, told as usize, count).await?;
                let is_full = due.len() == count;
                if let Some(&(_, last_ms)) = due.last() {
                    let at_last = due.iter().filter(|(_, ms)| *ms == last_ms).count();
                    told = if last_ms == due_ms { told } else { 0 };
                    told = told.saturating_add(u32::try_from(at_last).unwrap_or(u32::MAX));
                    due_ms = last_ms;
                }
                *next = is_full.then_some(HoldsAfter::Redis { due_ms, told });
                let hold_ids: Vec<_> = due.into_iter().map(|(hold_id, _)| hold_id).collect();
                let mut found = self.holds.audit_holds(event_id, event.epoch, &hold_ids).await?;
                let is_open = |state| matches!(state, HoldState::Active | HoldState::Confirming);
                let page: Vec<_> = hold_ids
                    .iter()
                    .filter_map(|hold_id| Some((*hold_id, found.remove(hold_id)?)))
                    .filter(|(_, record)| is_open(record.state))
                    .collect();
                // Where all of them have ended since they were listed: the next ones.
                if !page.is_empty() || !is_full {
                    break page;
                }
                if self.holds.position(event_id).await?.map(|at| at.epoch) != Some(event.epoch) {
                    return Err(Error::unsettled());
                }
            },
        };
        let mut holds = Vec::with_capacity(records.len());
        for (hold_id, record) in records {
            let hold = self.hold_of(event, hold_id, &record).await?;
            holds.push(OpenHold { hold, order_id: record.order_id });
        }
        Ok(holds)
    }

    /// What happened to a seat.
    ///
    /// # Errors
    /// [`crate::domain::Refusal::SeatNotFound`].
    pub async fn seat_history(
        &self,
        event_id: &EventId,
        seat_id: &SeatId,
    ) -> Result<SeatHistory, Error> {
        let event = self.event_anew(event_id).await?;
        let seat = event.chart.seat_indexes(std::slice::from_ref(seat_id))?[0];
        let known = self.ledger.seat_history(event_id, seat, seat_id, MAX_WHY_LINES).await?;
        let mut is_cut = known.len() >= MAX_WHY_LINES;
        let (logged, log_since) = self.log_of_seat(event_id, seat).await?;
        is_cut |= logged.len() >= MAX_WHY_LINES;
        let mut happened: Vec<_> = known.into_iter().rev().chain(logged).collect();
        happened.sort_by_key(|happening| happening.at);
        happened.drain(..happened.len().saturating_sub(MAX_WHY_LINES));
        let picture = self.holds.snapshot(event_id).await?;
        let status = picture.and_then(|picture| picture.seats.get(seat.0 as usize).copied());
        let (blocked, owned_by) = self.ledger.seat_now(event_id, seat).await?;
        Ok(SeatHistory { happened, is_cut, status, blocked, owned_by, log_since })
    }

    /// What Redis' log has about a seat, in order, the latest [`MAX_WHY_LINES`]; and since
    /// when it has anything.
    async fn log_of_seat(
        &self,
        event_id: &EventId,
        seat: SeatIndex,
    ) -> Result<(VecDeque<Happening>, Option<OffsetDateTime>), Error> {
        let (mut after, mut since) = (Position::default(), None);
        let mut logged = VecDeque::new();
        loop {
            let entries = self.holds.read_log(event_id, after, LOG_PAGE).await?;
            let Some(last) = entries.last() else { return Ok((logged, since)) };
            after = last.change.position;
            since = since.or_else(|| entries.first().map(|entry| from_ms(entry.change.at_ms)));
            for happening in entries.iter().flat_map(|entry| of_entry(entry, seat)) {
                if logged.len() == MAX_WHY_LINES {
                    logged.pop_front();
                }
                logged.push_back(happening);
            }
        }
    }
}

/// What one entry of the log tells of a seat.
fn of_entry(entry: &LogEntry, seat: SeatIndex) -> Vec<Happening> {
    let had = entry.holds.iter().find(|(_, record)| record.seats.contains(&seat));
    let told = |kind: &str| Happening {
        at: from_ms(entry.change.at_ms),
        source: "log".into(),
        kind: kind.into(),
        hold_id: had.map(|(hold_id, _)| *hold_id),
        holder_id: had.map(|(_, record)| record.holder_id.clone()),
        order_id: had.and_then(|(_, record)| record.order_id),
        actor: None,
        reason: None,
        to: None,
        until: had.map(|(_, record)| from_ms(record.expires_ms)),
        is_done: true,
    };
    let runs = entry.change.seats.iter().filter(|(_, run)| run.contains(&seat));
    let mut happened: Vec<_> = runs
        .map(|(status, _)| match status {
            SeatStatus::Held => told("HELD"),
            SeatStatus::Available => {
                Happening { hold_id: None, holder_id: None, until: None, ..told("FREE") }
            }
            SeatStatus::Sold => Happening { until: None, ..told("SOLD") },
            SeatStatus::Blocked => Happening { until: None, ..told("BLOCKED") },
        })
        .collect();
    if entry.change.reset {
        happened.push(told("REBUILT"));
    }
    // Its hold has changed and it has not: another time, another holder, an order.
    if happened.is_empty() && had.is_some() {
        happened.push(told("HOLD_CHANGED"));
    }
    happened
}

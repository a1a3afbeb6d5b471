//! An event's own fields as columns, both ways.

use std::time::Duration;

use tokio_postgres::{Row, types::ToSql};

use super::{
    Error,
    columns::{millis, parse, to_i32, to_u32, unsigned},
    events::StoredEvent,
};
use crate::domain::{
    Epoch, Event, EventState, HoldDurability, LatePayment, OrphanPolicy, WaitingRoom,
};

/// The columns that whoever makes or changes an event says, in the order of
/// [`OwnValues`].
macro_rules! own_columns {
    () => {
        "event_id, name, venue, city, start_time, state, hold_ttl_ms, max_hold_ms, \
         max_units_per_hold, max_units_per_holder, hold_durability, payment_window_ms, \
         late_payment, orphan_policy, waiting_room, admissions_per_minute, admission_ttl_ms, \
         max_expired_holds, cool_down_ms, offer_ttl_ms, max_holds_per_holder"
    };
}
pub(super) use own_columns;

/// The columns that [`event_from_row`] reads.
macro_rules! event_columns {
    () => {
        concat!(crate::ledger::event_row::own_columns!(), ", create_time, update_time")
    };
}
pub(super) use event_columns;

/// How many [`own_columns`] there are.
const OWN: usize = 21;
/// The first column after [`event_columns`].
pub(super) const AFTER_EVENT: usize = OWN + 2;
/// The first column after [`event_columns`], revision and epoch.
pub(super) const AFTER_STORED: usize = OWN + 4;

/// An event's own fields, as parameters of a statement.
pub(super) struct OwnValues([Box<dyn ToSql + Sync + Send>; OWN]);

impl OwnValues {
    pub fn new(event: &Event) -> Self {
        Self([
            Box::new(event.event_id.to_string()),
            Box::new(event.name.clone()),
            Box::new(event.venue.clone()),
            Box::new(event.city.clone()),
            Box::new(event.start_time),
            Box::new(event.state.as_str()),
            Box::new(millis(event.hold_ttl)),
            Box::new(millis(event.max_hold_time)),
            Box::new(to_i32(event.max_units_per_hold)),
            Box::new(to_i32(event.max_units_per_holder)),
            Box::new(event.hold_durability.as_str()),
            Box::new(millis(event.payment_window)),
            Box::new(event.late_payment.as_str()),
            Box::new(event.orphan_policy.as_str()),
            Box::new(event.waiting_room.as_str()),
            Box::new(to_i32(event.admissions_per_minute)),
            Box::new(millis(event.admission_ttl)),
            Box::new(to_i32(event.max_expired_holds)),
            Box::new(millis(event.cool_down)),
            Box::new(millis(event.offer_ttl)),
            Box::new(to_i32(event.max_holds_per_holder)),
        ])
    }

    /// They, and one more parameter after them.
    pub fn with<'a>(&'a self, last: &'a (dyn ToSql + Sync)) -> Vec<&'a (dyn ToSql + Sync)> {
        let own = self.0.iter().map(|value| &**value as &(dyn ToSql + Sync));
        own.chain([last]).collect()
    }
}

/// An event from a row that begins with [`event_columns`], revision and epoch.
pub(super) fn stored_event_from_row(row: &Row) -> Result<StoredEvent, Error> {
    Ok(StoredEvent {
        event: event_from_row(row)?,
        revision: unsigned(row.get(OWN + 2))?,
        epoch: Epoch(unsigned(row.get(OWN + 3))?),
    })
}

/// An event from a row that begins with [`event_columns`].
pub(super) fn event_from_row(row: &Row) -> Result<Event, Error> {
    let span = |at| Ok::<_, Error>(Duration::from_millis(unsigned(row.get(at))?));
    let no = Error::corrupt;
    Ok(Event {
        event_id: parse(row.get(0))?,
        name: row.get(1),
        venue: row.get(2),
        city: row.get(3),
        start_time: row.get(4),
        state: EventState::from_name(row.get(5)).ok_or_else(|| no("event state"))?,
        hold_ttl: span(6)?,
        max_hold_time: span(7)?,
        max_units_per_hold: to_u32(row.get(8)),
        max_units_per_holder: to_u32(row.get(9)),
        hold_durability: HoldDurability::from_name(row.get(10))
            .ok_or_else(|| no("hold durability"))?,
        payment_window: span(11)?,
        late_payment: LatePayment::from_name(row.get(12)).ok_or_else(|| no("late payment"))?,
        orphan_policy: OrphanPolicy::from_name(row.get(13)).ok_or_else(|| no("orphan policy"))?,
        waiting_room: WaitingRoom::from_name(row.get(14)).ok_or_else(|| no("waiting room"))?,
        admissions_per_minute: to_u32(row.get(15)),
        admission_ttl: span(16)?,
        max_expired_holds: to_u32(row.get(17)),
        cool_down: span(18)?,
        offer_ttl: span(19)?,
        max_holds_per_holder: to_u32(row.get(20)),
        create_time: row.get(OWN),
        update_time: row.get(OWN + 1),
    })
}

//! An event's own fields, as it is made and as it changes.

use std::{ops::RangeInclusive, time::Duration};

use prost::Message;
use sha2::{Digest, Sha256};

use super::{chart::chart, fields::Fields};
use crate::{
    domain::{
        ChartDraft, Event, EventChange, EventId, EventState, HoldDurability, LatePayment,
        OrphanPolicy, Refusal, WaitingRoom,
    },
    limits::{
        ADMISSION_TTL, ADMISSIONS_PER_MINUTE, COOL_DOWN, DEFAULT_ADMISSION_TTL,
        DEFAULT_ADMISSIONS_PER_MINUTE, DEFAULT_COOL_DOWN, DEFAULT_HOLD_TTL, DEFAULT_MAX_HOLD_TIME,
        DEFAULT_MAX_UNITS_PER_HOLD, DEFAULT_OFFER_TTL, DEFAULT_PAYMENT_WINDOW, MAX_CITY_CHARS,
        MAX_EXPIRED_HOLDS, MAX_HOLD_TIME, MAX_HOLDS_PER_HOLDER, MAX_NAME_CHARS, MAX_UNITS_PER_HOLD,
        MAX_UNITS_PER_HOLDER, OFFER_TTL, PAYMENT_WINDOW,
    },
    proto,
};

const HOLD_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_HOLD_TIME;

// The values of an event that are one of a few; the first is the default.

const STATES: [(&str, proto::EventState, EventState); 4] = [
    ("ON_SALE", proto::EventState::OnSale, EventState::OnSale),
    ("DRAFT", proto::EventState::Draft, EventState::Draft),
    ("PAUSED", proto::EventState::Paused, EventState::Paused),
    ("CLOSED", proto::EventState::Closed, EventState::Closed),
];
const DURABILITIES: [(&str, proto::HoldDurability, HoldDurability); 2] = [
    ("FAST", proto::HoldDurability::Fast, HoldDurability::Fast),
    ("JOURNALED", proto::HoldDurability::Journaled, HoldDurability::Journaled),
];
const LATE_PAYMENTS: [(&str, proto::LatePayment, LatePayment); 2] = [
    ("ACCEPT", proto::LatePayment::Accept, LatePayment::Accept),
    ("REFUND", proto::LatePayment::Refund, LatePayment::Refund),
];
const ORPHAN_POLICIES: [(&str, proto::OrphanPolicy, OrphanPolicy); 3] = [
    ("OFF", proto::OrphanPolicy::Off, OrphanPolicy::Off),
    ("WARN", proto::OrphanPolicy::Warn, OrphanPolicy::Warn),
    ("REFUSE", proto::OrphanPolicy::Refuse, OrphanPolicy::Refuse),
];
const WAITING_ROOMS: [(&str, proto::WaitingRoom, WaitingRoom); 3] = [
    ("OFF", proto::WaitingRoom::Off, WaitingRoom::Off),
    ("RATE", proto::WaitingRoom::Rate, WaitingRoom::Rate),
    ("INVENTORY", proto::WaitingRoom::Inventory, WaitingRoom::Inventory),
];

/// What is taken where nothing is given, but for the times of holds, which depend on each
/// other.
fn defaults() -> proto::Event {
    let span = |span: Duration| span.try_into().ok();
    proto::Event {
        state: STATES[0].1.into(),
        hold_ttl: span(DEFAULT_HOLD_TTL),
        max_hold_time: span(DEFAULT_MAX_HOLD_TIME),
        max_units_per_hold: DEFAULT_MAX_UNITS_PER_HOLD.cast_signed(),
        hold_durability: DURABILITIES[0].1.into(),
        payment_window: span(DEFAULT_PAYMENT_WINDOW),
        late_payment: LATE_PAYMENTS[0].1.into(),
        orphan_policy: ORPHAN_POLICIES[0].1.into(),
        waiting_room: WAITING_ROOMS[0].1.into(),
        admissions_per_minute: DEFAULT_ADMISSIONS_PER_MINUTE.cast_signed(),
        admission_ttl: span(DEFAULT_ADMISSION_TTL),
        cool_down: span(DEFAULT_COOL_DOWN),
        offer_ttl: span(DEFAULT_OFFER_TTL),
        ..proto::Event::default()
    }
}

/// Does something with each field that has a default: what is given, and the default.
macro_rules! each_default {
    ($event:expr, $do:ident) => {
        let default = defaults();
        $do!($event, default, 0, state);
        $do!($event, default, None, hold_ttl);
        $do!($event, default, None, max_hold_time);
        $do!($event, default, 0, max_units_per_hold);
        $do!($event, default, 0, hold_durability);
        $do!($event, default, None, payment_window);
        $do!($event, default, 0, late_payment);
        $do!($event, default, 0, orphan_policy);
        $do!($event, default, 0, waiting_room);
        $do!($event, default, 0, admissions_per_minute);
        $do!($event, default, None, admission_ttl);
        $do!($event, default, None, cool_down);
        $do!($event, default, None, offer_ttl);
    };
}

/// An event, its chart, and the fingerprint of both as they were given.
pub fn create_event(
    request: proto::CreateEventRequest,
) -> Result<(Event, ChartDraft, String), Refusal> {
    let mut fields = Fields::default();
    let fingerprint = fingerprint(&request);
    let draft = chart(&mut fields, request.chart.unwrap_or_default());
    let Some(event) = request.event else {
        fields.bad("event", "must be given");
        return fields.finish(|| None);
    };
    let event_id = fields.parsed_or("event.event_id", &event.event_id, EventId::new_v7);
    let event = with_defaults(event);
    let change = values(&mut fields, &event, |_, _| true);
    if change.hold_ttl.zip(change.max_hold_time).is_some_and(|(ttl, longest)| ttl > longest) {
        fields.bad("event.hold_ttl", "must not be longer than max_hold_time");
    }
    fields.finish(|| Some((change.into_event(event_id?)?, draft?, fingerprint)))
}

fn with_defaults(mut event: proto::Event) -> proto::Event {
    let longest = event.max_hold_time.and_then(|span| Duration::try_from(span).ok());
    let at_most = |default: Duration| default.min(longest.unwrap_or(MAX_HOLD_TIME)).try_into().ok();
    let given = event.hold_ttl.and_then(|span| Duration::try_from(span).ok());
    event.hold_ttl = event.hold_ttl.or_else(|| at_most(DEFAULT_HOLD_TTL));
    let longest = given.unwrap_or_default().clamp(DEFAULT_MAX_HOLD_TIME, MAX_HOLD_TIME);
    event.max_hold_time = event.max_hold_time.or_else(|| longest.try_into().ok());
    macro_rules! fill {
        ($event:expr, $default:expr, $none:expr, $field:ident) => {
            if $event.$field == $none {
                $event.$field = $default.$field;
            }
        };
    }
    each_default!(event, fill);
    event
}

/// Of what the caller gave, but for the fields that only the server fills; a
/// default that is spelled out is the default.
fn fingerprint(request: &proto::CreateEventRequest) -> String {
    let mut request = request.clone();
    if let Some(event) = &mut request.event {
        event.create_time = None;
        event.update_time = None;
        macro_rules! strip {
            ($event:expr, $default:expr, $none:expr, $field:ident) => {
                if $event.$field == $default.$field {
                    $event.$field = $none;
                }
            };
        }
        each_default!(event, strip);
    }
    hex::encode(Sha256::digest(request.encode_to_vec()))
}

/// The fields of an event that can change, as a mask names them.
const CHANGEABLE: [&str; 20] = [
    "name",
    "venue",
    "city",
    "start_time",
    "state",
    "hold_ttl",
    "max_hold_time",
    "max_units_per_hold",
    "max_units_per_holder",
    "max_holds_per_holder",
    "hold_durability",
    "payment_window",
    "late_payment",
    "orphan_policy",
    "waiting_room",
    "admissions_per_minute",
    "admission_ttl",
    "max_expired_holds",
    "cool_down",
    "offer_ttl",
];

pub fn update_event(request: proto::UpdateEventRequest) -> Result<(EventId, EventChange), Refusal> {
    let mut fields = Fields::default();
    let Some(event) = request.event else {
        fields.bad("event", "must be given");
        return fields.finish(|| None);
    };
    let event_id = fields.parsed("event.event_id", &event.event_id);
    let mask = request.update_mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty());
    for (i, path) in mask.iter().flatten().enumerate() {
        if !CHANGEABLE.contains(&path.as_str()) {
            let field = format!("update_mask.paths[{i}]");
            fields.bad(field, "must be a field of Event that can change");
        }
    }
    // Whether a field changes: as the mask says, or because it is set.
    let changes = |path: &str, is_set: bool| match &mask {
        Some(paths) => paths.iter().any(|named| named == path),
        None => is_set,
    };
    let change = values(&mut fields, &event, changes);
    fields.finish(|| Some((event_id?, change)))
}

/// The new values of the fields that `changes`, which is told each one's name and whether
/// it is set.
fn values(
    fields: &mut Fields,
    event: &proto::Event,
    changes: impl Fn(&str, bool) -> bool,
) -> EventChange {
    let mut change = EventChange::default();
    texts(fields, event, &changes, &mut change);
    choices(fields, event, &changes, &mut change);
    let span = |fields: &mut Fields, name: &str, span: Option<prost_types::Duration>, range| {
        let bare = name.trim_start_matches("event.");
        changes(bare, span.is_some())
            .then(|| fields.span(name, Some(span.unwrap_or_default()), range))?
    };
    change.hold_ttl = span(fields, "event.hold_ttl", event.hold_ttl, HOLD_TIME);
    change.max_hold_time = span(fields, "event.max_hold_time", event.max_hold_time, HOLD_TIME);
    change.payment_window =
        span(fields, "event.payment_window", event.payment_window, PAYMENT_WINDOW);
    change.admission_ttl = span(fields, "event.admission_ttl", event.admission_ttl, ADMISSION_TTL);
    change.cool_down = span(fields, "event.cool_down", event.cool_down, COOL_DOWN);
    change.offer_ttl = span(fields, "event.offer_ttl", event.offer_ttl, OFFER_TTL);

    let number = |fields: &mut Fields, name: &str, number: i32, range| {
        let bare = name.trim_start_matches("event.");
        changes(bare, number != 0).then(|| fields.number(name, number, range))?
    };
    change.max_units_per_hold = number(
        fields,
        "event.max_units_per_hold",
        event.max_units_per_hold,
        1..=MAX_UNITS_PER_HOLD,
    );
    change.max_units_per_holder = number(
        fields,
        "event.max_units_per_holder",
        event.max_units_per_holder,
        0..=MAX_UNITS_PER_HOLDER,
    );
    change.max_holds_per_holder = number(
        fields,
        "event.max_holds_per_holder",
        event.max_holds_per_holder,
        0..=MAX_HOLDS_PER_HOLDER,
    );
    change.admissions_per_minute = number(
        fields,
        "event.admissions_per_minute",
        event.admissions_per_minute,
        ADMISSIONS_PER_MINUTE,
    );
    change.max_expired_holds =
        number(fields, "event.max_expired_holds", event.max_expired_holds, 0..=MAX_EXPIRED_HOLDS);
    change
}

/// The values that are one of a few.
fn choices(
    fields: &mut Fields,
    event: &proto::Event,
    changes: &impl Fn(&str, bool) -> bool,
    change: &mut EventChange,
) {
    if changes("state", event.state != 0) {
        change.state = fields.one_of("event.state", event.state, &STATES);
    }
    if changes("hold_durability", event.hold_durability != 0) {
        let (field, given) = ("event.hold_durability", event.hold_durability);
        change.hold_durability = fields.one_of(field, given, &DURABILITIES);
    }
    if changes("late_payment", event.late_payment != 0) {
        let (field, given) = ("event.late_payment", event.late_payment);
        change.late_payment = fields.one_of(field, given, &LATE_PAYMENTS);
    }
    if changes("orphan_policy", event.orphan_policy != 0) {
        let (field, given) = ("event.orphan_policy", event.orphan_policy);
        change.orphan_policy = fields.one_of(field, given, &ORPHAN_POLICIES);
    }
    if changes("waiting_room", event.waiting_room != 0) {
        let (field, given) = ("event.waiting_room", event.waiting_room);
        change.waiting_room = fields.one_of(field, given, &WAITING_ROOMS);
    }
}

/// What people read, and when the doors open.
fn texts(
    fields: &mut Fields,
    event: &proto::Event,
    changes: &impl Fn(&str, bool) -> bool,
    change: &mut EventChange,
) {
    if changes("name", !event.name.is_empty()) {
        change.name = fields.text("event.name", event.name.clone(), 1..=MAX_NAME_CHARS);
    }
    if changes("venue", !event.venue.is_empty()) {
        change.venue = fields.text("event.venue", event.venue.clone(), 0..=MAX_NAME_CHARS);
    }
    if changes("city", !event.city.is_empty()) {
        change.city = fields.text("event.city", event.city.clone(), 0..=MAX_CITY_CHARS);
    }
    if changes("start_time", event.start_time.is_some()) {
        change.start_time = fields.time("event.start_time", event.start_time);
    }
}

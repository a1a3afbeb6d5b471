//! From what a flow answers to the messages of the contract.

mod channel;
mod checkout;
mod operator;
mod order_events;
mod queue;
mod waiting_list;

pub use channel::*;
pub use checkout::*;
pub use operator::*;
pub use order_events::*;
pub use queue::*;
pub use waiting_list::*;

use time::OffsetDateTime;

use crate::{
    domain::{
        Area, AreaId, AreaState, ChartDraft, Event, EventState, Hold, HoldDurability, HoldState,
        LatePayment, Money, OrphanPolicy, Row, SeatId, SeatStatus, Section, WaitingRoom,
    },
    flow::{SeatMapView, SeatMessage, Seats},
    proto::{self, google::r#type, stream_seat_updates_response::Message as StreamMessage},
};

pub fn hold(hold: Hold) -> proto::Hold {
    proto::Hold {
        hold_id: hold.hold_id.to_string(),
        event_id: hold.event_id.to_string(),
        holder_id: hold.holder_id.to_string(),
        seat_ids: hold.seat_ids.iter().map(ToString::to_string).collect(),
        areas: hold
            .areas
            .into_iter()
            .map(|(area_id, quantity)| proto::AreaQuantity {
                area_id: area_id.to_string(),
                quantity: signed(quantity),
            })
            .collect(),
        state: match hold.state {
            HoldState::Active => proto::HoldState::Active,
            HoldState::Confirming => proto::HoldState::Confirming,
            HoldState::Confirmed => proto::HoldState::Confirmed,
            HoldState::Released => proto::HoldState::Released,
            HoldState::Expired => proto::HoldState::Expired,
            HoldState::Lost => proto::HoldState::Lost,
        }
        .into(),
        create_time: Some(timestamp(hold.create_time)),
        expire_time: Some(timestamp(hold.expire_time)),
        order_id: hold.order_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}

pub fn seat_map(view: SeatMapView) -> proto::GetSeatMapResponse {
    let (seats, packed_seats) = named_or_packed(view.seats);
    let (areas, resume_token) = (area_states(view.areas), view.resume_token);
    proto::GetSeatMapResponse { seats, areas, resume_token, packed_seats }
}

pub fn stream_message(
    message: SeatMessage,
    resume_token: String,
) -> proto::StreamSeatUpdatesResponse {
    let message = match message {
        SeatMessage::Snapshot { seats, areas, last } => {
            let ((seats, packed_seats), areas) = (named_or_packed(seats), area_states(areas));
            StreamMessage::Snapshot(proto::SeatSnapshot { seats, areas, last, packed_seats })
        }
        SeatMessage::Updates { seats, areas, .. } => {
            let (seats, areas) = (seat_states(seats), area_states(areas));
            StreamMessage::Updates(proto::SeatUpdates { seats, areas })
        }
        SeatMessage::Heartbeat { viewers } => {
            StreamMessage::Heartbeat(proto::Heartbeat { active_viewers: signed(viewers) })
        }
    };
    proto::StreamSeatUpdatesResponse { message: Some(message), resume_token }
}

fn named_or_packed(seats: Seats) -> (Vec<proto::SeatState>, Option<proto::PackedSeats>) {
    match seats {
        Seats::Named(seats) => (seat_states(seats), None),
        Seats::Packed(statuses) => (Vec::new(), Some(packed(&statuses))),
    }
}

/// Two bits a seat, the first seat lowest.
fn packed(statuses: &[SeatStatus]) -> proto::PackedSeats {
    let bits = |status: &SeatStatus| match status {
        SeatStatus::Available => 0b00,
        SeatStatus::Held => 0b01,
        SeatStatus::Sold => 0b10,
        SeatStatus::Blocked => 0b11,
    };
    let four = |seats: &[SeatStatus]| {
        seats.iter().rev().fold(0, |byte: u8, status| byte << 2 | bits(status))
    };
    proto::PackedSeats {
        chart_version: chart_version(statuses.len()),
        seat_count: i32::try_from(statuses.len()).unwrap_or(i32::MAX),
        statuses: statuses.chunks(4).map(four).collect(),
    }
}

pub fn seat_states(seats: Vec<(SeatId, SeatStatus)>) -> Vec<proto::SeatState> {
    let seat_state = |(seat_id, status): (SeatId, _)| proto::SeatState {
        seat_id: seat_id.to_string(),
        status: seat_status(status).into(),
    };
    seats.into_iter().map(seat_state).collect()
}

pub fn seat_status(status: SeatStatus) -> proto::SeatStatus {
    match status {
        SeatStatus::Available => proto::SeatStatus::Available,
        SeatStatus::Held => proto::SeatStatus::Held,
        SeatStatus::Sold => proto::SeatStatus::Sold,
        SeatStatus::Blocked => proto::SeatStatus::Blocked,
    }
}

fn area_states(areas: Vec<(AreaId, AreaState)>) -> Vec<proto::AreaState> {
    let area_state = |(area_id, state): (AreaId, AreaState)| proto::AreaState {
        area_id: area_id.to_string(),
        available: signed(state.available),
        capacity: signed(state.capacity),
    };
    areas.into_iter().map(area_state).collect()
}

pub fn event(event: Event) -> proto::Event {
    proto::Event {
        event_id: event.event_id.to_string(),
        name: event.name,
        venue: event.venue,
        city: event.city,
        start_time: Some(timestamp(event.start_time)),
        state: match event.state {
            EventState::Draft => proto::EventState::Draft,
            EventState::OnSale => proto::EventState::OnSale,
            EventState::Paused => proto::EventState::Paused,
            EventState::Closed => proto::EventState::Closed,
        }
        .into(),
        hold_ttl: event.hold_ttl.try_into().ok(),
        max_hold_time: event.max_hold_time.try_into().ok(),
        max_units_per_hold: signed(event.max_units_per_hold),
        max_units_per_holder: signed(event.max_units_per_holder),
        max_holds_per_holder: signed(event.max_holds_per_holder),
        create_time: Some(timestamp(event.create_time)),
        update_time: Some(timestamp(event.update_time)),
        hold_durability: match event.hold_durability {
            HoldDurability::Fast => proto::HoldDurability::Fast,
            HoldDurability::Journaled => proto::HoldDurability::Journaled,
        }
        .into(),
        payment_window: event.payment_window.try_into().ok(),
        late_payment: match event.late_payment {
            LatePayment::Accept => proto::LatePayment::Accept,
            LatePayment::Refund => proto::LatePayment::Refund,
        }
        .into(),
        orphan_policy: match event.orphan_policy {
            OrphanPolicy::Off => proto::OrphanPolicy::Off,
            OrphanPolicy::Warn => proto::OrphanPolicy::Warn,
            OrphanPolicy::Refuse => proto::OrphanPolicy::Refuse,
        }
        .into(),
        waiting_room: match event.waiting_room {
            WaitingRoom::Off => proto::WaitingRoom::Off,
            WaitingRoom::Rate => proto::WaitingRoom::Rate,
            WaitingRoom::Inventory => proto::WaitingRoom::Inventory,
        }
        .into(),
        admissions_per_minute: signed(event.admissions_per_minute),
        admission_ttl: event.admission_ttl.try_into().ok(),
        max_expired_holds: signed(event.max_expired_holds),
        cool_down: event.cool_down.try_into().ok(),
        offer_ttl: event.offer_ttl.try_into().ok(),
    }
}

pub fn chart(chart: ChartDraft) -> proto::Chart {
    proto::Chart {
        price_categories: chart
            .price_categories
            .into_iter()
            .map(|category| proto::PriceCategory {
                price_category_id: category.price_category_id.to_string(),
                name: category.name,
                price: Some(money(category.price)),
            })
            .collect(),
        sections: chart.sections.into_iter().map(section).collect(),
        areas: areas(chart.areas),
    }
}

/// Which state of a chart's seats it is. A chart only grows, and its seats keep
/// their order among themselves: so their number says it exactly.
pub fn chart_version(seat_count: usize) -> i64 {
    i64::try_from(seat_count).unwrap_or(i64::MAX)
}

pub fn section(section: Section) -> proto::Section {
    proto::Section {
        section_id: section.section_id.to_string(),
        name: section.name,
        rows: section.rows.into_iter().map(row).collect(),
    }
}

fn row(row: Row) -> proto::Row {
    let seats = row.seats.into_iter().map(|seat| proto::Seat {
        seat_id: seat.seat_id.to_string(),
        price_category_id: seat.price_category_id.to_string(),
        accessible: seat.accessible,
        x: seat.x,
        y: seat.y,
        reserved: seat.channel.is_some(),
    });
    proto::Row { row_id: row.row_id.to_string(), seats: seats.collect() }
}

pub fn areas(areas: Vec<Area>) -> Vec<proto::Area> {
    let area = |area: Area| proto::Area {
        area_id: area.area_id.to_string(),
        name: area.name,
        capacity: signed(area.capacity),
        price_category_id: area.price_category_id.to_string(),
        reserved: area.channel.is_some(),
        share_of: area.share_of.map(|id| id.to_string()).unwrap_or_default(),
    };
    areas.into_iter().map(area).collect()
}

pub(super) fn money(money: Money) -> r#type::Money {
    let (units, nanos) = money.units_and_nanos();
    r#type::Money { currency_code: money.currency.to_string(), units, nanos }
}

pub(super) fn timestamp(time: OffsetDateTime) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.nanosecond()).expect("below a thousand million");
    prost_types::Timestamp { seconds: time.unix_timestamp(), nanos }
}

/// The contract's counts are signed, as Google's are; ours are far below.
pub(super) fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_seats_fit_a_byte_the_first_one_lowest() {
        use SeatStatus::{Available, Blocked, Held, Sold};
        let seats = packed(&[Available, Held, Sold, Blocked, Held]);
        assert_eq!((seats.chart_version, seats.seat_count), (5, 5));
        assert_eq!(seats.statuses, [0b11_10_01_00, 0b01]);
        assert!(packed(&[]).statuses.is_empty());
    }
}

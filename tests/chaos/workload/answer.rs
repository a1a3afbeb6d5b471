//! What a call's answer means, in the words of the history.

use holdfast::proto;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::history::{self, Answer, Items};

pub fn of_hold(hold: Option<proto::Hold>) -> Answer {
    let Some(hold) = hold else { return empty() };
    let ms = |time: Option<prost_types::Timestamp>| {
        time.map_or(0, |time| time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000)
    };
    let state = hold.state().as_str_name().trim_start_matches("HOLD_STATE_").to_owned();
    Answer::Hold(history::Hold {
        state,
        create_ms: ms(hold.create_time),
        expire_ms: ms(hold.expire_time),
        order_id: (!hold.order_id.is_empty()).then_some(hold.order_id),
        hold_id: hold.hold_id,
        holder_id: hold.holder_id,
        items: Items {
            seat_ids: hold.seat_ids,
            areas: hold.areas.into_iter().map(|a| (a.area_id, units(a.quantity))).collect(),
        },
    })
}

pub fn of_order(order: Option<proto::Order>) -> Answer {
    let Some(order) = order else { return empty() };
    let ticket = |ticket: proto::Ticket| {
        let (seat_id, area_id) = match ticket.place {
            Some(proto::ticket::Place::SeatId(id)) => (Some(id), None),
            Some(proto::ticket::Place::AreaId(id)) => (None, Some(id)),
            None => (None, None),
        };
        history::Ticket { ticket_id: ticket.ticket_id, seat_id, area_id }
    };
    Answer::Order(history::Order {
        order_id: order.order_id,
        hold_id: order.hold_id,
        holder_id: order.holder_id,
        payment_reference: order.payment_reference,
        tickets: order.tickets.into_iter().map(ticket).collect(),
    })
}

pub fn of_map(map: proto::GetSeatMapResponse) -> Answer {
    Answer::SeatMap {
        seats: seats(&map.seats),
        areas: areas(&map.areas),
        resume_token: map.resume_token,
    }
}

/// An OK without what it is about.
fn empty() -> Answer {
    let message = "an answer without content".to_owned();
    Answer::Fault { code: "OK".into(), reason: String::new(), message }
}

pub fn seats(states: &[proto::SeatState]) -> Vec<(String, history::Status)> {
    states.iter().map(|state| (state.seat_id.clone(), status(state.status()))).collect()
}

pub fn areas(states: &[proto::AreaState]) -> Vec<(String, u32)> {
    states.iter().map(|state| (state.area_id.clone(), units(state.available))).collect()
}

fn units(count: i32) -> u32 {
    // Less than none would be a fault, and shows as one: far too many.
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn status(status: proto::SeatStatus) -> history::Status {
    match status {
        proto::SeatStatus::Held => history::Status::Held,
        proto::SeatStatus::Sold => history::Status::Sold,
        // Without a status a seat is out of sale, at best.
        proto::SeatStatus::Blocked | proto::SeatStatus::Unspecified => history::Status::Blocked,
        proto::SeatStatus::Available => history::Status::Available,
    }
}

/// What an error means.
pub fn why(error: &Status) -> Answer {
    let code = status_name(error.code());
    let details = error.get_error_details();
    let Some(info) = details.error_info() else {
        // Not the service's word: the connection broke, or was never made.
        return Answer::Unknown { code, reason: String::new() };
    };
    let reason = info.reason.clone();
    match reason.as_str() {
        "STORE_UNAVAILABLE" | "OVERLOADED" => Answer::Unavailable { code, reason },
        "OUTCOME_UNKNOWN" | "DEADLINE_EXCEEDED" | "SERVER_DRAINING" => {
            Answer::Unknown { code, reason }
        }
        "INTERNAL" | "METHOD_NOT_FOUND" | "ENCODING_NOT_SUPPORTED" => {
            Answer::Fault { code, reason, message: error.message().to_owned() }
        }
        _ => {
            let violations = details.precondition_failure().map(|failure| &failure.violations);
            let named = violations.into_iter().flatten().map(|v| v.subject.clone()).collect();
            Answer::No { code, reason, named }
        }
    }
}

/// A code's name, as the gRPC documents have it.
pub fn status_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

//! From a no, or trouble, to a status: the only place that names a gRPC code.
//!
//! Texts and details name what the caller named, never SQL, hosts, keys or
//! another holder's data. What went wrong inside is told in the call's line in the log.

use std::{collections::HashMap, time::Duration};

use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};
use tonic_types::{ErrorDetails, StatusExt};

use super::admit::apart;
use crate::{
    domain::{EventLimit, Refusal, SeatStatus},
    flow::Error,
    limits::{MAX_OPEN_ENTRIES_PER_HOLDER, MAX_VIOLATION_BYTES, MAX_VIOLATIONS, MAX_WEBHOOKS},
    proto::ErrorReason,
    telemetry,
};

mod shed;

pub use shed::{given_up, is_given_up, late_request, overloaded};

const DOMAIN: &str = "holdfast";
/// Where clients that retry by a service config look for how long to wait: they do not
/// read a status' details.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
const FAULT: &str = "a fault of the server's; its log has the details";

impl From<Error> for Status {
    /// The status of a flow's error.
    fn from(error: Error) -> Self {
        let store = error.store();
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::StoreUnavailable(source) => {
                let text = "a store is out of reach";
                telemetry::cause(text, chain(&*source));
                retryable(Code::Unavailable, ErrorReason::StoreUnavailable, text, store)
            }
            Error::OutcomeUnknown(source) => {
                telemetry::cause("an outcome is not known", chain(&*source));
                let text = "it may or may not have taken effect: call again with the same ids";
                retryable(Code::Unavailable, ErrorReason::OutcomeUnknown, text, store)
            }
            Error::Overloaded(source) => {
                telemetry::cause("overloaded", chain(&*source));
                let text = "too much at once";
                retryable(Code::ResourceExhausted, ErrorReason::Overloaded, text, None)
            }
            Error::Internal(source) => {
                telemetry::cause("a fault of ours", chain(&*source));
                plain(Code::Internal, ErrorReason::Internal, FAULT)
            }
        }
    }
}

impl From<Refusal> for Status {
    /// The status of a definite no.
    fn from(refusal: Refusal) -> Self {
        let (code, reason) = classify(&refusal);
        let mut details = ErrorDetails::new();
        add_violations(&mut details, &refusal);
        let metadata = metadata(&refusal).map(|(key, value)| (key.to_owned(), value));
        details.set_error_info(name(reason), DOMAIN, metadata.collect::<HashMap<_, _>>());
        Self::with_error_details(code, refusal.to_string(), details)
    }
}

fn classify(refusal: &Refusal) -> (Code, ErrorReason) {
    match refusal {
        Refusal::Unauthenticated => (Code::Unauthenticated, ErrorReason::Unauthenticated),
        Refusal::RoleRequired { .. } => (Code::PermissionDenied, ErrorReason::RoleRequired),
        Refusal::InvalidField(_) => (Code::InvalidArgument, ErrorReason::InvalidField),
        Refusal::EventNotFound(_) => (Code::NotFound, ErrorReason::EventNotFound),
        Refusal::SeatNotFound(_) => (Code::NotFound, ErrorReason::SeatNotFound),
        Refusal::AreaNotFound(_) => (Code::NotFound, ErrorReason::AreaNotFound),
        Refusal::HoldNotFound(_) => (Code::NotFound, ErrorReason::HoldNotFound),
        Refusal::PlaceNotFound(_) => (Code::NotFound, ErrorReason::PlaceNotFound),
        Refusal::EntryNotFound(_) => (Code::NotFound, ErrorReason::EntryNotFound),
        Refusal::OrderNotFound(_) => (Code::NotFound, ErrorReason::OrderNotFound),
        Refusal::TicketNotFound(_) => (Code::NotFound, ErrorReason::TicketNotFound),
        Refusal::RefundIdReused(_) => (Code::AlreadyExists, ErrorReason::RefundIdReused),
        Refusal::OrderState { .. } => (Code::FailedPrecondition, ErrorReason::OrderState),
        Refusal::PaymentNotTaken { .. } => (Code::FailedPrecondition, ErrorReason::PaymentNotTaken),
        Refusal::WebhookNotFound(_) => (Code::NotFound, ErrorReason::WebhookNotFound),
        Refusal::EventIdReused(_) => (Code::AlreadyExists, ErrorReason::EventIdReused),
        Refusal::SeatIdReused(_) => (Code::AlreadyExists, ErrorReason::SeatIdReused),
        Refusal::AreaIdReused(_) => (Code::AlreadyExists, ErrorReason::AreaIdReused),
        Refusal::HoldIdReused(_) => (Code::AlreadyExists, ErrorReason::HoldIdReused),
        Refusal::PaymentReferenceUsed(_) => {
            (Code::AlreadyExists, ErrorReason::PaymentReferenceUsed)
        }
        Refusal::EntryIdReused(_) => (Code::AlreadyExists, ErrorReason::EntryIdReused),
        Refusal::NoWaitingRoom(_) => (Code::FailedPrecondition, ErrorReason::NoWaitingRoom),
        Refusal::AdmissionRequired(_) => (Code::FailedPrecondition, ErrorReason::AdmissionRequired),
        Refusal::ChannelRequired { .. } => (Code::FailedPrecondition, ErrorReason::ChannelRequired),
        Refusal::HolderCoolingDown(_) => (Code::ResourceExhausted, ErrorReason::HolderCoolingDown),
        Refusal::OrphanSeat(_) => (Code::FailedPrecondition, ErrorReason::OrphanSeat),
        Refusal::HoldExpired(_) => (Code::FailedPrecondition, ErrorReason::HoldExpired),
        Refusal::HoldReleased(_) => (Code::FailedPrecondition, ErrorReason::HoldReleased),
        Refusal::HoldLost(_) => (Code::FailedPrecondition, ErrorReason::HoldLost),
        Refusal::HoldConfirming(_) => (Code::FailedPrecondition, ErrorReason::HoldConfirming),
        Refusal::HoldConfirmed { .. } => (Code::FailedPrecondition, ErrorReason::HoldConfirmed),
        Refusal::EventNotOnSale { .. } => (Code::FailedPrecondition, ErrorReason::EventNotOnSale),
        Refusal::LimitExceeded { .. } | Refusal::TooManyEntries => {
            (Code::ResourceExhausted, ErrorReason::HolderLimitExceeded)
        }
        Refusal::TooManyWebhooks => (Code::ResourceExhausted, ErrorReason::TooManyWebhooks),
        Refusal::SeatUnavailable(_) => (Code::FailedPrecondition, ErrorReason::SeatUnavailable),
        Refusal::InsufficientCapacity(_) | Refusal::NoSuchSeatsTogether(_) => {
            (Code::FailedPrecondition, ErrorReason::InsufficientCapacity)
        }
    }
}

/// The things meant, by name.
fn metadata(refusal: &Refusal) -> impl Iterator<Item = (&'static str, String)> {
    let first = match refusal {
        Refusal::Unauthenticated => ("scheme", "bearer".to_owned()),
        Refusal::RoleRequired { role, .. } => ("role", role.to_string()),
        Refusal::InvalidField(violations) => ("violations", violations.len().to_string()),
        Refusal::EventNotFound(id) | Refusal::EventIdReused(id) => ("event_id", id.to_string()),
        Refusal::SeatNotFound(ids) | Refusal::SeatIdReused(ids) => ("seat_ids", list(ids)),
        Refusal::AreaNotFound(ids) | Refusal::AreaIdReused(ids) => ("area_ids", list(ids)),
        Refusal::OrderNotFound(id) | Refusal::OrderState { order_id: id, .. } => {
            ("order_id", id.to_string())
        }
        Refusal::TicketNotFound(ids) => ("ticket_ids", list(ids)),
        Refusal::RefundIdReused(id) => ("refund_id", id.to_string()),
        Refusal::PaymentNotTaken { provider, .. } => ("provider", provider.clone()),
        Refusal::WebhookNotFound(id) => ("webhook_id", id.to_string()),
        Refusal::TooManyWebhooks => ("webhooks", MAX_WEBHOOKS.to_string()),
        Refusal::PaymentReferenceUsed(reference) => ("payment_reference", reference.to_string()),
        Refusal::HoldNotFound(id)
        | Refusal::HoldIdReused(id)
        | Refusal::HoldExpired(id)
        | Refusal::HoldReleased(id)
        | Refusal::HoldLost(id)
        | Refusal::HoldConfirming(id)
        | Refusal::HoldConfirmed { hold_id: id, .. } => ("hold_id", id.to_string()),
        Refusal::EventNotOnSale { event_id, .. }
        | Refusal::PlaceNotFound(event_id)
        | Refusal::NoWaitingRoom(event_id)
        | Refusal::AdmissionRequired(event_id) => ("event_id", event_id.to_string()),
        Refusal::EntryNotFound(id) | Refusal::EntryIdReused(id) => ("entry_id", id.to_string()),
        Refusal::ChannelRequired { seats, .. } => ("reserved_seats", seats.len().to_string()),
        Refusal::HolderCoolingDown(rest) => ("cool_down_ms", rest.as_millis().to_string()),
        Refusal::NoSuchSeatsTogether(asked) => ("quantity", asked.to_string()),
        Refusal::OrphanSeat(seats) => ("stranded_seats", seats.len().to_string()),
        Refusal::LimitExceeded { which, .. } => ("limit", limit_name(*which).to_owned()),
        Refusal::TooManyEntries => ("limit", OPEN_ENTRIES.to_owned()),
        Refusal::SeatUnavailable(seats) => ("unavailable_seats", seats.len().to_string()),
        Refusal::InsufficientCapacity(areas) => ("short_areas", areas.len().to_string()),
    };
    let second = match refusal {
        Refusal::RoleRequired { method, .. } => Some(("method", method.clone())),
        Refusal::HoldConfirmed { order_id, .. } => Some(("order_id", order_id.to_string())),
        Refusal::EventNotOnSale { state, .. } => Some(("state", state.as_str().to_owned())),
        Refusal::OrderState { state, .. } => Some(("state", state.as_str().to_owned())),
        Refusal::LimitExceeded { which: EventLimit::HoldsPerHolder, limit, .. } => {
            Some(("holds", limit.to_string()))
        }
        Refusal::LimitExceeded { limit, .. } => Some(("units", limit.to_string())),
        Refusal::ChannelRequired { areas, .. } => Some(("reserved_areas", areas.len().to_string())),
        _ => None,
    };
    let third = match refusal {
        Refusal::RoleRequired { bound_to: Some(only), .. } => Some(("holder_id", only.to_string())),
        Refusal::LimitExceeded { which: EventLimit::UnitsPerHold, .. } => None,
        Refusal::LimitExceeded { used, .. } => Some(("used", used.to_string())),
        _ => None,
    };
    [first].into_iter().chain(second).chain(third)
}

/// Everything that stands against the request, one by one.
fn add_violations(details: &mut ErrorDetails, refusal: &Refusal) {
    match refusal {
        Refusal::InvalidField(violations) => {
            let kept = within_bounds(violations, |v| v.field.len() + v.description.len());
            for violation in kept {
                details.add_bad_request_violation(&violation.field, &violation.description);
            }
        }
        Refusal::LimitExceeded { which, limit, used, asked } => {
            let text = match which {
                EventLimit::UnitsPerHold => format!("{asked} asked of {limit}"),
                EventLimit::UnitsPerHolder | EventLimit::HoldsPerHolder => {
                    format!("{asked} asked beside {used} of {limit}")
                }
            };
            details.add_quota_failure_violation(limit_name(*which), text);
        }
        Refusal::TooManyEntries => {
            let text = format!("at most {MAX_OPEN_ENTRIES_PER_HOLDER} at a time");
            details.add_quota_failure_violation(OPEN_ENTRIES, text);
        }
        Refusal::SeatUnavailable(seats) => {
            for (seat_id, status) in within_bounds(seats, |(id, _)| id.as_str().len() + 20) {
                let (kind, text) = unavailable(*status);
                details.add_precondition_failure_violation(kind, seat_id.as_str(), text);
            }
        }
        Refusal::OrphanSeat(seats) => {
            for seat_id in within_bounds(seats, |id| id.as_str().len() + 40) {
                let text = "it would be left alone";
                details.add_precondition_failure_violation("SEAT_ALONE", seat_id.as_str(), text);
            }
        }
        Refusal::ChannelRequired { seats, areas } => {
            for seat_id in within_bounds(seats, |id| id.as_str().len() + 40) {
                let text = "it is kept for a channel";
                details.add_precondition_failure_violation("SEAT_RESERVED", seat_id.as_str(), text);
            }
            for area_id in within_bounds(areas, |id| id.as_str().len() + 40) {
                let text = "it is kept for a channel";
                details.add_precondition_failure_violation("AREA_RESERVED", area_id.as_str(), text);
            }
        }
        Refusal::HolderCoolingDown(rest) => {
            details.set_retry_info(Some(*rest));
        }
        Refusal::InsufficientCapacity(areas) => {
            for area in within_bounds(areas, |area| area.area_id.as_str().len() + 40) {
                let text = format!("{} asked, {} available", area.asked, area.available);
                let area_id = area.area_id.as_str();
                details.add_precondition_failure_violation("AREA_CAPACITY", area_id, text);
            }
        }
        _ => {}
    }
}

/// For a request that is no Protocol Buffers message of its type.
pub fn not_protobuf() -> Status {
    Refusal::field("", "the request is no message of the method's type").into()
}

/// For a caller whose deadline passed first.
pub fn deadline_exceeded() -> Status {
    let text = "the deadline passed; a mutation may still take effect: ask again with the same ids";
    plain(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, text)
}

/// For a stream that ends because this server goes away.
pub fn draining() -> Status {
    let text = "this server goes away; resume at another one from where this one ends";
    retryable(Code::Unavailable, ErrorReason::ServerDraining, text, None)
}

/// For who brings a token while there are no keys to verify it with.
pub fn keys_away() -> Status {
    let text = "tokens cannot be verified yet: their keys are out of reach";
    retryable(Code::Unavailable, ErrorReason::StoreUnavailable, text, None)
}

/// For a stream whose caller was known until now.
pub fn no_longer_known() -> Status {
    Refusal::Unauthenticated.into()
}

/// For a fault of ours beside the flows, such as a panic.
pub fn fault() -> Status {
    plain(Code::Internal, ErrorReason::Internal, FAULT)
}

/// A status that was made below us, without its reason: one with it.
pub fn with_reason(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    match status.code() {
        // Says in its metadata which encodings there are.
        Code::Unimplemented if !status.message().is_empty() => {
            let reason = name(ErrorReason::EncodingNotSupported);
            let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
            let metadata = status.metadata().clone();
            let code = Code::Unimplemented;
            Status::with_error_details_and_metadata(code, status.message(), details, metadata)
        }
        Code::Unimplemented => {
            plain(Code::Unimplemented, ErrorReason::MethodNotFound, "the server has no such method")
        }
        // For a message over the limit, as it came or decompressed.
        Code::OutOfRange | Code::ResourceExhausted => {
            Refusal::field("", "the request is longer than the method takes").into()
        }
        Code::InvalidArgument => Refusal::field("", "the request is malformed").into(),
        // No message at all, or half of one: what is ours has its reason.
        Code::Internal => not_protobuf(),
        _ => status,
    }
}

/// A code's name, as the gRPC documents have it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn plain(code: Code, reason: ErrorReason, text: &str) -> Status {
    let details = ErrorDetails::with_error_info(name(reason), DOMAIN, HashMap::new());
    Status::with_error_details(code, text, details)
}

fn retryable(code: Code, reason: ErrorReason, text: &str, store: Option<&'static str>) -> Status {
    let metadata = store.map(|store| ("store".to_owned(), store.to_owned()));
    let metadata: HashMap<_, _> = metadata.into_iter().collect();
    let mut details = ErrorDetails::with_error_info(name(reason), DOMAIN, metadata);
    let wait = apart();
    details.set_retry_info(Some(wait));
    Status::with_error_details_and_metadata(code, text, details, pushback(wait))
}

/// The same for clients that retry by a service config.
fn pushback(wait: Duration) -> MetadataMap {
    let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    let mut metadata = MetadataMap::new();
    metadata.insert(PUSHBACK, MetadataValue::from(wait_ms));
    metadata
}

/// A reason as callers read it; the call's line in the log tells it, too.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    telemetry::reason(name);
    name
}

/// What [`Refusal::TooManyEntries`] is a limit of.
const OPEN_ENTRIES: &str = "open_waiting_list_entries";

fn limit_name(which: EventLimit) -> &'static str {
    match which {
        EventLimit::UnitsPerHold => "max_units_per_hold",
        EventLimit::UnitsPerHolder => "max_units_per_holder",
        EventLimit::HoldsPerHolder => "max_holds_per_holder",
    }
}

fn unavailable(status: SeatStatus) -> (&'static str, &'static str) {
    match status {
        SeatStatus::Held => ("SEAT_HELD", "held"),
        SeatStatus::Sold => ("SEAT_SOLD", "sold"),
        SeatStatus::Blocked => ("SEAT_BLOCKED", "blocked"),
        SeatStatus::Available => ("SEAT_AVAILABLE", "available"),
    }
}

/// As many as one status may carry: clients accept 8 KiB of headers.
fn within_bounds<T>(violations: &[T], bytes: impl Fn(&T) -> usize) -> &[T] {
    let mut sum = 0;
    let fits = |violation: &T| {
        sum += bytes(violation);
        sum <= MAX_VIOLATION_BYTES
    };
    let count = violations.iter().take(MAX_VIOLATIONS).map(fits).take_while(|&fits| fits).count();
    &violations[..count]
}

/// Ids, as many as one status may carry.
fn list<T: ToString>(ids: &[T]) -> String {
    let ids: Vec<String> = ids.iter().map(T::to_string).collect();
    within_bounds(&ids, |id| id.len() + 1).join(",")
}

/// An error and what is below it. Only the first line of each: Postgres quotes the row that
/// it refuses in the next, and a row has a buyer's name.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let of_each = std::iter::successors(Some(error), |error| error.source());
    let lines =
        of_each.map(|error| error.to_string().lines().next().unwrap_or_default().to_owned());
    lines.collect::<Vec<_>>().join(": ")
}

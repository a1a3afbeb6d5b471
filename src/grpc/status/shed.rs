//! Statuses of calls that were not carried out: too many, too late, or given up.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{super::admit::Shed, DOMAIN, name, plain, pushback};
use crate::proto::ErrorReason;

/// For a call that is one too many: who is over a limit of his own has to slow down,
/// others may go to another server.
#[expect(clippy::needless_pass_by_value, reason = "an error that is told")]
pub fn overloaded(shed: Shed) -> Status {
    let (code, text) = match shed.limit.is_callers() {
        true => (Code::ResourceExhausted, "too much of one caller at once"),
        false => (Code::Unavailable, "this server has too much to do: ask another, or later"),
    };
    let metadata = [("limit", shed.limit.name().to_owned()), ("most", shed.most.to_string())];
    let metadata: HashMap<_, _> = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    let reason = name(ErrorReason::Overloaded);
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    details.set_retry_info(Some(shed.wait));
    Status::with_error_details_and_metadata(code, text, details, pushback(shed.wait))
}

/// For a request whose client has ended it, or its connection: nobody is told. CANCELLED
/// would be taken for the request's end by those who read it.
pub fn given_up() -> Status {
    Status::aborted("the call was given up")
}

/// Whether that was a call's answer.
pub fn is_given_up<T>(response: &http::Response<T>) -> bool {
    const ABORTED: &[u8] = b"10";
    response.headers().get("grpc-status").is_some_and(|code| code.as_bytes() == ABORTED)
}

/// For a request that has not arrived in time.
pub fn late_request() -> Status {
    let text = "the request did not arrive in time";
    plain(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, text)
}

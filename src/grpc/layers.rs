//! What every call passes through before its method.

use std::time::Duration;

use axum::{extract::Request, middleware::Next, response::Response};
use tokio::time::Instant;
use tonic::Status;

use super::{frames::put, status};
use crate::{limits::DEADLINE_MARGIN, telemetry};

/// All of it, in one layer: each layer costs every call an allocation or two.
pub async fn around(request: Request, next: Next) -> Response {
    observe(request, async |request| deadline(request, async |r| put(next.run(r).await)).await)
        .await
}

/// Ends a call at its caller's deadline with the code that the caller expects:
/// a little before it, so that the answer is there in time, and before the
/// transport ends the call by itself, with another code.
async fn deadline(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let timeout =
        request.headers().get("grpc-timeout").and_then(|v| parse_timeout(v.to_str().ok()?));
    let call = next(request);
    match timeout {
        None => call.await,
        Some(timeout) => {
            let timeout = timeout.saturating_sub(DEADLINE_MARGIN.min(timeout / 10));
            let ended = tokio::time::timeout(timeout, call).await;
            ended.unwrap_or_else(|_| status::deadline_exceeded().into_http())
        }
    }
}

/// Notes how a call ended, and gives a reason to errors that were made below
/// us.
async fn observe(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let method = request.uri().path().to_owned();
    let begun = Instant::now();
    let response = next(request).await;
    let Some(status) = Status::from_header_map(response.headers()) else {
        telemetry::call(&method, "OK", begun.elapsed());
        return response;
    };
    let status = status::with_reason(status);
    let code = status::code_name(status.code());
    // A method that does not exist must not make a metric of its name.
    let known = if code == "UNIMPLEMENTED" { "unknown" } else { &method };
    telemetry::call(known, code, begun.elapsed());
    tracing::debug!(method, code, ms = begun.elapsed().as_millis(), "{}", status.message());
    status.into_http()
}

/// `<digits><unit>`, as the gRPC protocol has it.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_has_them() {
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse_timeout("1H"), Some(Duration::from_secs(3_600)));
        for bad in ["", "S", "12", "123456789m", "-1S", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }
}

//! What every call passes through before its method.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::Service;

use super::{frames::put, status};
use crate::{limits::DEADLINE_MARGIN, telemetry};

/// All of it, in one layer: each layer costs every call an allocation or two.
#[derive(Debug, Clone)]
pub struct Around<S>(pub S);

impl<S> Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + 'static,
{
    /// Makes the call; a service behind it is always ready.
    pub fn call(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + use<S> {
        let method = request.uri().path().to_owned();
        let timeout = timeout_of(&request);
        let call = self.0.clone().call(request);
        let call = async move {
            // A fault of one call is no reason to end its connection.
            match AssertUnwindSafe(call).catch_unwind().await {
                Ok(Ok(response)) => put(response),
                Err(_) => status::fault().into_http(),
            }
        };
        observe(method, deadline(timeout, call))
    }
}

impl<S> Service<Request<Body>> for Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Around::call(self, request).map(Ok).boxed()
    }
}

/// Ends a call at its caller's deadline with the code that the caller expects:
/// a little before it, so that the answer is there in time, and before the
/// transport ends the call by itself, with another code.
async fn deadline(
    timeout: Option<Duration>,
    call: impl Future<Output = Response<Body>>,
) -> Response<Body> {
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
async fn observe(method: String, call: impl Future<Output = Response<Body>>) -> Response<Body> {
    let begun = Instant::now();
    let response = call.await;
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

fn timeout_of(request: &Request<Body>) -> Option<Duration> {
    parse_timeout(request.headers().get("grpc-timeout")?.to_str().ok()?)
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

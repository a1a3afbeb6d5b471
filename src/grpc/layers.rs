//! What every call passes through before its method.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, ready},
};
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, body::Body};
use tower::Service;

use super::{
    admit::{Admit, Method, Pass, Shed},
    frames::put,
    guarded, status,
};
use crate::{
    access::{Access, No, Peer},
    deadline,
    domain::Refusal,
    limits::DEADLINE_MARGIN,
    telemetry,
};

/// All of it, in one layer: each layer costs every call an allocation or two.
#[derive(Clone)]
pub struct Around<S> {
    pub service: S,
    pub access: Arc<Access>,
    pub admit: Arc<Admit>,
}

impl<S> Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    /// Makes the call; a service behind it is always ready.
    pub fn call(
        &self,
        mut request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + use<S> {
        let method = self.admit.method(request.uri().path()).clone();
        let timeout = timeout_of(&request);
        let traceparent = request.headers().get("traceparent").map(HeaderValue::as_bytes);
        let traced = telemetry::Call::begin(&method.name, traceparent);
        let call = match self.let_in(&method, &mut request) {
            Ok(entered) => Either::Left(entered.make(self.service.clone().call(request))),
            Err(Stop::KeyUnknown) => {
                Either::Right(self.clone().call_after_a_look(method.clone(), request).boxed())
            }
            Err(stop) => Either::Right(ready(Ok(refuse(request, stop))).boxed()),
        };
        let call = async move {
            // A fault of one call is no reason to end its connection.
            match AssertUnwindSafe(call).catch_unwind().await {
                Ok(Ok(response)) => response,
                Err(_) => status::fault().into_http(),
            }
        };
        let work = move |span| observe(method, span, in_time(timeout, call));
        traced.around(work)
    }

    /// Where the key of a token was not known yet.
    async fn call_after_a_look(
        self,
        method: Arc<Method>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let is_told = self.access.look().await;
        match self.let_in(&method, &mut request) {
            Ok(entered) => entered.make(self.service.clone().call(request)).await,
            Err(Stop::KeyUnknown) if !is_told => Ok(refuse(request, Stop::KeysAway)),
            Err(stop) => Ok(refuse(request, stop)),
        }
    }

    /// Notes in the request who calls, where he may, and where there is room.
    fn let_in(&self, method: &Arc<Method>, request: &mut Request<Body>) -> Result<Entered, Stop> {
        let peer = request.extensions().get::<Arc<Peer>>();
        let peer = peer.expect("the transport says from where each request comes");
        let (path, headers) = (request.uri().path(), request.headers());
        let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let known = self.access.caller(path, authorization, peer)?;
        let place = self.admit.enter(method.clone(), &known.caller, peer);
        let place = place.map_err(Stop::Full)?;
        let rest = known.rest();
        request.extensions_mut().insert(known.caller);
        Ok(Entered { rest, place: Arc::new(place) })
    }
}

impl<S> Service<Request<Body>> for Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Around::call(self, request).map(Ok).boxed()
    }
}

/// A call that goes on.
struct Entered {
    /// How long its caller is known.
    rest: Option<Duration>,
    place: Arc<Pass>,
}

impl Entered {
    /// Makes the call in its place, which belongs to what it has others carry through, too.
    async fn make(
        self,
        call: impl Future<Output = Result<Response<Body>, Infallible>>,
    ) -> Result<Response<Body>, Infallible> {
        let response = deadline::in_place(self.place.clone(), call).await?;
        Ok(guarded::until_its_end(self.place, put(response, self.rest)))
    }
}

/// Why a call does not go on.
enum Stop {
    /// His token names a key that is not known yet.
    KeyUnknown,
    /// Its caller may not.
    No(Refusal),
    KeysAway,
    Full(Shed),
}

fn refuse(request: Request<Body>, stop: Stop) -> Response<Body> {
    guarded::let_run_out(request.into_body());
    stop.told().into_http()
}

impl Stop {
    fn told(self) -> Status {
        match self {
            Self::KeyUnknown => Refusal::Unauthenticated.into(),
            Self::No(refusal) => refusal.into(),
            Self::KeysAway => status::keys_away(),
            Self::Full(shed) => status::overloaded(shed),
        }
    }
}

impl From<No> for Stop {
    fn from(no: No) -> Self {
        match no {
            No::Refused(refusal) => Self::No(refusal),
            No::KeyUnknown => Self::KeyUnknown,
            No::KeysAway => Self::KeysAway,
        }
    }
}

/// Ends a call at its caller's deadline with the code that the caller expects:
/// a little before it, so that the answer is there in time, and before the
/// transport ends the call by itself, with another code.
async fn in_time(
    timeout: Option<Duration>,
    call: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    match timeout {
        None => call.await,
        Some(timeout) => {
            let timeout = timeout.saturating_sub(DEADLINE_MARGIN.min(timeout / 10));
            let until = Instant::now() + timeout;
            let ended = timeout_at(until, deadline::scope(until, call)).await;
            ended.unwrap_or_else(|_| status::deadline_exceeded().into_http())
        }
    }
}

/// Notes how a call ended, and gives a reason to errors that were made below
/// us.
async fn observe(
    method: Arc<Method>,
    mut span: telemetry::Span,
    call: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    let begun = Instant::now();
    let response = call.await;
    let Some(status) = Status::from_header_map(response.headers()) else {
        telemetry::call(&method.name, "OK", begun.elapsed());
        span.set("rpc.response.status_code", "OK");
        return response;
    };
    let status = status::with_reason(status);
    let code = status::code_name(status.code());
    telemetry::call(&method.name, code, begun.elapsed());
    telemetry::failed_call(&method.name, code, begun.elapsed(), span);
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

//! Calls again where a service config says so, as clients of gRPC do: at a server whose
//! health says that it serves, and with the same ids.

use std::{
    error::Error,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Deserializer, de::Error as _};
use tokio::time::{sleep, timeout};
use tonic::{Status, TimeoutExpired, body::Body};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::{Service, ServiceExt as _};

use crate::{
    client::Connection,
    limits::{LOAD_CALL_TIMEOUT, LOAD_HEALTH_PAUSE},
};

/// When a server wants the call again, in milliseconds; never, where it is negative (gRPC
/// proposal A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

type BoxError = Box<dyn Error + Send + Sync>;

/// The parts of a service config that are kept to here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceConfig {
    retry_throttling: Option<Throttling>,
    method_config: Vec<MethodConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    max_tokens: f64,
    token_ratio: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodConfig {
    name: Vec<Name>,
    /// For all attempts together.
    #[serde(default = "longest", deserialize_with = "seconds")]
    timeout: Duration,
    retry_policy: Option<RetryPolicy>,
}

#[derive(Debug, Deserialize)]
struct Name {
    service: String,
    method: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetryPolicy {
    max_attempts: u32,
    #[serde(deserialize_with = "seconds")]
    initial_backoff: Duration,
    #[serde(deserialize_with = "seconds")]
    max_backoff: Duration,
    backoff_multiplier: f64,
    retryable_status_codes: Vec<String>,
}

fn longest() -> Duration {
    LOAD_CALL_TIMEOUT
}

/// Such as `0.1s`.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let seconds = text.strip_suffix('s').and_then(|text| text.parse().ok());
    let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    span.ok_or_else(|| D::Error::custom(format!("{text} is no span such as 0.1s")))
}

/// How calls are made again, and how often they were.
#[derive(Debug)]
pub struct Retry {
    config: ServiceConfig,
    tokens: Option<Tokens>,
    again: AtomicU64,
}

impl Retry {
    /// Reads a service config.
    ///
    /// # Errors
    /// Where it cannot be read, or is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let name = || format!("{} is no service config", path.display());
        let text = std::fs::read(path).with_context(name)?;
        let config: ServiceConfig = serde_json::from_slice(&text).with_context(name)?;
        let tokens = config.retry_throttling.as_ref().map(Tokens::new);
        Ok(Self { config, tokens, again: AtomicU64::new(0) })
    }

    /// How many calls were made again.
    pub fn count(&self) -> u64 {
        self.again.load(Relaxed)
    }

    /// What is said of a method; one that is named comes before its service. Streams have
    /// their readers, who resume them.
    fn method(&self, path: &str) -> Option<&MethodConfig> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let named = |named: Option<&str>| {
            let is_it = |name: &Name| name.service == service && name.method.as_deref() == named;
            self.config.method_config.iter().find(|config| config.name.iter().any(is_it))
        };
        let config = named(Some(method)).or_else(|| named(None));
        config.filter(|_| !method.starts_with("Stream"))
    }

    /// How long to wait before the next attempt, after so many; `None` where there is none.
    fn wait(&self, policy: Option<&RetryPolicy>, attempts: u32, told: &Told) -> Option<Duration> {
        let policy = policy?;
        if told.code == "OK" {
            self.tokens.as_ref().inspect(|tokens| tokens.add());
        }
        if !policy.is_retryable(told.code) {
            return None;
        }
        let may = self.tokens.as_ref().is_none_or(Tokens::take);
        let wait = match told.pushback {
            Some(wanted) => wanted?,
            None => policy.backoff(attempts).mul_f64(fastrand::f64()),
        };
        (may && attempts < policy.max_attempts).then_some(wait)
    }
}

/// What keeps calls from being made again where too many fail (`retryThrottling`), in
/// thousandths.
#[derive(Debug)]
struct Tokens {
    max: i64,
    ratio: i64,
    left: AtomicI64,
}

impl Tokens {
    #[expect(clippy::cast_possible_truncation, reason = "the bounds of both are small")]
    fn new(of: &Throttling) -> Self {
        let [max, ratio] = [of.max_tokens, of.token_ratio].map(|number| (number * 1e3) as i64);
        Self { max, ratio, left: AtomicI64::new(max) }
    }

    fn add(&self) {
        let more = |left: i64| Some((left + self.ratio).min(self.max));
        let _ = self.left.fetch_update(Relaxed, Relaxed, more);
    }

    /// Takes one; whether a call may be made again.
    fn take(&self) -> bool {
        let less = |left: i64| (left - 1_000).max(0);
        let before = self.left.fetch_update(Relaxed, Relaxed, |left| Some(less(left)));
        less(before.unwrap_or_default()) > self.max / 2
    }
}

impl RetryPolicy {
    /// How long to wait before so many more attempts, at most.
    fn backoff(&self, attempts: u32) -> Duration {
        let factor = self.backoff_multiplier.powi(attempts.saturating_sub(1).cast_signed());
        self.initial_backoff.mul_f64(factor.max(0.0)).min(self.max_backoff)
    }

    fn is_retryable(&self, code: &str) -> bool {
        self.retryable_status_codes.iter().any(|retryable| retryable == code)
    }
}

/// A connection, and whether its server serves.
#[derive(Debug)]
pub struct Link {
    channel: Connection,
    serves: AtomicBool,
}

impl Link {
    pub fn new(channel: Connection) -> Arc<Self> {
        Arc::new(Self { channel, serves: AtomicBool::new(true) })
    }

    /// Follows the server's health for as long as anybody has the connection.
    pub fn follow_health(self: &Arc<Self>) {
        let (link, mut health) = (Arc::downgrade(self), HealthClient::new(self.channel.clone()));
        tokio::spawn(async move {
            loop {
                if let Ok(told) = health.watch(HealthCheckRequest::default()).await {
                    let mut told = told.into_inner();
                    while let Ok(Some(told)) = told.message().await {
                        let Some(link) = link.upgrade() else { return };
                        link.serves.store(told.status() == ServingStatus::Serving, Relaxed);
                    }
                }
                let Some(link) = link.upgrade() else { return };
                link.serves.store(false, Relaxed);
                sleep(LOAD_HEALTH_PAUSE).await;
            }
        });
    }
}

/// The connections, of which one is the first to be tried.
#[derive(Debug, Clone)]
pub struct Connections {
    pub links: Arc<[Arc<Link>]>,
    pub first: usize,
    pub retry: Option<Arc<Retry>>,
}

impl Connections {
    /// The one for an attempt: the next whose server serves; where none does, any.
    fn channel(&self, attempt: usize) -> Connection {
        let count = self.links.len();
        let in_turn = (0..count).map(|n| &self.links[(self.first + attempt + n) % count]);
        let serving = in_turn.clone().find(|link| link.serves.load(Relaxed));
        let link = serving.or_else(|| in_turn.clone().next()).expect("there are connections");
        link.channel.clone()
    }
}

impl Service<Request<Body>> for Connections {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let policy = self.retry.clone();
        match policy {
            Some(retry) if retry.method(request.uri().path()).is_some() => {
                in_time(self.clone(), retry, request).boxed()
            }
            _ => {
                let told = self.channel(0).oneshot(request);
                told.map(|told| Ok(told?.map(Body::new))).boxed()
            }
        }
    }
}

/// All attempts, for as long as they may take together.
async fn in_time(
    connections: Connections,
    retry: Arc<Retry>,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let method = retry.method(request.uri().path()).expect("the caller has looked");
    match timeout(method.timeout, again_and_again(connections, &retry, method, request)).await {
        Ok(told) if !told.as_ref().is_err_and(is_timeout) => told,
        _ => Ok(Status::deadline_exceeded("the service config's timeout").into_http()),
    }
}

async fn again_and_again(
    connections: Connections,
    retry: &Retry,
    method: &MethodConfig,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut attempts = 0;
    loop {
        let channel = connections.channel(attempts as usize);
        let body = Body::new(Full::<Bytes>::new(body.clone()));
        let answer = answer(channel, Request::from_parts(parts.clone(), body)).await;
        attempts += 1;
        let (answer, told) = match answer {
            Ok((response, told)) => (Ok(response), told),
            Err(error) if is_timeout(&error) => (Err(error), Told::of("DEADLINE_EXCEEDED")),
            // Whatever breaks a connection is that to a client.
            Err(error) => (Err(error), Told::of("UNAVAILABLE")),
        };
        let Some(wait) = retry.wait(method.retry_policy.as_ref(), attempts, &told) else {
            return answer;
        };
        retry.again.fetch_add(1, Relaxed);
        sleep(wait).await;
    }
}

/// What an attempt came to.
#[derive(Debug)]
struct Told {
    /// As far as it matters here.
    code: &'static str,
    /// How long the server wants a client to wait; `Some(None)`: for ever.
    #[expect(clippy::option_option, reason = "not told, never, or a time")]
    pushback: Option<Option<Duration>>,
}

impl Told {
    fn of(code: &'static str) -> Self {
        Self { code, pushback: None }
    }
}

/// One answer, whole, and what it tells.
async fn answer(
    channel: Connection,
    request: Request<Body>,
) -> Result<(Response<Body>, Told), BoxError> {
    let (parts, body) = channel.oneshot(request).await?.into_parts();
    let body = body.collect().await?;
    let none = HeaderMap::new();
    let trailers = body.trailers().unwrap_or(&none);
    let status =
        Status::from_header_map(&parts.headers).or_else(|| Status::from_header_map(trailers));
    let code = match status.map(|status| status.code()) {
        Some(tonic::Code::Ok) => "OK",
        Some(tonic::Code::Unavailable) => "UNAVAILABLE",
        Some(tonic::Code::ResourceExhausted) => "RESOURCE_EXHAUSTED",
        _ => "",
    };
    let pushback = parts.headers.get(PUSHBACK).or_else(|| trailers.get(PUSHBACK));
    // What is no number is as a negative one.
    let wait = |text: &HeaderValue| Some(Duration::from_millis(text.to_str().ok()?.parse().ok()?));
    let told = Told { code, pushback: pushback.map(wait) };
    Ok((Response::from_parts(parts, Body::new(body)), told))
}

fn is_timeout(error: &BoxError) -> bool {
    let mut source: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Retry {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        Retry::read(&dir.join("deploy/service-config.json")).unwrap()
    }

    #[test]
    fn a_method_has_the_time_of_its_config() {
        let retry = ours();
        let seconds = |path| retry.method(path).map(|method| method.timeout.as_secs());
        assert_eq!(seconds("/holdfast.v1.ReservationService/Hold"), Some(10));
        assert_eq!(seconds("/holdfast.v1.ReservationService/Confirm"), Some(30));
        assert_eq!(seconds("/holdfast.v1.ReservationService/StreamSeatUpdates"), None);
    }

    #[test]
    fn the_server_says_when_it_wants_the_call_again() {
        let retry = ours();
        let method = retry.method("/holdfast.v1.ReservationService/Hold").unwrap();
        let wait = |code, attempts, pushback| {
            retry.wait(method.retry_policy.as_ref(), attempts, &Told { code, pushback })
        };
        let soon = Duration::from_millis(7);
        assert_eq!(wait("UNAVAILABLE", 1, Some(Some(soon))), Some(soon));
        assert_eq!(wait("UNAVAILABLE", 1, Some(None)), None, "never");
        assert_eq!(wait("UNAVAILABLE", 5, Some(Some(soon))), None, "no attempt is left");
        assert_eq!(wait("RESOURCE_EXHAUSTED", 1, Some(Some(soon))), None);
        assert!(wait("UNAVAILABLE", 1, None).unwrap() <= Duration::from_millis(100));
    }

    #[test]
    fn where_too_many_fail_none_is_made_again() {
        let tokens = Tokens::new(&Throttling { max_tokens: 4.0, token_ratio: 0.5 });
        assert_eq!([(); 3].map(|()| tokens.take()), [true, false, false]);
        (0..5).for_each(|_| tokens.add());
        assert!(tokens.take(), "3.5 less 1 is more than half");
    }
}

//! Where a call goes.

use std::{convert::Infallible, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response, header::CONTENT_TYPE};
use hyper::{body::Incoming, service::Service};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes};
use tonic_web::GrpcWebService;
use tower::ServiceExt;
use tower_http::cors::Cors;

use super::{
    guarded::{for_a_while, in_time},
    layers::Around,
    reservation::Reservations,
};
use crate::{limits::REFLECTION_TIME, proto::reservation_service_server::ReservationServiceServer};

const REFLECTION: &str = "/grpc.reflection.";

type ReservationService = ReservationServiceServer<Reservations>;

/// What is called the most has a way of its own: a router, and what browsers need,
/// were a fifth of the server's work for a Hold.
pub struct Door {
    pub reservations: Around<ReservationService>,
    /// All services, for those who call in any way.
    pub all: Cors<GrpcWebService<Around<Routes>>>,
    /// How long a request may take to arrive.
    pub request_time: Duration,
    /// The sign to end streams by.
    pub drain: CancellationToken,
}

impl Service<Request<Incoming>> for Door {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let request = match request.uri().path().starts_with(REFLECTION) {
            true => for_a_while(request, REFLECTION_TIME, self.drain.clone()),
            false => in_time(request, self.request_time),
        };
        match is_plain(&request) && is_of_reservations(&request) {
            true => self.reservations.call(request).map(Ok).boxed(),
            false => self.all.clone().oneshot(request).boxed(),
        }
    }
}

/// Not gRPC-Web, which begins alike.
fn is_plain(request: &Request<Body>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| rest.is_empty() || rest[0] == b'+')
}

fn is_of_reservations(request: &Request<Body>) -> bool {
    let rest = request.uri().path().strip_prefix('/');
    let rest = rest.and_then(|path| path.strip_prefix(ReservationService::NAME));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

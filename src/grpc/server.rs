//! The transport: accepts connections, and serves each until it ends, stalls, or
//! the server goes away.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, Either},
};
use http::{Request, Response};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use super::{
    cork::Socket,
    draining::{Draining, InFlight, weight},
    guarded::counted,
    stall::{Calls, Connection},
    usage::{Usage, Used},
};
use crate::{
    access::Peer,
    config::Limits,
    connections::Connections,
    limits::{
        ABUSED_CONNECTION_GRACE, ACCEPT_PAUSE, HTTP_HEAD_TIMEOUT, HTTP2_KEEPALIVE_INTERVAL,
        HTTP2_KEEPALIVE_TIMEOUT, MAX_BROKEN_STREAMS, MAX_PENDING_RESET_STREAMS,
        STALLED_CONNECTION_GRACE, STREAM_SEND_BUFFER_BYTES,
    },
    tls::{Entrance, Stream},
};

/// Serves until the server closes, then until all connections have ended.
pub async fn serve<S>(
    listener: TcpListener,
    entrance: Entrance,
    service: S,
    limits: Limits,
    draining: Draining,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + Unpin + 'static,
{
    let (most, limits) = (limits.max_connections, Arc::new(limits));
    let places = Connections::new("grpc", most, limits.per_address(most));
    let connections = TaskTracker::new();
    while let Some(accepted) = draining.open(listener.accept()).await {
        match accepted {
            Ok((stream, addr)) => {
                let Some(place) = places.enter(addr.ip()) else { continue };
                // Only makes small answers slower, where it fails.
                let _ = stream.set_nodelay(true);
                let (entrance, service) = (entrance.clone(), service.clone());
                let (places, limits) = (places.clone(), limits.clone());
                let draining = draining.clone();
                connections.spawn(async move {
                    let entered = draining.open(entrance.enter(stream)).await;
                    let Some((stream, names)) = entered.flatten() else { return };
                    let peer = Arc::new(Peer { addr, names });
                    let (in_flight, usage) = (draining.in_flight.clone(), Usage::new());
                    let service = OfPeer { service, peer, in_flight, usage };
                    let closed = serve_connection(stream, service, &limits, draining).await;
                    if let Some(limit) = closed {
                        places.closed(limit);
                    }
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever comes now is to be refused, not left waiting.
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A service for the calls of one connection.
#[derive(Clone)]
struct OfPeer<S> {
    service: S,
    peer: Arc<Peer>,
    in_flight: InFlight,
    usage: Arc<Usage>,
}

impl<S> Service<Request<Incoming>> for OfPeer<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + Unpin + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Used<Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        let weight = weight(&request);
        let called = self.service.call(request);
        self.usage.count(match weight {
            0 => Either::Left(called),
            weight => {
                let begun = self.in_flight.begin(weight);
                Either::Right(called.map_ok(|response| counted(response, begun)).boxed())
            }
        })
    }
}

/// Answers which limit closed it, where one did.
async fn serve_connection<S>(
    stream: Stream,
    service: OfPeer<S>,
    limits: &Limits,
    draining: Draining,
) -> Option<&'static str>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + Unpin + 'static,
{
    let socket = Socket::new(stream);
    let connection = Arc::new(Connection::new(draining.in_flight.clone()));
    // Who comes although the server drains has nowhere else to go.
    let leave = draining.sign_for_a_connection();
    let builder = transport(&connection, limits);
    let usage = service.usage.clone();
    let serving = builder.serve_connection(TokioIo::new(socket.clone()), service);
    let mut serving = pin!(serving);
    let seconds = |seconds: u16| Duration::from_secs(seconds.into());
    let (first, idle) = (seconds(limits.max_first_call_seconds), seconds(limits.max_idle_seconds));
    let serve = async {
        tokio::select! {
            // It ended by itself; how, is the client's affair.
            _ = serving.as_mut() => None,
            () = leave.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serve_out(serving, &connection, &leave).await;
                None
            }
            () = connection.starves() => {
                // Nothing new comes here, and the PING with it is answered by a
                // client that is there.
                serving.as_mut().graceful_shutdown();
                let heard = socket.heard();
                tokio::select! {
                    _ = serving.as_mut() => return None,
                    () = connection.is_lost(|| socket.heard() > heard) => {}
                    () = leave.cancelled() => {
                        serve_out(serving, &connection, &leave).await;
                        return None;
                    }
                }
                tracing::info!("a connection is closed: nothing it is sent is read");
                connection.end_streams();
                let _ = timeout(STALLED_CONNECTION_GRACE, serving).await;
                Some("stalled")
            }
            () = usage.never_speaks(first) => Some("max_first_call_seconds"),
            () = usage.is_idle(idle, || connection.has_streams()) => {
                serving.as_mut().graceful_shutdown();
                serve_out(serving, &connection, &leave).await;
                Some("max_idle_seconds")
            }
            () = usage.is_abused() => {
                tracing::warn!("a connection is closed: its calls are given up at once");
                serving.as_mut().graceful_shutdown();
                let _ = timeout(ABUSED_CONNECTION_GRACE, serving).await;
                Some("calls_given_up")
            }
        }
    };
    let has_crowd = || connection.has_crowd();
    socket.clone().send_after(has_crowd, connection.scope(serve)).await
}

/// Serves to its end a connection whose client was told to go: calls may have crossed that
/// word, or its client does not heed it. A drain and what is not read end streams as ever.
async fn serve_out(
    mut serving: Pin<&mut impl Future>,
    connection: &Connection,
    leave: &CancellationToken,
) {
    let stalls = async {
        connection.starves().await;
        // There is no other GOAWAY to ask its client by.
        connection.is_lost(|| false).await;
    };
    let drains = async {
        leave.cancelled().await;
        connection.drain();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = serving.as_mut() => return,
        () = stalls => {}
        () = drains => {}
    }
    connection.end_streams();
    let _ = timeout(STALLED_CONNECTION_GRACE, serving).await;
}

/// How HTTP is spoken on a connection.
fn transport(connection: &Arc<Connection>, limits: &Limits) -> Builder<Calls> {
    let mut builder = Builder::new(Calls(connection.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_TIMEOUT)
        .max_buf_size(limits.max_header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams_per_connection)
        .max_header_list_size(limits.max_header_bytes)
        .max_pending_accept_reset_streams(MAX_PENDING_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_BROKEN_STREAMS)
        .max_send_buf_size(STREAM_SEND_BUFFER_BYTES)
        .keep_alive_interval(HTTP2_KEEPALIVE_INTERVAL)
        .keep_alive_timeout(HTTP2_KEEPALIVE_TIMEOUT);
    builder
}

/// Of a client that went away before it was served.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

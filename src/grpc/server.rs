//! The transport: accepts connections, and serves each until it ends, stalls, or
//! the server goes away.

use std::{convert::Infallible, io, pin::pin, sync::Arc};

use http::{Request, Response};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use super::{
    cork::Socket,
    stall::{Calls, Connection},
};
use crate::limits::{
    ACCEPT_PAUSE, HTTP2_KEEPALIVE_INTERVAL, HTTP2_KEEPALIVE_TIMEOUT, MAX_STREAMS_PER_CONNECTION,
    STALLED_CONNECTION_GRACE, STREAM_SEND_BUFFER_BYTES,
};

/// Serves until `drain`, then until all connections have ended.
pub async fn serve<S>(listener: TcpListener, service: S, drain: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    let connections = TaskTracker::new();
    while let Some(accepted) = drain.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, service.clone(), drain.clone()));
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

async fn serve_connection<S>(stream: TcpStream, service: S, drain: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    // Only makes small answers slower, where it fails.
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream);
    let connection = Arc::new(Connection::default());
    let mut builder = Builder::new(Calls(connection.clone()));
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_send_buf_size(STREAM_SEND_BUFFER_BYTES)
        .keep_alive_interval(HTTP2_KEEPALIVE_INTERVAL)
        .keep_alive_timeout(HTTP2_KEEPALIVE_TIMEOUT);
    let serving = builder.serve_connection(TokioIo::new(socket.clone()), service);
    let mut serving = pin!(serving);
    let serve = async {
        tokio::select! {
            // It ended by itself; how, is the client's affair.
            _ = serving.as_mut() => {}
            () = drain.cancelled() => {
                connection.drain();
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
            () = connection.starves() => {
                // Nothing new comes here, and the PING with it is answered by a
                // client that is there.
                serving.as_mut().graceful_shutdown();
                let heard = socket.heard();
                tokio::select! {
                    _ = serving.as_mut() => return,
                    () = connection.is_lost(|| socket.heard() > heard) => {}
                }
                tracing::info!("a connection is closed: nothing it is sent is read");
                connection.end_streams();
                let _ = timeout(STALLED_CONNECTION_GRACE, serving).await;
            }
        }
    };
    let has_crowd = || connection.has_crowd();
    socket.clone().send_after(has_crowd, connection.scope(serve)).await;
}

/// Of a client that went away before it was served.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

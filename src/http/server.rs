//! The transport of the side door: HTTP/1, with a time for all that a client can be slow in.

use std::{pin::pin, sync::Arc};

use axum::{
    Extension, Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    serve::Listener,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::Peer,
    connections::Connections,
    limits::{HTTP_CONNECTION_AGE, HTTP_HEAD_TIMEOUT, HTTP_REQUEST_TIMEOUT, MAX_HTTP_HEAD_BYTES},
    tls::Entrance,
};

/// Serves until `stop`, then until all requests in flight are answered.
pub async fn serve(
    mut listener: TcpListener,
    entrance: Entrance,
    router: Router,
    places: Arc<Connections>,
    stop: CancellationToken,
) {
    let router = router.layer(from_fn(in_time));
    let connections = TaskTracker::new();
    while let Some((stream, addr)) = stop.run_until_cancelled(Listener::accept(&mut listener)).await
    {
        let Some(place) = places.enter(addr.ip()) else { continue };
        let (entrance, router, stop) = (entrance.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            let entered = stop.run_until_cancelled(entrance.enter(stream)).await;
            let Some((stream, names)) = entered.flatten() else { return };
            let peer = Arc::new(Peer { addr, names });
            let service = TowerToHyperService::new(router.layer(Extension(peer)));
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HTTP_HEAD_TIMEOUT)
                .max_buf_size(MAX_HTTP_HEAD_BYTES);
            let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                // How it ended is the client's affair.
                _ = serving.as_mut() => return,
                () = stop.cancelled() => {}
                () = sleep(HTTP_CONNECTION_AGE) => {}
            }
            serving.as_mut().graceful_shutdown();
            // A client that does not read its answer is not waited for.
            let _ = timeout(HTTP_REQUEST_TIMEOUT, serving).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn in_time(request: Request, next: Next) -> Response {
    let answered = timeout(HTTP_REQUEST_TIMEOUT, next.run(request)).await;
    answered.unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "too slow\n").into_response())
}

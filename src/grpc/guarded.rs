//! Bodies that something hangs on: an answer that counts until its end, a request that has
//! to arrive in time, and one that nobody wants any more.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};

use super::{
    admit::{Kind, Pass},
    status,
};
#[cfg(doc)]
use crate::limits::MAX_BROKEN_STREAMS;
use crate::limits::{REFUSED_REQUEST_BYTES, REFUSED_REQUEST_TIME};

/// Lets a stream count until its last message; all else has ended with its answer.
pub fn until_its_end(pass: Arc<Pass>, response: Response<Body>) -> Response<Body> {
    let has_ended = matches!(pass.kind(), Kind::Unary | Kind::Probe);
    let goes_on = !has_ended && !response.body().is_end_stream();
    match goes_on {
        true => counted(response, pass),
        false => response,
    }
}

/// Reads for a moment what is left of a request that was refused. Its client did nothing
/// wrong; but what comes for a stream that we have ended counts as broken, and the
/// connection of a client that is often refused would end for it ([`MAX_BROKEN_STREAMS`]).
pub fn let_run_out(mut body: Body) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(REFUSED_REQUEST_TIME, async move {
        let mut left = REFUSED_REQUEST_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(bytes) else { break };
            left = rest;
        }
    }));
}

/// A response that has something until its body has ended.
pub fn counted<T: Send + Unpin + 'static>(response: Response<Body>, by: T) -> Response<Body> {
    response.map(|body| Body::new(Counted { body, _by: by }))
}

struct Counted<T> {
    body: Body,
    _by: T,
}

impl<T: Unpin> HttpBody for Counted<T> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body, which has so long to arrive as a whole: a call that waits for it
/// takes the room of one that works. One that its client gives up is broken.
pub fn in_time(request: Request<Incoming>, time: Duration) -> Request<Body> {
    let has_sign = request.version() == Version::HTTP_2;
    request.map(|body| Body::new(InTime { body, has_sign, time, drain: None, late: None }))
}

/// A request's body that goes on as long as its caller has questions, but ends after so
/// long, or when the server drains.
pub fn for_a_while(
    request: Request<Incoming>,
    time: Duration,
    drain: CancellationToken,
) -> Request<Body> {
    let (has_sign, drain) = (request.version() == Version::HTTP_2, Some(drain));
    request.map(|body| Body::new(InTime { body, has_sign, time, drain, late: None }))
}

struct InTime {
    body: Incoming,
    /// Whether its last frame says that it is the last: one that was reset may seem
    /// to have ended, too.
    has_sign: bool,
    time: Duration,
    /// Ends it before, and however much of it comes.
    drain: Option<CancellationToken>,
    /// Nearly all bodies are there when they are first asked for: no timer for them.
    late: Option<BoxFuture<'static, ()>>,
}

impl InTime {
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (time, drain) = (self.time, &self.drain);
        let late = self.late.get_or_insert_with(|| match drain.clone() {
            None => sleep(time).boxed(),
            Some(drain) => timeout(time, drain.cancelled_owned()).map(drop).boxed(),
        });
        late.as_mut().poll(cx)
    }
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.drain.is_some() && self.poll_late(cx).is_ready() {
            return Poll::Ready(Some(Err(status::late_request())));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let is_cut = frame.is_none() && self.has_sign && !self.body.is_end_stream();
            return Poll::Ready(match frame {
                Some(Ok(frame)) => Some(Ok(frame)),
                None if !is_cut => None,
                Some(Err(_)) | None => Some(Err(status::given_up())),
            });
        }
        self.poll_late(cx).map(|()| Some(Err(status::late_request())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

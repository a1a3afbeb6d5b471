//! Answers that are bytes already: what many callers are told is encoded once,
//! and each of them costs a reference to it.
//!
//! The generated services encode a message for each caller, into a buffer of
//! its own. Methods that share their bytes answer an empty message with a [`Body`]
//! beside it, and [`put`] lets it take the place of the one that was made.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt,
    stream::{self, AbortHandle, Abortable},
};
use http::{HeaderMap, Response};
use http_body::Frame;
use prost::Message;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body};

use super::{stall::Pace, status};
use crate::limits::STREAM_SEND_BUFFER_BYTES;

/// A flag and a length stand before each message, as the gRPC protocol has it.
const PREFIX_BYTES: usize = 5;

/// A message as it goes over the wire, not compressed.
pub fn framed(message: &impl Message) -> Bytes {
    framed_parts(&[], message)
}

/// A message in parts, each one encoded already, and the last: one after the other they are
/// the whole.
pub fn framed_parts(parts: &[Bytes], last: &impl Message) -> Bytes {
    let length = parts.iter().map(Bytes::len).sum::<usize>() + last.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("the contract's bounds keep messages below 4 GB"));
    for part in parts {
        bytes.put_slice(part);
    }
    last.encode(&mut bytes).expect("there is room for it");
    bytes.freeze()
}

/// The messages of one answer, and how it ends.
pub struct Body {
    messages: Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>,
    /// What is left of a message that is passed on in pieces.
    rest: Bytes,
    /// Tells the watchdog when the transport asks.
    pace: Pace,
    /// Whether it goes on until somebody ends it.
    goes_on: bool,
    /// When its caller is not known any more.
    until: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Body {
    /// Answers with messages, each [`framed`], to the end or the first error.
    pub fn of(messages: impl Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Self {
        Self::paced(messages, Pace::of_this_call(None))
    }

    /// The same, of messages that go on until the server drains, unless they end before:
    /// then the last word is where to go on.
    pub fn until(
        drain: &CancellationToken,
        messages: impl Stream<Item = Result<Bytes, Status>> + Send + 'static,
    ) -> Self {
        let (stop, stopped) = AbortHandle::new_pair();
        let sign = stop.clone();
        let draining = stream::once(async move { sign.is_aborted() })
            .filter_map(async |is_draining| is_draining.then(|| Err(status::draining())));
        let messages = Abortable::new(messages, stopped).chain(draining);
        let mut body = Self::paced(messages, Pace::of_this_call(Some(stop.clone())));
        body.goes_on = true;
        // After its connection knows of it, or it would be missed in between.
        if drain.is_cancelled() {
            stop.abort();
        }
        body
    }

    fn paced(
        messages: impl Stream<Item = Result<Bytes, Status>> + Send + 'static,
        pace: Pace,
    ) -> Self {
        let (messages, rest) = (Box::pin(messages), Bytes::new());
        Self { messages, rest, pace, goes_on: false, until: None, ended: false }
    }

    /// An answer with this body, for [`put`].
    pub fn into_response<T>(self, unused: T) -> tonic::Response<T> {
        let mut response = tonic::Response::new(unused);
        response.extensions_mut().insert(Carried(Arc::new(Mutex::new(Some(self)))));
        response
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Frame<Bytes>> {
        if self.rest.is_empty() {
            let is_over = match &mut self.until {
                Some(until) => until.as_mut().poll(cx).is_ready(),
                None => false,
            };
            let next = match is_over {
                true => Some(Err(status::no_longer_known())),
                false => ready!(self.messages.as_mut().poll_next(cx)),
            };
            let status = match next {
                Some(Ok(message)) => {
                    self.rest = message;
                    return self.poll_piece(cx);
                }
                Some(Err(status)) => status,
                None => Status::ok(""),
            };
            self.messages = Box::pin(stream::empty());
            self.ended = true;
            let mut trailers = HeaderMap::new();
            // Fails only for a text that no header can be; ours are plain.
            let _ = status.add_header(&mut trailers);
            return Poll::Ready(Frame::trailers(trailers));
        }
        // What the transport takes it keeps, whether there is room or not.
        let length = self.rest.len().min(STREAM_SEND_BUFFER_BYTES);
        Poll::Ready(Frame::data(self.rest.split_to(length)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.pace.asked();
        let piece = ready!(self.poll_piece(cx));
        self.pace.took();
        Poll::Ready(Some(Ok(piece)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// A body on its way through the generated service, which can only clone what it
/// is given beside a message.
#[derive(Clone)]
struct Carried(Arc<Mutex<Option<Body>>>);

/// Puts the body that a method has given in the place of the generated one. One that goes
/// on ends when its caller is not known any more.
pub fn put(
    mut response: Response<body::Body>,
    known_for: Option<Duration>,
) -> Response<body::Body> {
    let Some(Carried(body)) = response.extensions_mut().remove() else { return response };
    match body.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(mut body) => {
            let known_for = known_for.filter(|_| body.goes_on);
            body.until = known_for.map(|rest| Box::pin(sleep(rest + Duration::from_secs(1))));
            response.map(|_| body::Body::new(body))
        }
        None => response,
    }
}

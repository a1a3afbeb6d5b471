//! A socket that sends what one turn of its connection writes in one go.
//!
//! The HTTP/2 below us flushes after each frame that is not very short: with a
//! thousand streams on a connection, a thousand system calls for one tick of the
//! feed. So a flush does nothing here; whoever drives the connection sends at the
//! end of each turn, by [`Socket::send_after`].

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

use crate::{limits::CONNECTION_WRITE_BUFFER_BYTES, tls::Stream};

/// See the module. Its clones are the same socket; all are used by one task.
#[derive(Clone)]
pub struct Socket(Arc<Mutex<Corked>>);

struct Corked {
    stream: Stream,
    /// Written, and not sent yet; no memory where there is nothing.
    waiting: BytesMut,
    /// Whether the stream was given something that it may have kept: TLS does.
    is_unsent: bool,
    /// How often something came.
    heard: u64,
}

impl Corked {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            self.is_unsent = true;
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(sent) => self.waiting.advance(sent),
                Err(error) => {
                    self.waiting.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        self.waiting = BytesMut::new();
        if self.is_unsent {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_unsent = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Socket {
    pub fn new(stream: Stream) -> Self {
        let corked = Corked { stream, waiting: BytesMut::new(), is_unsent: false, heard: 0 };
        Self(Arc::new(Mutex::new(corked)))
    }

    /// How often the client has been heard until now.
    pub fn heard(&self) -> u64 {
        self.lock().heard
    }

    /// Drives a connection on this socket, and sends after each turn of it. Where it
    /// has a crowd, its turn comes once the tasks that are ready have had theirs: many
    /// of them are its own streams, and write for it.
    pub async fn send_after<T>(
        self,
        has_crowd: impl Fn() -> bool,
        serving: impl Future<Output = T>,
    ) -> T {
        let mut serving = pin!(serving);
        let mut has_waited = false;
        poll_fn(|cx| {
            if !has_waited && has_crowd() {
                has_waited = true;
                // Wakes us later; it cannot be ready when it is first asked.
                let _ = pin!(yield_now()).poll(cx);
                return Poll::Pending;
            }
            has_waited = false;
            let turn = serving.as_mut().poll(cx);
            // What cannot be sent is told to who reads or writes next.
            let _ = self.lock().poll_send(cx);
            turn
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Corked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut corked = self.lock();
        let had = into.filled().len();
        let read = Pin::new(&mut corked.stream).poll_read(cx, into);
        corked.heard += u64::from(into.filled().len() > had);
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut corked = self.lock();
        let length = slices.iter().map(|slice| slice.len()).sum();
        if corked.waiting.len() + length > CONNECTION_WRITE_BUFFER_BYTES {
            ready!(corked.poll_send(cx))?;
        }
        if length > CONNECTION_WRITE_BUFFER_BYTES {
            corked.is_unsent = true;
            return Pin::new(&mut corked.stream).poll_write_vectored(cx, slices);
        }
        if corked.waiting.is_empty() {
            corked.waiting.reserve(CONNECTION_WRITE_BUFFER_BYTES);
        }
        for slice in slices {
            corked.waiting.extend_from_slice(slice);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing: see the module.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut corked = self.lock();
        ready!(corked.poll_send(cx))?;
        Pin::new(&mut corked.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(Stream::Plain(listener.accept().await.unwrap().0)), client)
    }

    #[tokio::test]
    async fn what_a_turn_writes_is_sent_at_its_end() {
        let (socket, mut client) = pair().await;
        let mut writer = socket.clone();
        let turn = async {
            writer.write_all(b"one ").await.unwrap();
            writer.flush().await.unwrap();
            writer.write_all(b"two").await.unwrap();
            assert_eq!(writer.lock().waiting, "one two", "not sent yet");
            tokio::task::yield_now().await;
            assert!(writer.lock().waiting.is_empty(), "sent after the turn");
        };
        socket.send_after(|| true, turn).await;
        let mut told = [0; 7];
        client.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"one two");
    }

    #[tokio::test]
    async fn a_crowd_writes_before_its_connection_has_its_turn() {
        let (socket, _client) = pair().await;
        let turns = Arc::new(Mutex::new(Vec::new()));
        let turn = |who| {
            let turns = turns.clone();
            async move { turns.lock().unwrap().push(who) }
        };
        let mut working = tokio::task::JoinSet::new();
        working.spawn(socket.send_after(|| true, turn("connection")));
        working.spawn(turn("a stream"));
        working.spawn(turn("another"));
        working.join_all().await;
        assert_eq!(*turns.lock().unwrap(), ["a stream", "another", "connection"]);
    }

    #[tokio::test]
    async fn more_than_fits_arrives_whole_and_in_order() {
        let (socket, mut client) = pair().await;
        let mut writer = socket.clone();
        let all: Vec<u8> = (0..=250).cycle().take(40 * CONNECTION_WRITE_BUFFER_BYTES).collect();
        let sent = all.clone();
        let writing = tokio::spawn(socket.send_after(|| false, async move {
            // Pieces of all sizes, below the buffer's and above.
            let mut rest = &sent[..];
            for size in (1..).step_by(997) {
                let (piece, after) = rest.split_at(rest.len().min(size));
                writer.write_all(piece).await.unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            writer.shutdown().await.unwrap();
        }));
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        writing.await.unwrap();
        assert!(told == all);
    }
}

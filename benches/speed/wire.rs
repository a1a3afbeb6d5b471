//! A gRPC client that costs as little as can be: HTTP/2 frames with requests
//! that were encoded before. It shares the machine with what it measures.

use anyhow::{Context as _, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Method, Request, header::HeaderValue};
use prost::Message;
use tokio::net::TcpStream;

/// Connections to each server.
pub const CONNECTIONS: usize = 8;

pub const HOLD: &str = "/holdfast.v1.ReservationService/Hold";
pub const CONFIRM: &str = "/holdfast.v1.ReservationService/Confirm";
pub const GET_SEAT_MAP: &str = "/holdfast.v1.ReservationService/GetSeatMap";
pub const STREAM: &str = "/holdfast.v1.ReservationService/StreamSeatUpdates";

/// Bytes that small frames may waste, unread, on one connection.
const SMALL_FRAMES: usize = 16 * 1024 * 1024;

/// Bytes of a window where nothing else is said, of a stream and of a connection.
pub const SMALLEST_WINDOW: u32 = 65_535;

/// One connection.
#[derive(Clone)]
pub struct Wire {
    send: SendRequest<Bytes>,
    authority: String,
}

impl Wire {
    /// With the windows of HTTP/2's own default.
    pub async fn connect(addr: &str) -> anyhow::Result<Self> {
        Self::connect_with_window(addr, SMALLEST_WINDOW).await
    }

    /// With a window of so many bytes for all streams together; each has one of
    /// [`SMALLEST_WINDOW`].
    pub async fn connect_with_window(addr: &str, window: u32) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        // A tick brings each stream a small frame at once: more of them than this
        // library takes of a stranger with such windows.
        let (send, connection) = h2::client::Builder::new()
            .initial_connection_window_size(window)
            .data_frame_budget(SMALL_FRAMES)
            .handshake(tcp)
            .await?;
        tokio::spawn(connection);
        Ok(Self { send, authority: addr.to_owned() })
    }

    /// Whether nothing can be sent on it any more.
    pub async fn is_closed(&self) -> bool {
        self.send.clone().ready().await.is_err()
    }

    /// The head of a method's requests, to be made once.
    pub fn head(&self, method: &str) -> anyhow::Result<Request<()>> {
        let head = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{method}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        Ok(head.body(())?)
    }

    /// A call of one message, which must be answered OK.
    pub async fn call(&self, head: &Request<()>, body: Bytes) -> anyhow::Result<()> {
        let mut answer = self.open(head, body).await?;
        while let Some(data) = answer.data().await {
            answer.flow_control().release_capacity(data?.len())?;
        }
        let trailers = answer.trailers().await?.context("an answer without a status")?;
        is_ok(&trailers)
    }

    /// A call whose answer is to be read.
    pub async fn open(&self, head: &Request<()>, body: Bytes) -> anyhow::Result<RecvStream> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut stream) = send.send_request(head.clone(), false)?;
        stream.send_data(body, true)?;
        let response = response.await?;
        if response.headers().contains_key("grpc-status") {
            is_ok(response.headers())?;
        }
        Ok(response.into_body())
    }
}

fn is_ok(headers: &HeaderMap) -> anyhow::Result<()> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match text("grpc-status") {
        Some("0") => Ok(()),
        status => bail!("status {status:?}: {:?}", text("grpc-message")),
    }
}

/// A message as gRPC frames it.
pub fn frame(message: &impl Message) -> Bytes {
    let len = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(5 + len);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(len).expect("requests are small"));
    message.encode(&mut bytes).expect("the buffer grows");
    bytes.freeze()
}

//! Clients that speak HTTP/2 themselves: calls that stay half made, and frames that no
//! good client sends.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use h2::{
    PingPong,
    client::{ResponseFuture, SendRequest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::{Mutex, oneshot},
};

/// How frames are told apart (RFC 9113, 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
/// Flags of HEADERS.
pub const END_HEADERS: u8 = 4;
/// Of HEADERS and DATA.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const MAX_FRAME_BYTES: usize = 16 * 1024;

/// A socket to the server from an address of this machine.
pub async fn connect_from(local: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(local.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.connect(server).await.unwrap()
}

/// Whether the server has ended a connection: nothing more comes.
pub async fn is_ended(stream: &mut TcpStream) -> bool {
    let mut some = [0; 1024];
    loop {
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return true,
            Ok(_) => {}
        }
    }
}

/// A connection on which calls are begun and not ended.
pub struct Beginner {
    client: SendRequest<Bytes>,
    ping: Mutex<PingPong>,
    server: SocketAddr,
    /// Told when the connection has ended.
    pub ended: oneshot::Receiver<()>,
}

/// A call whose request does not come; dropped, it is given up.
pub struct Begun {
    pub answer: ResponseFuture,
    _request: h2::SendStream<Bytes>,
}

impl Beginner {
    pub async fn connect(local: &str, server: SocketAddr) -> Self {
        let socket = connect_from(local, server).await;
        let (client, mut connection) = h2::client::handshake(socket).await.unwrap();
        let ping = Mutex::new(connection.ping_pong().unwrap());
        let (tell, ended) = oneshot::channel();
        tokio::spawn(async move {
            let _ = connection.await;
            let _ = tell.send(());
        });
        Self { client, ping, server, ended }
    }

    /// Begins a call; returns once the server has taken it, or ended the connection.
    pub async fn begin(&self, method: &str) -> Begun {
        let request = http::Request::post(format!("http://{}/holdfast.v1.{method}", self.server))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut client = self.client.clone().ready().await.unwrap();
        let (answer, request) = client.send_request(request.body(()).unwrap(), false).unwrap();
        // What comes after it is answered.
        let _ = self.ping.lock().await.ping(h2::Ping::opaque()).await;
        Begun { answer, _request: request }
    }
}

/// A connection of frames.
pub struct Frames(pub TcpStream);

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub payload: Vec<u8>,
}

impl Frames {
    pub async fn connect(server: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self(stream)
    }

    /// The next frame; `None` where the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        assert!(length <= MAX_FRAME_BYTES);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], payload })
    }

    /// Reads to the end; the codes of the GOAWAYs on the way.
    pub async fn goaways(&mut self) -> Vec<u32> {
        let mut codes = Vec::new();
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                codes.push(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        codes
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call, as HPACK has them: POST and http by their numbers, all else as
/// text that is not to be remembered.
pub fn head_of(method: &str) -> Vec<u8> {
    let mut head = vec![0x83, 0x86];
    let mut text = |name: &[u8], value: &str| {
        head.extend(name);
        head.push(u8::try_from(value.len()).unwrap());
        head.extend(value.as_bytes());
    };
    text(&[0x04], &format!("/holdfast.v1.{method}"));
    text(&[0x01], "holdfast");
    text(&[0x0f, 0x10], "application/grpc");
    text(b"\x00\x02te", "trailers");
    head
}

//! The page for browsers: its routes at the HTTP port, and what it needs of the gRPC port.

use std::{net::SocketAddr, time::Duration};

use clap::Parser as _;
use holdfast::{
    config::{Cli, Doors, Limits, Page},
    limits::PREFLIGHT_KEPT,
    proto::{StreamSeatUpdatesRequest, StreamSeatUpdatesResponse},
};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    EVENT, Server, Stage, any_doors, eventually, hold_request,
    http::{get, grpc_web, raw, send},
};

async fn settings(http: SocketAddr, host: &str) -> (String, Value) {
    let host = if host.is_empty() { String::new() } else { format!("host: {host}\r\n") };
    let request = format!("GET /page.json HTTP/1.1\r\n{host}connection: close\r\n\r\n");
    let answer = raw(http, &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_or_said_not_to_be_built() {
    let stage = Stage::empty().await;
    let http = stage.server.app.http_addr;
    let grpc_url = format!("http://127.0.0.1:{}", stage.server.app.grpc_addr.port());
    for path in ["/", "/ops", "/assets/nothing.js", "/page.json", "/elsewhere", "/livez"] {
        let head = get(http, path).await.head.to_lowercase();
        for header in ["x-content-type-options: nosniff\r\n", "referrer-policy: no-referrer\r\n"] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
    for path in ["/", "/ops"] {
        let answer = get(http, path).await;
        let head = answer.head.to_lowercase();
        if head.starts_with("http/1.1 404") {
            assert!(answer.text().contains("`make page` builds it"), "{answer:?}");
            continue;
        }
        assert!(head.starts_with("http/1.1 200"), "{answer:?}");
        assert!(head.contains(&format!("connect-src 'self' {grpc_url};")), "{head}");
        let etag = head.split("etag: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let again = send(http, "GET", path, &[("if-none-match", etag)], &[]).await;
        assert!(again.head.starts_with("HTTP/1.1 304") && again.body.is_empty(), "{again:?}");
        let text = answer.text();
        assert!(text.contains(".js\""), "{text}");
        for file in text.split("\"/assets/").skip(1) {
            let file = format!("/assets/{}", file.split('"').next().unwrap());
            let head = get(http, &file).await.head.to_lowercase();
            let is_kept = head.contains("cache-control: public, max-age=31536000, immutable");
            assert!(head.starts_with("http/1.1 200") && is_kept, "{file}: {head}");
            let kinds = [(".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg")];
            let (_, kind) = kinds.iter().find(|(ending, _)| file.ends_with(ending)).unwrap();
            assert!(head.contains(&format!("content-type: {kind}")), "{file}: {head}");
        }
    }
    for path in ["/assets/nothing.js", "/assets/../index.html", "/assets/"] {
        assert!(get(http, path).await.head.starts_with("HTTP/1.1 404"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_learns_where_the_grpc_port_is() {
    let stage = Stage::empty().await;
    let app = &stage.server.app;
    let port = app.grpc_addr.port();
    for (host, name) in [
        ("localhost:8080", "localhost"),
        ("tickets.example", "tickets.example"),
        ("[::1]:8080", "[::1]"),
    ] {
        let told = settings(app.http_addr, host).await;
        let url = format!("http://{name}:{port}");
        let version = env!("CARGO_PKG_VERSION");
        let expected = json!({"grpc_url": url, "rush": false, "version": version});
        assert_eq!(told, ("200".into(), expected));
    }
    for host in ["", "a;script-src *", "user@host", "a,b", "[::1", "host:port"] {
        assert_eq!(settings(app.http_addr, host).await.0, "400", "{host}");
    }
    let request = "GET / HTTP/1.1\r\nhost: a;b\r\nconnection: close\r\n\r\n";
    assert!(raw(app.http_addr, request).await.starts_with("HTTP/1.1 400"));

    let url = "https://api.tickets.example";
    let page = Page { public_grpc_url: Some(url.into()) };
    let doors = Doors { page, ..any_doors() };
    let server = Server::start_on(&doors, &stage.stores.settings()).await;
    for host in ["localhost:8080", "a;b", ""] {
        assert_eq!(settings(server.app.http_addr, host).await.1["grpc_url"], url, "{host}");
    }
    for (url, is_one) in
        [("https://host:1", true), ("https://host/path", false), ("host:1", false), ("x", false)]
    {
        let line = ["holdfast", "dev", "--public-grpc-url", url];
        assert_eq!(Cli::try_parse_from(line).is_ok(), is_one, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_demo_has_no_rush() {
    let stage = Stage::new().await;
    let http = stage.server.app.http_addr;
    let json = [("content-type", "application/json")];
    for verb in ["GET", "POST", "DELETE"] {
        let answer = send(http, verb, "/demo/rush", &json, br#"{"event_id":"event"}"#).await;
        assert!(answer.head.starts_with("HTTP/1.1 404"), "{verb}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_page_is_counted() {
    let stage = Stage::empty().await;
    let doors =
        Doors { limits: Limits { max_http_connections: 1, ..Limits::default() }, ..any_doors() };
    let server = Server::start_on(&doors, &stage.stores.settings()).await;
    let http = server.app.http_addr;
    let get = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let first = TcpStream::connect(http).await.unwrap();
    eventually("the second one is closed", async || raw(http, get).await.is_empty().then_some(()))
        .await;
    drop(first);
    eventually("there is room again", async || {
        raw(http, get).await.starts_with("HTTP/1.1").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_call_the_grpc_port_and_read_why_not() {
    let stage = Stage::new().await;
    let addr = stage.server.app.grpc_addr;
    let origin = ("origin", "http://localhost:8080");
    let wanted = "authorization,connect-protocol-version,content-type,grpc-timeout,\
                  x-grpc-web,x-user-agent";
    let asks = [
        origin,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", wanted),
    ];
    let path = "/holdfast.v1.ReservationService/Hold";
    let may = send(addr, "OPTIONS", path, &asks, &[]).await.head.to_lowercase();
    assert!(may.starts_with("http/1.1 200"), "{may}");
    for header in [
        "access-control-allow-origin: *\r\n".to_owned(),
        "access-control-allow-methods: post\r\n".to_owned(),
        format!("access-control-allow-headers: {wanted}\r\n"),
        format!("access-control-max-age: {}\r\n", PREFLIGHT_KEPT.as_secs()),
    ] {
        assert!(may.contains(&header), "{header:?} is not in {may}");
    }
    assert!(!may.contains("access-control-allow-credentials"), "{may}");

    let answer = grpc_web(addr, "ReservationService/Hold", &[origin], b"").await;
    let head = answer.head.to_lowercase();
    let exposed = "access-control-expose-headers: grpc-status,grpc-message,grpc-status-details-bin";
    assert!(head.contains(exposed), "{head}");
    assert!(head.contains("grpc-status: 3\r\n") && head.contains("grpc-status-details-bin: "));
}

/// What a stream of gRPC-Web over HTTP/1.1 tells, as it comes.
struct WebStream {
    stream: TcpStream,
    /// What was read and not told yet.
    read: Vec<u8>,
}

impl WebStream {
    async fn open(addr: SocketAddr, event_id: &str) -> Self {
        let request = StreamSeatUpdatesRequest { event_id: event_id.into(), ..Default::default() };
        let message = request.encode_to_vec();
        let head = format!(
            "POST /holdfast.v1.ReservationService/StreamSeatUpdates HTTP/1.1\r\nhost: {addr}\r\n\
             origin: http://localhost:8080\r\ncontent-type: application/grpc-web+proto\r\n\
             x-grpc-web: 1\r\ncontent-length: {}\r\n\r\n",
            message.len() + 5
        );
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        stream.write_all(&frame).await.unwrap();
        let mut opened = Self { stream, read: Vec::new() };
        let head = opened.upto(b"\r\n\r\n").await;
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
        opened
    }

    async fn upto(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|found| found == end) {
                let rest = self.read.split_off(at + end.len());
                return std::mem::replace(&mut self.read, rest);
            }
            let more = self.stream.read_buf(&mut self.read);
            let count = timeout(Duration::from_secs(20), more).await.expect("in time").unwrap();
            assert!(count > 0, "the stream has ended");
        }
    }

    /// The next chunk, which the server sends as one message or more.
    async fn next(&mut self) -> StreamSeatUpdatesResponse {
        let length = self.upto(b"\r\n").await;
        let length = std::str::from_utf8(&length).unwrap().trim();
        let length = usize::from_str_radix(length, 16).unwrap();
        while self.read.len() < length + 2 {
            self.stream.read_buf(&mut self.read).await.unwrap();
        }
        let rest = self.read.split_off(length + 2);
        let chunk = std::mem::replace(&mut self.read, rest);
        let size = u32::from_be_bytes(chunk[1..5].try_into().unwrap()) as usize;
        assert_eq!(chunk[0], 0, "a message");
        StreamSeatUpdatesResponse::decode(&chunk[5..5 + size]).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_over_grpc_web() {
    let stage = Stage::new().await;
    let mut stream = WebStream::open(stage.server.app.grpc_addr, EVENT).await;
    let first = stream.next().await;
    assert!(!first.resume_token.is_empty(), "{first:?}");
    stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    while !format!("{:?}", stream.next().await).contains("\"A-1\"") {}
}

//! Limits of connections, and clients that attack: each is cut off, and others are served.

use std::{net::SocketAddr, time::Duration};

use holdfast::{
    config::{Doors, Limits},
    limits::{MAX_BROKEN_STREAMS, MAX_CALLS_GIVEN_UP, MAX_PENDING_RESET_STREAMS},
    proto::SeatStatus,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::support::{
    EVENT, Server, Stage, any_doors, eventually, hold_request,
    http::send,
    raw::{
        ACK, Beginner, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM,
        Frames, GOAWAY, HEADERS, PING, REFUSED_STREAM, RST_STREAM, SETTINGS, connect_from, frame,
        head_of, is_ended,
    },
};

/// Far beyond what the server waits.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than all buffers on the way hold.
const FLOOD_BYTES: usize = 64 * 1024 * 1024;
const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";

async fn server_with(stage: &Stage, limits: Limits) -> Server {
    let doors = Doors { limits, ..any_doors() };
    Server::start_on(&doors, &stage.stores.settings()).await
}

async fn in_time<T>(what: &str, happens: impl Future<Output = T>) -> T {
    timeout(PATIENCE, happens).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Whether a new connection is served.
async fn is_served(local: &str, server: SocketAddr) -> Option<Beginner> {
    let mut beginner = Beginner::connect(local, server).await;
    let begun = beginner.begin("ReservationService/Steal").await;
    let is_answered = in_time("an answer, or an end", begun.answer).await.is_ok();
    (is_answered && beginner.ended.try_recv().is_err()).then_some(beginner)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_have_an_edge_in_all_and_of_an_address() {
    let stage = Stage::new().await;
    let limits = Limits {
        max_connections: 4,
        max_connections_per_address: Some(3),
        max_first_call_seconds: 600,
        ..Limits::default()
    };
    // Its own client has one of them.
    let server = server_with(&stage, limits).await;
    let addr = server.app.grpc_addr;
    let _second = is_served(HERE, addr).await.expect("the second");
    let third = is_served(HERE, addr).await.expect("the third");
    let mut fourth = connect_from(HERE, addr).await;
    assert!(in_time("it is closed", is_ended(&mut fourth)).await, "one address has three");
    let _fourth = is_served(ELSEWHERE, addr).await.expect("another address");
    let mut fifth = connect_from(ELSEWHERE, addr).await;
    assert!(in_time("it is closed", is_ended(&mut fifth)).await, "four in all");
    server.hold(hold_request("ann", &["A-1"])).await.unwrap();

    drop(third);
    let mut served = None;
    while served.is_none() {
        let mut socket = connect_from(ELSEWHERE, addr).await;
        // What is over the edge ends at once; what is served waits for a word.
        let ended = timeout(Duration::from_millis(200), is_ended(&mut socket)).await;
        served = ended.is_err().then_some(socket);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_so_many_streams_and_its_client_is_told() {
    let stage = Stage::new().await;
    let limits = Limits { max_streams_per_connection: 7, ..Limits::default() };
    let server = server_with(&stage, limits).await;
    let mut client = Frames::connect(server.app.grpc_addr).await;
    let settings = in_time("it says what it takes", client.next()).await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    let told = settings.payload.chunks(6).find(|setting| setting[..2] == [0, 3]);
    assert_eq!(told.expect("how many streams")[2..], 7_u32.to_be_bytes());
    let head = head_of("ReservationService/Hold");
    for stream in (1..).step_by(2).take(8) {
        client.0.write_all(&frame(HEADERS, END_HEADERS, stream, &head)).await.unwrap();
    }
    let reset = in_time("one is too many", async {
        loop {
            let frame = client.next().await.expect("the connection goes on");
            if frame.kind == RST_STREAM {
                return frame;
            }
        }
    })
    .await;
    assert_eq!(reset.payload, REFUSED_STREAM.to_be_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_speaks_or_is_idle_is_ended_but_not_who_waits() {
    let stage = Stage::new().await;
    let limits = Limits { max_first_call_seconds: 1, max_idle_seconds: 1, ..Limits::default() };
    let server = server_with(&stage, limits).await;
    let addr = server.app.grpc_addr;
    // It waits for changes all the time.
    let mut watcher = stage_watch(&server).await;

    let mut silent = TcpStream::connect(addr).await.unwrap();
    assert!(in_time("a silent one is ended", is_ended(&mut silent)).await);
    let mut half = TcpStream::connect(addr).await.unwrap();
    half.write_all(b"POST /holdfast.v1.ReservationService/Hold HTTP/1.1\r\nhost:").await.unwrap();
    assert!(in_time("half a head is ended", is_ended(&mut half)).await);
    // It greets, and says nothing more.
    let mut greeting = Frames::connect(addr).await;
    in_time("a greeting is not enough", greeting.goaways()).await;
    // It made a call, and then nothing: told in good order.
    let idle = is_served(HERE, addr).await.expect("served");
    in_time("it ends", idle.ended).await.unwrap();

    // Its own connection was idle, too: its client makes another.
    server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    watcher.until("the change", |w| w.house.seats["A-1"] == SeatStatus::Held).await;
}

async fn stage_watch(server: &Server) -> crate::support::Watcher {
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    watcher
}

/// An on-sale that others have meanwhile; they are all served.
async fn others_are_served(server: &Server, attack: impl Future<Output = ()>) {
    let others = async {
        for row in 'A'..='J' {
            for number in 1..=10 {
                let seat = format!("{row}-{number}");
                let hold = server.hold(hold_request("ann", &[&seat])).await.unwrap();
                server.release(&hold, &[], vec![]).await.unwrap();
            }
        }
    };
    in_time("both come to their end", async { tokio::join!(attack, others) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_reset_as_soon_as_they_are_made_end_their_connection() {
    let stage = Stage::new().await;
    let attack = async {
        let mut attacker = Frames::connect(stage.server.app.grpc_addr).await;
        let (head, cancel) = (head_of("ReservationService/Hold"), CANCEL.to_be_bytes());
        let mut all = Vec::new();
        for stream in (1..).step_by(2).take(10 * MAX_PENDING_RESET_STREAMS) {
            all.extend(frame(HEADERS, END_HEADERS, stream, &head));
            all.extend(frame(RST_STREAM, 0, stream, &cancel));
        }
        attacker.0.write_all(&all).await.unwrap();
        assert_eq!(attacker.goaways().await, [ENHANCE_YOUR_CALM]);
    };
    others_are_served(&stage.server, attack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_given_up_one_by_one_end_their_connection() {
    let stage = Stage::new().await;
    let attack = async {
        let mut attacker = Frames::connect(stage.server.app.grpc_addr).await;
        let (head, cancel) = (head_of("ReservationService/Hold"), CANCEL.to_be_bytes());
        let mut made = 0;
        for stream in (1..).step_by(2).take(2 * MAX_CALLS_GIVEN_UP as usize) {
            // Each is taken before it is given up: what is sent after it is answered.
            let mut call = frame(HEADERS, END_HEADERS, stream, &head);
            call.extend(frame(PING, 0, 0, &[0; 8]));
            let cut = attacker.0.write_all(&call).await.is_err();
            if cut || !pong(&mut attacker).await {
                break;
            }
            let _ = attacker.0.write_all(&frame(RST_STREAM, 0, stream, &cancel)).await;
            made += 1;
        }
        assert!((MAX_CALLS_GIVEN_UP..2 * MAX_CALLS_GIVEN_UP).contains(&made), "{made} were let");
    };
    others_are_served(&stage.server, attack).await;
}

/// Whether the last PING is answered.
async fn pong(attacker: &mut Frames) -> bool {
    while let Some(frame) = attacker.next().await {
        if frame.kind == PING && frame.flags & ACK != 0 {
            return true;
        }
    }
    false
}

/// What is on its way when a call is refused breaks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_again_and_again_keeps_his_connection() {
    const HERD: usize = 150;
    let stage = Stage::new().await;
    let limits = Limits { max_calls: 1, ..Limits::default() };
    let server = server_with(&stage, limits).await;
    let mut client = Frames::connect(server.app.grpc_addr).await;
    let head = head_of("ReservationService/Hold");
    // This one has the only place: the rest of it does not come.
    client.0.write_all(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
    let mut streams = (3..).step_by(2);
    for _ in 0..5 * MAX_BROKEN_STREAMS / HERD {
        let herd: Vec<u32> = streams.by_ref().take(HERD).collect();
        let heads = herd.iter().map(|stream| frame(HEADERS, END_HEADERS, *stream, &head));
        client.0.write_all(&heads.collect::<Vec<_>>().concat()).await.unwrap();
        let mut refused = 0;
        while refused < HERD {
            let answer = in_time("all are refused", client.next()).await.expect("a frame");
            assert_ne!(answer.kind, GOAWAY, "{answer:?}");
            refused += usize::from(answer.kind == HEADERS && answer.flags & END_STREAM != 0);
        }
        let rests = herd.iter().map(|stream| frame(DATA, END_STREAM, *stream, &[0; 5]));
        let mut rests = rests.collect::<Vec<_>>().concat();
        rests.extend(frame(PING, 0, 0, &[0; 8]));
        client.0.write_all(&rests).await.unwrap();
        assert!(in_time("it goes on", pong(&mut client)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_end_their_connection() {
    let stage = Stage::new().await;
    let attack = async {
        let mut attacker = Frames::connect(stage.server.app.grpc_addr).await;
        let head = head_of("ReservationService/Hold");
        attacker.0.write_all(&frame(HEADERS, 0, 1, &head)).await.unwrap();
        // A header of 1,000 bytes that is not to be remembered.
        let mut more = b"\x00\x01x\x7f\xe9\x06".to_vec();
        more.extend([b'x'; 1_000]);
        let more = frame(CONTINUATION, 0, 1, &more);
        let mut sent = 0;
        while sent < FLOOD_BYTES && attacker.0.write_all(&more).await.is_ok() {
            sent += more.len();
        }
        assert!(sent < FLOOD_BYTES, "it was read to the end");
    };
    others_are_served(&stage.server, attack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_settings_whose_answers_nobody_reads_are_not_read_for_ever() {
    let stage = Stage::new().await;
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])] {
        let attack = async {
            let mut attacker = Frames::connect(stage.server.app.grpc_addr).await;
            let (many, mut sent) = (flood.repeat(1_000), 0);
            while sent < FLOOD_BYTES {
                // Either the connection is ended, or nothing more is taken.
                let written = timeout(Duration::from_secs(3), attacker.0.write_all(&many)).await;
                match written {
                    Ok(Ok(())) => sent += many.len(),
                    Ok(Err(_)) | Err(_) => break,
                }
            }
            assert!(sent < FLOOD_BYTES, "all was read, and answered in memory");
        };
        others_are_served(&stage.server, attack).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_door_has_edges_too() {
    let stage = Stage::new().await;
    let limits = Limits { max_http_connections: 4, ..Limits::default() };
    let server = server_with(&stage, limits).await;
    let addr = server.app.http_addr;
    // Neither head nor body comes to its end.
    let mut slow_head = TcpStream::connect(addr).await.unwrap();
    slow_head.write_all(b"GET /livez HTTP/1.1\r\nhost:").await.unwrap();
    let mut slow_body = TcpStream::connect(addr).await.unwrap();
    let head = "POST /payments/vnpay/callback HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    slow_body.write_all(head.as_bytes()).await.unwrap();

    // Of one that has room: what has just ended may still count.
    let roomy = stage.server.app.http_addr;
    let long = "x".repeat(20_000);
    let answer = send(roomy, "GET", "/livez", &[("x-long", &long)], &[]).await;
    assert!(answer.head.starts_with("HTTP/1.1 431"), "{answer:?}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = send(roomy, "POST", "/payments/vnpay/callback", &form, long.as_bytes()).await;
    assert!(answer.head.starts_with("HTTP/1.1 413"), "{answer:?}");

    let (_third, _fourth) = (TcpStream::connect(addr).await, TcpStream::connect(addr).await);
    let mut fifth = TcpStream::connect(addr).await.unwrap();
    assert!(in_time("the fifth is closed", is_ended(&mut fifth)).await);
    // Who is too slow makes room for others.
    assert!(in_time("the head is not waited for", is_ended(&mut slow_head)).await);
    eventually("there is room", async || {
        let mut socket = TcpStream::connect(addr).await.ok()?;
        socket.write_all(b"GET /livez HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut answer).await.ok()?;
        answer.starts_with("HTTP/1.0 200").then_some(())
    })
    .await;
    let mut answer = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut slow_body, &mut answer);
    in_time("the body is not waited for", reading).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

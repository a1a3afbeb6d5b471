//! Readers that stop reading on a connection that others read on.

use std::time::Duration;

use bytes::Bytes;
use holdfast::{
    limits::{FEED_HEARTBEAT, STREAM_STALLED},
    proto::{
        self, SeatStatus, reservation_service_client::ReservationServiceClient,
        stream_seat_updates_response::Message,
    },
};
use prost::Message as _;
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tonic::transport::{Channel, Endpoint};

use crate::support::{EVENT, Server, Stage, Watcher, hold_request, seat};

/// Far beyond what the server waits.
const PATIENCE: Duration = Duration::from_secs(90);
const SMALLEST_WINDOW: u32 = 65_535;
const LARGE_WINDOW: u32 = 4 * 1024 * 1024;

/// One connection with windows of its own.
async fn connect(
    server: &Server,
    stream_window: u32,
    connection_window: u32,
) -> ReservationServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.app.grpc_addr)).unwrap();
    let endpoint = endpoint
        .initial_stream_window_size(stream_window)
        .initial_connection_window_size(connection_window);
    ReservationServiceClient::new(endpoint.connect().await.unwrap())
}

async fn watch(client: &ReservationServiceClient<Channel>) -> Watcher {
    let mut watcher = Watcher::open(client.clone(), EVENT, "").await.unwrap();
    watcher.snapshot().await;
    watcher
}

/// Adds seats with long names: some 330 KB of changes, five times the smallest
/// window. Then there is a change that comes last.
async fn change_a_lot(server: &Server) {
    let row = |r: usize| proto::Row {
        row_id: r.to_string(),
        seats: (0..1_000).map(|n| seat(&format!("{r}:{n:-<50}"))).collect(),
    };
    let add = proto::AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: "balcony".into(),
        section_name: String::new(),
        rows: (0..5).map(row).collect(),
    };
    server.catalog.clone().add_seats(add).await.unwrap();
    server.hold(hold_request("ann", &["A-1"])).await.unwrap();
}

fn has_all(watcher: &Watcher) -> bool {
    watcher.house.seats["A-1"] == SeatStatus::Held
}

/// Reads what is left of a stream, until the server's end of it.
async fn read_to_the_end(watcher: &mut Watcher) {
    let reading = async { while let Ok(Some(_)) = watcher.next().await {} };
    timeout(PATIENCE, reading).await.expect("the stream was ended");
    assert!(!has_all(watcher), "it was ended for what it did not read");
}

/// Resumes a stream that was ended, and finds all that another one was told.
async fn resume(watcher: &mut Watcher, all: &Watcher, client: &ReservationServiceClient<Channel>) {
    watcher.resume_at(client.clone()).await;
    watcher.until("all changes", has_all).await;
    assert_eq!(watcher.changes, all.changes);
    assert_eq!((watcher.snapshots, all.snapshots), (1, 1), "resumed, not begun anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_ended_without_harm_to_its_siblings() {
    let stage = Stage::new().await;
    // Each stream may fill its own window and still leaves room for the others.
    let client = connect(&stage.server, SMALLEST_WINDOW, LARGE_WINDOW).await;
    let (mut stalled, mut sibling) = (watch(&client).await, watch(&client).await);
    change_a_lot(&stage.server).await;
    sibling.until("all changes", has_all).await;

    // The sibling reads on, on the connection it had, while the other one waits.
    let quiet = (STREAM_STALLED + FEED_HEARTBEAT).div_duration_f64(FEED_HEARTBEAT).ceil() as usize;
    for _ in 0..quiet {
        let message = timeout(PATIENCE, sibling.next()).await.expect("in time").unwrap();
        assert!(matches!(message, Some(Message::Heartbeat(_))), "{message:?}");
    }
    read_to_the_end(&mut stalled).await;
    resume(&mut stalled, &sibling, &client).await;

    stage.server.hold(hold_request("bob", &["A-2"])).await.unwrap();
    sibling.until("what comes later", |w| w.house.seats["A-2"] == SeatStatus::Held).await;
    assert_eq!(sibling.snapshots, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_full_of_what_nobody_reads_is_closed_soon() {
    let stage = Stage::new().await;
    // What one stream leaves unread is all that the connection has room for.
    let client = connect(&stage.server, LARGE_WINDOW, SMALLEST_WINDOW).await;
    let mut siblings = [watch(&client).await, watch(&client).await];
    let mut stalled = watch(&client).await;
    let mut fresh = stage.server.watch(EVENT, "").await;
    fresh.snapshot().await;
    change_a_lot(&stage.server).await;
    fresh.until("all changes", has_all).await;

    let reading = async {
        for sibling in &mut siblings {
            let mut cut = 0;
            while !has_all(sibling) {
                if sibling.next().await.is_err() {
                    cut += 1;
                    sibling.resume_at(client.clone()).await;
                }
            }
            assert!(cut <= 1, "one cut is enough");
        }
    };
    // Long before a stream alone would be ended.
    tokio::select! {
        () = reading => {}
        message = fresh.next() => panic!("they starve until a heartbeat: {message:?}"),
    }
    for sibling in &siblings {
        assert_eq!(sibling.changes, fresh.changes);
        assert_eq!(sibling.snapshots, 1);
    }
    read_to_the_end(&mut stalled).await;
    resume(&mut stalled, &fresh, &client).await;
}

/// Reads one message, then nothing until somebody else has seen that a seat was held,
/// and released, some times: to the end.
async fn read_slowly(server: &Server, mut slow: Watcher, seat_id: &str) {
    let mut fresh = server.watch(EVENT, "").await;
    fresh.snapshot().await;
    while !has_all(&slow) {
        slow.next().await.expect("it is not cut").expect("it goes on");
        for _ in 0..3 {
            let hold = server.hold(hold_request("bob", &[seat_id])).await.unwrap();
            fresh.until("a change", |w| w.house.seats[seat_id] == SeatStatus::Held).await;
            server.release(&hold, &[], Vec::new()).await.unwrap();
            fresh.until("its end", |w| w.house.seats[seat_id] != SeatStatus::Held).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_that_move_are_not_cut() {
    let stage = Stage::new().await;
    let client = connect(&stage.server, LARGE_WINDOW, SMALLEST_WINDOW).await;
    let (one, other) = (watch(&client).await, watch(&client).await);
    change_a_lot(&stage.server).await;
    tokio::join!(read_slowly(&stage.server, one, "A-2"), read_slowly(&stage.server, other, "A-3"));
}

/// A connection whose client does nothing at all while it is paused: it does not even
/// read its socket.
struct Pausable {
    client: h2::client::SendRequest<Bytes>,
    paused: watch::Sender<bool>,
    authority: String,
}

impl Pausable {
    async fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(server.app.grpc_addr).await.unwrap();
        let (client, mut connection) = h2::client::handshake(socket).await.unwrap();
        let (paused, mut is_paused) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    _ = is_paused.changed() => {
                        is_paused.wait_for(|paused| !paused).await.unwrap();
                    }
                    _ = &mut connection => return,
                }
            }
        });
        Self { client, paused, authority: server.app.grpc_addr.to_string() }
    }

    async fn watch(&self) -> RawWatcher {
        let request =
            proto::StreamSeatUpdatesRequest { event_id: EVENT.into(), ..Default::default() };
        let mut body = vec![0, 0, 0, 0, u8::try_from(request.encoded_len()).unwrap()];
        request.encode(&mut body).unwrap();
        let head = http::Request::post(format!(
            "http://{}/holdfast.v1.ReservationService/StreamSeatUpdates",
            self.authority
        ));
        let head = head.header("content-type", "application/grpc").header("te", "trailers");
        let mut client = self.client.clone().ready().await.unwrap();
        let (answer, mut send) = client.send_request(head.body(()).unwrap(), false).unwrap();
        send.send_data(body.into(), true).unwrap();
        let mut watcher = RawWatcher { answer: answer.await.unwrap().into_body(), had: Vec::new() };
        watcher.until("A-1").await;
        watcher
    }
}

/// A stream as bytes.
struct RawWatcher {
    answer: h2::RecvStream,
    had: Vec<u8>,
}

impl RawWatcher {
    /// Reads until it was told of something by this name.
    async fn until(&mut self, name: &str) {
        let reading = async {
            while !self.had.windows(name.len()).any(|bytes| bytes == name.as_bytes()) {
                let data = self.answer.data().await.expect("not ended").expect("not cut");
                self.answer.flow_control().release_capacity(data.len()).unwrap();
                self.had.extend_from_slice(&data);
            }
            self.had.clear();
        };
        timeout(PATIENCE, reading).await.expect("in time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_paused_has_the_patience_of_a_stream() {
    let stage = Stage::new().await;
    let pausable = Pausable::connect(&stage.server).await;
    let mut streams = [pausable.watch().await, pausable.watch().await];
    let mut fresh = stage.server.watch(EVENT, "").await;
    fresh.snapshot().await;
    pausable.paused.send_replace(true);
    change_a_lot(&stage.server).await;
    fresh.until("all changes", has_all).await;

    // Nothing moves, for much longer than a client that is there would be given.
    let quiet = async { while !matches!(fresh.next().await, Ok(Some(Message::Heartbeat(_)))) {} };
    timeout(PATIENCE, quiet).await.expect("a heartbeat");
    pausable.paused.send_replace(false);
    for stream in &mut streams {
        stream.until("A-1").await;
    }
}

//! Readers that stop reading on a connection that others read on.

use std::time::Duration;

use holdfast::{
    limits::{FEED_HEARTBEAT, STREAM_STALLED},
    proto::{
        self, SeatStatus, reservation_service_client::ReservationServiceClient,
        stream_seat_updates_response::Message,
    },
};
use tokio::time::timeout;
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
async fn a_connection_that_is_full_of_what_nobody_reads_is_closed() {
    let stage = Stage::new().await;
    // What one stream leaves unread is all that the connection has room for.
    let client = connect(&stage.server, LARGE_WINDOW, SMALLEST_WINDOW).await;
    let mut siblings = [watch(&client).await, watch(&client).await];
    let mut stalled = watch(&client).await;
    let mut fresh = stage.server.watch(EVENT, "").await;
    fresh.snapshot().await;
    change_a_lot(&stage.server).await;
    fresh.until("all changes", has_all).await;

    for sibling in &mut siblings {
        let reading = async {
            let mut cut = 0;
            while !has_all(sibling) {
                if sibling.next().await.is_err() {
                    cut += 1;
                    sibling.resume_at(client.clone()).await;
                }
            }
            cut
        };
        let cut = timeout(PATIENCE, reading).await.expect("it was starved for ever");
        assert!(cut <= 1, "one cut is enough");
        assert_eq!(sibling.changes, fresh.changes);
        assert_eq!(sibling.snapshots, 1);
    }
    read_to_the_end(&mut stalled).await;
    resume(&mut stalled, &fresh, &client).await;
}

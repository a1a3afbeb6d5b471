//! Whole houses with two bits a seat, for clients that have the chart.

use holdfast::proto::{
    self, PackedSeats, SeatStatus, SnapshotFormat, stream_seat_updates_response::Message,
};
use tonic::Code;

use crate::support::{EVENT, House, Server, Stage, code_and_reason, hold_request, seat};

/// A client's chart: its seats in order, and which state of it they are.
async fn chart(server: &Server) -> (Vec<String>, i64) {
    let request = proto::GetEventRequest { event_id: EVENT.into() };
    let answer = server.catalog.clone().get_event(request).await.unwrap().into_inner();
    let sections = answer.chart.unwrap().sections.into_iter();
    let seats = sections.flat_map(|section| section.rows).flat_map(|row| row.seats);
    (seats.map(|seat| seat.seat_id).collect(), answer.chart_version)
}

/// The house, as a client with the chart reads it.
fn unpack(seats: &PackedSeats, (chart, version): &(Vec<String>, i64)) -> House {
    assert_eq!(seats.chart_version, *version);
    assert_eq!(seats.seat_count as usize, chart.len());
    assert_eq!(seats.statuses.len(), chart.len().div_ceil(4));
    let status = |n: usize| {
        let bits = seats.statuses[n / 4] >> (2 * (n % 4)) & 3;
        SeatStatus::try_from(i32::from(bits) + 1).unwrap()
    };
    let seats = chart.iter().enumerate().map(|(n, seat)| (seat.clone(), status(n)));
    House { seats: seats.collect(), ..House::default() }
}

async fn packed_map(server: &Server) -> proto::GetSeatMapResponse {
    let request = proto::GetSeatMapRequest {
        event_id: EVENT.into(),
        snapshot_format: SnapshotFormat::Packed.into(),
    };
    server.reservations.clone().get_seat_map(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_the_same_as_names_do() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let sold = server.hold(hold_request("ann", &["A-1", "B-10"])).await.unwrap();
    server.confirm(&sold, "pay-1").await.unwrap();
    server.hold(hold_request("bob", &["A-2", "J-10"])).await.unwrap();
    let block = proto::BlockSeatsRequest {
        event_id: EVENT.into(),
        seat_ids: vec!["C-3".into(), "A-3".into()],
    };
    server.catalog.clone().block_seats(block).await.unwrap();

    // Before the chart grows, and after: in a row that is there, and at its end.
    for grown in [false, true] {
        if grown {
            let row = |row_id: &str, seat_id| proto::Row {
                row_id: row_id.into(),
                seats: vec![seat(seat_id)],
            };
            let add = proto::AddSeatsRequest {
                event_id: EVENT.into(),
                section_id: "stalls".into(),
                section_name: String::new(),
                rows: vec![row("B", "B-11"), row("K", "K-1")],
            };
            server.catalog.clone().add_seats(add).await.unwrap();
            server.hold(hold_request("cleo", &["B-11"])).await.unwrap();
        }
        let named = server.get_seat_map(EVENT).await.unwrap();
        let house = House::new(&named);
        let chart = chart(server).await;
        assert_eq!(chart.0.len(), if grown { 102 } else { 100 });

        let map = packed_map(server).await;
        assert!(map.seats.is_empty());
        assert_eq!(map.areas, named.areas);
        assert_eq!(unpack(map.packed_seats.as_ref().unwrap(), &chart).seats, house.seats);

        let request = proto::StreamSeatUpdatesRequest {
            event_id: EVENT.into(),
            resume_token: String::new(),
            snapshot_format: SnapshotFormat::Packed.into(),
            ..Default::default()
        };
        let stream = server.reservations.clone().stream_seat_updates(request).await.unwrap();
        let first = stream.into_inner().message().await.unwrap().unwrap();
        assert!(!first.resume_token.is_empty());
        let Some(Message::Snapshot(snapshot)) = first.message else { panic!("{first:?}") };
        assert!(snapshot.last && snapshot.seats.is_empty());
        assert_eq!(snapshot.areas, named.areas);
        assert_eq!(unpack(snapshot.packed_seats.as_ref().unwrap(), &chart).seats, house.seats);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_follow_name_their_seats() {
    let stage = Stage::new().await;
    let map = packed_map(&stage.server).await;
    let mut watcher = stage.server.watch(EVENT, &map.resume_token).await;
    stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    watcher.until("the hold", |w| !w.changes.is_empty()).await;
    assert_eq!(watcher.changes, [("A-1".to_owned(), SeatStatus::Held)]);
    assert_eq!(watcher.snapshots, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_no_known_format() {
    let stage = Stage::new().await;
    let request = proto::GetSeatMapRequest { event_id: EVENT.into(), snapshot_format: 7 };
    let told = code_and_reason(stage.server.reservations.clone().get_seat_map(request).await);
    assert_eq!(told, (Code::InvalidArgument, "INVALID_FIELD".into()));
}

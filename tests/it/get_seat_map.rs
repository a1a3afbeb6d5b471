//! GetSeatMap: one consistent picture, never older than the last answer.

use holdfast::proto::SeatStatus;
use tonic::Code;

use crate::support::{EVENT, House, Stage, code_and_reason, floor, hold_request};

#[tokio::test(flavor = "multi_thread")]
async fn shows_all_that_was_answered_before_at_every_server() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    for (i, server) in [&stage.server, &other].into_iter().cycle().take(20).enumerate() {
        let seat = format!("{}-{}", char::from(b'A' + (i / 10) as u8), i % 10 + 1);
        let mut request = hold_request("ann", &[&seat]);
        request.areas = floor(1);
        server.hold(request).await.unwrap();
        for asked in [&stage.server, &other] {
            let house = asked.house().await;
            assert_eq!(house.seats[&seat], SeatStatus::Held);
            assert_eq!(house.count(SeatStatus::Held), i + 1);
            assert_eq!(house.areas["floor"], 100 - (i as i32 + 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_token_leads_on() {
    let stage = Stage::new().await;
    stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let map = stage.server.get_seat_map(EVENT).await.unwrap();
    let ids: Vec<&str> = map.seats.iter().map(|seat| seat.seat_id.as_str()).collect();
    assert_eq!(ids[..3], ["A-1", "A-2", "A-3"], "in chart order");
    assert_eq!(map.areas[0].capacity, 100);

    stage.server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    let mut watcher = stage.server.watch(EVENT, &map.resume_token).await;
    watcher.house = House::new(&map);
    watcher.until("the change after the picture", |w| !w.changes.is_empty()).await;
    assert_eq!(watcher.changes, [("A-2".to_owned(), SeatStatus::Held)]);
    assert_eq!(watcher.snapshots, 0);
    assert_eq!(watcher.house, stage.server.house().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_no_event() {
    let stage = Stage::new().await;
    let told = code_and_reason(stage.server.get_seat_map("elsewhere").await);
    assert_eq!(told, (Code::NotFound, "EVENT_NOT_FOUND".into()));
}

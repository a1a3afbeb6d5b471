//! AddSeats: rows and sections grow, once.

use holdfast::proto::{AddSeatsRequest, AddSeatsResponse, GetEventRequest, Row, SeatStatus};
use tonic::{Code, Status};

use crate::support::{EVENT, Stage, code_and_reason, hold_request, refusal, seat};

async fn add(
    stage: &Stage,
    section_id: &str,
    rows: &[(&str, &[&str])],
) -> Result<AddSeatsResponse, Status> {
    let rows = rows.iter().map(|(row_id, seats)| Row {
        row_id: row_id.to_string(),
        seats: seats.iter().map(|id| seat(id)).collect(),
    });
    let request = AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: section_id.into(),
        rows: rows.collect(),
        section_name: "Named".into(),
    };
    Ok(stage.server.catalog.clone().add_seats(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_grow_and_sections_are_made() {
    let stage = Stage::new().await;
    let held = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    for _ in 0..2 {
        // Said again, it changes nothing.
        let rows: [(&str, &[&str]); 2] = [("A", &["A-11", "A-12"]), ("K", &["K-1"])];
        let section = add(&stage, "stalls", &rows).await.unwrap().section.unwrap();
        assert_eq!(section.rows.len(), 11);
        assert_eq!(section.rows[0].seats.len(), 12);
        assert_eq!(section.rows[0].seats[11].seat_id, "A-12");
        assert_eq!(section.rows[10].row_id, "K");
        let section = add(&stage, "balcony", &[("1", &["b-1"])]).await.unwrap().section.unwrap();
        assert_eq!(section.name, "Named");
    }
    let request = GetEventRequest { event_id: EVENT.into() };
    let chart = stage.server.catalog.clone().get_event(request).await.unwrap().into_inner().chart;
    let sections: Vec<_> = chart.unwrap().sections.into_iter().map(|s| s.section_id).collect();
    assert_eq!(sections, ["stalls", "balcony"]);

    // They are on sale with the others, and nothing else has changed.
    let house = stage.server.house().await;
    assert_eq!(house.count(SeatStatus::Available), 103);
    let hold = stage.server.hold(hold_request("ann", &["A-12", "b-1"])).await.unwrap();
    let order = stage.server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(order.tickets.len(), 2);
    assert_eq!(stage.server.get_hold(EVENT, &held.hold_id).await.unwrap(), held);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_keeps_its_content() {
    let stage = Stage::new().await;
    let reused = (Code::AlreadyExists, "SEAT_ID_REUSED".to_owned());
    // In another row, in another section, or otherwise than it was.
    assert_eq!(code_and_reason(add(&stage, "stalls", &[("B", &["A-1"])]).await), reused);
    assert_eq!(code_and_reason(add(&stage, "balcony", &[("A", &["A-1"])]).await), reused);
    let mut accessible = seat("A-1");
    accessible.accessible = true;
    let request = AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: "stalls".into(),
        rows: vec![Row { row_id: "A".into(), seats: vec![seat("A-99"), accessible] }],
        section_name: String::new(),
    };
    let told = code_and_reason(stage.server.catalog.clone().add_seats(request).await);
    assert_eq!(told, reused);
    assert!(!stage.server.house().await.seats.contains_key("A-99"), "all or nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_must_be_the_charts() {
    let stage = Stage::new().await;
    let mut dear = seat("K-1");
    dear.price_category_id = "gold".into();
    let request = AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: "stalls".into(),
        rows: vec![Row { row_id: "K".into(), seats: vec![seat("K-2"), dear] }],
        section_name: String::new(),
    };
    let told = refusal(stage.server.catalog.clone().add_seats(request).await);
    assert_eq!(told.code, Code::InvalidArgument);
    assert_eq!(told.subjects, ["rows[0].seats[1].price_category_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_once_at_two_servers() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let grow = |server: &crate::support::Server, row: String| {
        let mut catalog = server.catalog.clone();
        let request = AddSeatsRequest {
            event_id: EVENT.into(),
            section_id: "stalls".into(),
            rows: vec![Row {
                row_id: row.clone(),
                seats: (1..=10).map(|n| seat(&format!("{row}-{n}"))).collect(),
            }],
            section_name: String::new(),
        };
        async move { catalog.add_seats(request).await.unwrap() }
    };
    let all =
        (0..10).flat_map(|i| [grow(&stage.server, format!("L{i}")), grow(&other, format!("R{i}"))]);
    futures_util::future::join_all(all).await;
    let (here, there) = (stage.server.house().await, other.house().await);
    assert_eq!(here.count(SeatStatus::Available), 300);
    assert_eq!(here, there);
}

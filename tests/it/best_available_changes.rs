//! Hold with `best_available` where the event changes meanwhile, or keeps seats from some.

use holdfast::proto::{AddSeatsRequest, Row, SeatStatus};

use crate::{
    audit::audit,
    best_available::{asking, best},
    support::{EVENT, Server, Stage, seat},
};

async fn grow(server: &Server, section_id: &str, row_id: &str, seats: &[&str]) {
    let request = AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: section_id.into(),
        rows: vec![Row { row_id: row_id.into(), seats: seats.iter().map(|id| seat(id)).collect() }],
        section_name: String::new(),
    };
    server.catalog.clone().add_seats(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_in_a_row_that_grew_can_be_sold() {
    let stage = Stage::new().await;
    let server = &stage.server;
    grow(server, "stalls", "A", &["A-11", "A-12"]).await;
    let parts = asking(best("ann", 15), |asked| asked.allow_split = true);
    let hold = server.hold(parts).await.unwrap();
    assert!(["A-12", "B-5"].iter().all(|seat| hold.seat_ids.contains(&(*seat).to_owned())));
    let order = server.create_order(&hold).await.unwrap().order.unwrap();
    let paid = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!((&paid.order_id, paid.tickets.len()), (&order.order_id, 15));
    assert_eq!(server.house().await.count(SeatStatus::Sold), 15);
    let (code, told) = audit(&stage.stores, &[]).await;
    assert_eq!(code, 0, "{told}");
}

//! Release: whole or in part, again and again.

use holdfast::proto::{HoldState, SeatStatus};
use tonic::Code;

use crate::support::{EVENT, Stage, code_and_reason, eventually, floor, hold_request, ms};

#[tokio::test(flavor = "multi_thread")]
async fn gives_all_back() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(5);
    let hold = server.hold(request).await.unwrap();
    for _ in 0..3 {
        let released = server.release(&hold, &[], vec![]).await.unwrap();
        assert_eq!(released.state(), HoldState::Released);
        assert_eq!(released.seat_ids, ["A-1", "A-2"]);
    }
    let house = server.house().await;
    assert_eq!(house.count(SeatStatus::Available), 100);
    assert_eq!(house.areas["floor"], 100);
    // Somebody else may have them now; releasing again does not take them away.
    let next = server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    server.release(&hold, &[], vec![]).await.unwrap();
    assert_eq!(server.get_hold(EVENT, &next.hold_id).await.unwrap(), next);
    assert_eq!(server.house().await.seats["A-1"], SeatStatus::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_a_part_back_once() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1", "A-2", "A-3"]);
    request.areas = floor(5);
    let hold = server.hold(request).await.unwrap();
    for _ in 0..3 {
        // Said again, it changes nothing: quantities count from the beginning.
        let left = server.release(&hold, &["A-2"], floor(2)).await.unwrap();
        assert_eq!(left.state(), HoldState::Active);
        assert_eq!(left.seat_ids, ["A-1", "A-3"]);
        assert_eq!(left.areas, floor(3));
    }
    let house = server.house().await;
    assert_eq!(house.seats["A-2"], SeatStatus::Available);
    assert_eq!(house.count(SeatStatus::Held), 2);
    assert_eq!(house.areas["floor"], 97);

    // Bit by bit, until nothing is left: then it is released.
    server.release(&hold, &["A-1", "A-3"], vec![]).await.unwrap();
    let released = server.release(&hold, &[], floor(5)).await.unwrap();
    assert_eq!(released.state(), HoldState::Released);
    assert_eq!(server.house().await.areas["floor"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_can_be_sold() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1", "A-2"])).await.unwrap();
    server.release(&hold, &["A-1"], vec![]).await.unwrap();
    let order = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(order.tickets.len(), 1);
    assert_eq!(server.house().await.seats["A-1"], SeatStatus::Available);
    assert_eq!(server.house().await.seats["A-2"], SeatStatus::Sold);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_stays_when_the_hold_runs_out_meanwhile() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1"]);
    request.ttl = ms(1_000);
    let hold = server.hold(request).await.unwrap();
    // Postgres is slow to write the outcome.
    let mut postgres = stage.stores.postgres().await;
    let slow = postgres.transaction().await.unwrap();
    slow.batch_execute("LOCK TABLE hold_outcomes IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let held = async || server.hold(hold_request("bob", &["A-1"])).await.ok();
    let (released, ()) = tokio::join!(server.release(&hold, &[], vec![]), async {
        eventually("the seat is free", held).await;
        slow.commit().await.unwrap();
    });
    // The sweep may have been faster; whoever was, everybody says the same.
    let again = server.release(&hold, &[], vec![]).await;
    let told = server.get_hold(EVENT, &hold.hold_id).await.unwrap().state();
    match released {
        Ok(released) => {
            assert_eq!((released.state(), told), (HoldState::Released, HoldState::Released));
            assert_eq!(again.unwrap().state(), HoldState::Released);
        }
        released => {
            assert_eq!(code_and_reason(released).1, "HOLD_EXPIRED");
            assert_eq!(code_and_reason(again).1, "HOLD_EXPIRED");
            assert_eq!(told, HoldState::Expired);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_active_hold_of_ones_own() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let mut others = hold.clone();
    others.holder_id = "bob".into();
    let not_found = (Code::NotFound, "HOLD_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(server.release(&others, &[], vec![]).await), not_found);
    let told = code_and_reason(server.release(&hold, &["X-1"], vec![]).await);
    assert_eq!(told, (Code::NotFound, "SEAT_NOT_FOUND".into()));

    server.confirm(&hold, "pay-1").await.unwrap();
    let told = code_and_reason(server.release(&hold, &[], vec![]).await);
    assert_eq!(told, (Code::FailedPrecondition, "HOLD_CONFIRMED".into()));
    let hold = server.hold(hold_request("ann", &["A-2"])).await.unwrap();
    server.expire(&hold).await;
    let told = code_and_reason(server.release(&hold, &[], vec![]).await);
    assert_eq!(told, (Code::FailedPrecondition, "HOLD_EXPIRED".into()));
}

//! How many holds a holder may have open at one event.

use std::collections::HashMap;

use futures_util::future::join_all;
use holdfast::proto::{
    ChangeHoldRequest, Event, Hold, HoldDurability, HoldState, OrderState, SeatStatus,
    WaitingListState,
};
use redis::AsyncCommands;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    audit::{assert_told, audit},
    change_hold::{change, to},
    operator::reassign,
    support::{
        EVENT, Server, Stage, code_and_reason, eventually, floor, hold_request, ms, refusal,
        small_event,
        waiting::{Lists, offered, party, sold_out},
    },
};

async fn stage(limit: i32, durability: HoldDurability) -> Stage {
    let stage = Stage::empty().await;
    let mut house = small_event(EVENT);
    let event = house.event.as_mut().unwrap();
    event.max_holds_per_holder = limit;
    event.set_hold_durability(durability);
    let made = stage.server.create_event(house).await.unwrap();
    assert_eq!(made.max_holds_per_holder, limit);
    stage
}

async fn set(server: &Server, limit: i32) {
    let event = Event { event_id: EVENT.into(), max_holds_per_holder: limit, ..Event::default() };
    let event = server.update_event(event, &["max_holds_per_holder"]).await.unwrap();
    assert_eq!(event.max_holds_per_holder, limit);
}

async fn held(server: &Server, holder: &str, seat: &str) -> Hold {
    server.hold(hold_request(holder, &[seat])).await.unwrap()
}

/// That the holder is told of this limit, and how much of it he has.
fn assert_full(answer: Result<Hold, Status>, limit: u32, used: u32) {
    let details = answer.as_ref().unwrap_err().get_error_details();
    let info = details.error_info().unwrap();
    let metadata = [
        ("limit", "max_holds_per_holder"),
        ("holds", &*limit.to_string()),
        ("used", &*used.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(info.metadata, HashMap::from(metadata));
    let quota = &details.quota_failure().unwrap().violations[0];
    assert_eq!(quota.description, format!("1 asked beside {used} of {limit}"));
    let told = refusal(answer);
    assert_eq!((told.code, &*told.reason), (Code::ResourceExhausted, "HOLDER_LIMIT_EXCEEDED"));
    assert_eq!(told.subjects, ["max_holds_per_holder"]);
}

async fn is_full(server: &Server, holder: &str, limit: u32, used: u32) {
    assert_full(server.hold(hold_request(holder, &["J-10"])).await, limit, used);
}

async fn nothing_differs(stage: &Stage) {
    let (code, told) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{told}");
}

/// What Redis counts of a holder.
async fn counted(stage: &Stage, holder: &str) -> Option<i64> {
    stage.stores.redis().await.hget("hf:{event}:holders", holder).await.unwrap()
}

const ONE_HOLD: i64 = 1 << 32;

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_the_event_says_and_no_more() {
    let stage = stage(2, HoldDurability::Fast).await;
    let (server, other) = (&stage.server, stage.another_server().await);
    let request = hold_request("ann", &["A-1", "A-2"]);
    let first = server.hold(request.clone()).await.unwrap();
    let second = held(&other, "ann", "A-3").await;
    for server in [server, &other] {
        is_full(server, "ann", 2, 2).await;
        // The same again is answered; and others have limits of their own.
        assert_eq!(server.hold(request.clone()).await.unwrap(), first);
        held(
            server,
            "bob",
            if server.app.grpc_addr == other.app.grpc_addr { "B-1" } else { "B-2" },
        )
        .await;
    }
    // What is taken is told first, and so is a limit of units.
    let taken = code_and_reason(server.hold(hold_request("ann", &["B-1"])).await);
    assert_eq!(taken.1, "SEAT_UNAVAILABLE");
    let units = Event { event_id: EVENT.into(), max_units_per_holder: 3, ..Event::default() };
    server.update_event(units, &["max_units_per_holder"]).await.unwrap();
    let units = refusal(server.hold(hold_request("ann", &["C-1"])).await);
    assert_eq!(units.subjects, ["max_units_per_holder"]);
    let units = Event { event_id: EVENT.into(), ..Event::default() };
    server.update_event(units, &["max_units_per_holder"]).await.unwrap();

    // It is as many after a change, and after a part was given back.
    let more = ChangeHoldRequest { areas: floor(2), ..to(&first, ["A-1", "A-4"], vec![]) };
    change(&other, more).await.unwrap();
    server.release(&first, &["A-4"], floor(1)).await.unwrap();
    is_full(server, "ann", 2, 2).await;
    assert_eq!(counted(&stage, "ann").await, Some(2 * ONE_HOLD + 3));

    other.release(&second, &[], vec![]).await.unwrap();
    held(server, "ann", "A-3").await;
    is_full(&other, "ann", 2, 2).await;
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_makes_room() {
    let stage = stage(1, HoldDurability::Fast).await;
    let server = &stage.server;
    // Sold, it is hers, and counts as units alone.
    let sold = held(server, "ann", "A-1").await;
    is_full(server, "ann", 1, 1).await;
    server.confirm(&sold, "pay-1").await.unwrap();
    assert_eq!(counted(&stage, "ann").await, Some(1));
    // Run out, whether anybody has ended it yet or not.
    for seat in ["B-1", "B-2", "B-3", "B-4", "B-5"] {
        server.expire(&held(server, "ann", seat).await).await;
    }
    let last = held(server, "ann", "C-1").await;
    is_full(server, "ann", 1, 1).await;
    server.release(&last, &[], vec![]).await.unwrap();
    server.release(&last, &[], vec![]).await.unwrap();
    eventually("what ran out is ended", async || {
        (server.house().await.count(SeatStatus::Held) == 0).then_some(())
    })
    .await;
    assert_eq!(counted(&stage, "ann").await, Some(1));
    // By a refund, nothing of a hold comes back.
    let order = server.confirm(&sold, "pay-1").await.unwrap();
    server.refund_order(&order.order_id, &uuid::Uuid::now_v7().to_string(), &[]).await.unwrap();
    eventually("she has nothing", async || counted(&stage, "ann").await.is_none().then_some(()))
        .await;
    held(server, "ann", "A-1").await;
    is_full(server, "ann", 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_undone_makes_room() {
    let stage = stage(1, HoldDurability::Journaled).await;
    let server = &stage.server;
    // Postgres gives up waiting for the event's row: nothing was written.
    let mut postgres = stage.stores.postgres().await;
    let blocker = postgres.transaction().await.unwrap();
    blocker.batch_execute("SELECT FROM events FOR UPDATE").await.unwrap();
    let told = code_and_reason(server.hold(hold_request("ann", &["A-1"])).await);
    assert_eq!(told.1, "STORE_UNAVAILABLE");
    blocker.rollback().await.unwrap();
    held(server, "ann", "A-2").await;
    is_full(server, "ann", 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_at_once_give_no_more() {
    let stage = stage(3, HoldDurability::Fast).await;
    let other = stage.another_server().await;
    let seats: Vec<_> = (0..60)
        .map(|n| format!("{}-{}", ['A', 'B', 'C', 'D', 'E', 'F'][n / 10], n % 10 + 1))
        .collect();
    let asked = seats.iter().enumerate().map(|(n, seat)| {
        let server = if n % 2 == 0 { &stage.server } else { &other };
        server.hold(hold_request("ann", &[seat]))
    });
    let answers = join_all(asked).await;
    let held = answers.into_iter().filter_map(|answer| match answer {
        Ok(hold) => Some(hold),
        refused => {
            assert_full(refused, 3, 3);
            None
        }
    });
    assert_eq!(held.count(), 3);
    assert_eq!(stage.server.house().await.count(SeatStatus::Held), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_lost_all_counts_as_before() {
    let stage = stage(3, HoldDurability::Journaled).await;
    let server = &stage.server;
    server.confirm(&held(server, "ann", "A-1").await, "pay-1").await.unwrap();
    let released = held(server, "ann", "A-2").await;
    server.release(&released, &[], vec![]).await.unwrap();
    for seat in ["B-1", "B-2"] {
        held(server, "ann", seat).await;
    }
    assert_eq!(counted(&stage, "ann").await, Some(2 * ONE_HOLD + 3));
    let mut redis = stage.stores.redis().await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
    held(server, "ann", "B-3").await;
    is_full(server, "ann", 3, 3).await;
    assert_eq!(counted(&stage, "ann").await, Some(3 * ONE_HOLD + 4));
    nothing_differs(&stage).await;
}

/// The holds of an event that does not limit them are not counted, as by a server that does
/// not know of it; where it does from now on, they are.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_set_and_taken_back() {
    let stage = stage(0, HoldDurability::Fast).await;
    let (server, other) = (&stage.server, stage.another_server().await);
    server.confirm(&held(server, "ann", "A-1").await, "pay-1").await.unwrap();
    let first = held(server, "ann", "B-1").await;
    let second = held(server, "ann", "B-2").await;
    held(server, "bob", "C-1").await;
    assert_eq!(counted(&stage, "ann").await, Some(3));
    let mut redis = stage.stores.redis().await;
    let _: () = redis.hdel("hf:{event}:meta", "max_holds_per_holder").await.unwrap();
    nothing_differs(&stage).await;

    set(server, 2).await;
    assert_eq!(counted(&stage, "ann").await, Some(2 * ONE_HOLD + 3));
    assert_eq!(counted(&stage, "bob").await, Some(ONE_HOLD + 1));
    is_full(&other, "ann", 2, 2).await;
    nothing_differs(&stage).await;
    // Lower than what she has: she keeps it.
    set(&other, 1).await;
    is_full(server, "ann", 1, 2).await;
    server.release(&first, &[], vec![]).await.unwrap();
    is_full(server, "ann", 1, 1).await;

    set(server, 0).await;
    assert_eq!(counted(&stage, "ann").await, Some(2));
    held(&other, "ann", "B-3").await;
    server.release(&second, &[], vec![]).await.unwrap();
    // What was miscounted meanwhile is counted anew.
    let _: () = redis.hincr("hf:{event}:holders", "ann", 5 * ONE_HOLD).await.unwrap();
    set(server, 2).await;
    assert_eq!(counted(&stage, "ann").await, Some(ONE_HOLD + 2));
    held(&other, "ann", "B-4").await;
    is_full(server, "ann", 2, 2).await;
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_reassigned_counts_for_its_new_holder() {
    let stage = stage(1, HoldDurability::Fast).await;
    let server = &stage.server;
    let (anns, bobs) = (held(server, "ann", "A-1").await, held(server, "bob", "B-1").await);
    let anns = reassign(server, &anns, "bob").await.unwrap();
    reassign(server, &Hold { holder_id: "ann".into(), ..anns.clone() }, "bob").await.unwrap();
    is_full(server, "bob", 1, 2).await;
    held(server, "ann", "A-2").await;
    is_full(server, "ann", 1, 1).await;
    server.release(&bobs, &[], vec![]).await.unwrap();
    is_full(server, "bob", 1, 1).await;
    server.confirm(&anns, "pay-1").await.unwrap();
    held(server, "bob", "B-2").await;
    is_full(server, "bob", 1, 1).await;
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_count_is_told_and_mended() {
    let stage = stage(2, HoldDurability::Fast).await;
    let server = &stage.server;
    server.confirm(&held(server, "ann", "A-1").await, "pay-1").await.unwrap();
    held(server, "ann", "A-2").await;
    held(server, "bob", "B-1").await;
    let mut redis = stage.stores.redis().await;
    for (holder, delta) in [("ann", ONE_HOLD), ("bob", -ONE_HOLD), ("cat", 3 * ONE_HOLD - 2)] {
        let _: () = redis.hincr("hf:{event}:holders", holder, delta).await.unwrap();
    }
    is_full(server, "ann", 2, 2).await;
    let (code, told) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 1, "{told}");
    let lines = [
        "holder ann: Redis counts +1 hold(s)",
        "holder bob: Redis counts -1 hold(s)",
        "holder cat: Redis counts +3 hold(s)",
        "holder cat: Redis counts -2 unit(s)",
    ];
    assert_told(&told, &lines);
    let told = told.lines().filter(|line| line.starts_with("difference: ")).count();
    assert_eq!(told, lines.len());
    let (code, told) = audit(&stage.stores, &["--repair"]).await;
    assert_eq!(code, 0, "{told}");
    held(server, "ann", "A-3").await;
    is_full(server, "ann", 2, 2).await;
    nothing_differs(&stage).await;
}

/// Whoever has paid gets his places, if they are free.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_payment_is_not_kept_out() {
    let stage = stage(1, HoldDurability::Fast).await;
    let server = &stage.server;
    let mut request = hold_request("ann", &["A-1"]);
    request.ttl = ms(60_000);
    let late = server.hold(request).await.unwrap();
    let order = server.create_order(&late).await.unwrap().order.unwrap();
    server.expire(&late).await;
    eventually("its seat is free", async || {
        (server.house().await.seats["A-1"] == SeatStatus::Available).then_some(())
    })
    .await;
    held(server, "ann", "B-1").await;
    let paid = server.confirm(&late, "pay-1").await.unwrap();
    assert_eq!((paid.state(), paid.order_id), (OrderState::Paid, order.order_id));
    is_full(server, "ann", 1, 1).await;
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_waiting_list_passes_over_who_has_enough() {
    let (stage, rows) = sold_out(60_000).await;
    let (server, lists) = (&stage.server, Lists::of(&stage.server).await);
    let own = held_elsewhere(server).await;
    set(server, 1).await;
    let full = lists.join(party("ann", 1)).await.unwrap();
    let next = lists.join(party("bob", 1)).await.unwrap();
    server.release(&rows[0], &["A-1"], vec![]).await.unwrap();
    let next = lists.until(&next, WaitingListState::Offered).await;
    assert_eq!(offered(server, &next).await.seat_ids, ["A-1"]);
    assert_eq!(lists.get(&full).await.unwrap().state(), WaitingListState::Waiting);
    assert_eq!(server.get_hold(EVENT, &own.hold_id).await.unwrap().state(), HoldState::Active);
}

/// A hold of ann's where no seat is left.
async fn held_elsewhere(server: &Server) -> Hold {
    let mut request = hold_request("ann", &[]);
    request.areas = floor(1);
    server.hold(request).await.unwrap()
}

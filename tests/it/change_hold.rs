//! ChangeHold: other seats for the same hold, all of them or none, as one change.

use futures_util::future::join_all;
use holdfast::{
    domain::{Epoch, EventId, HoldId, Items, SeatIndex},
    holds::{Holds, ReleaseReply, Reply},
    proto::{
        AreaQuantity, ChangeHoldRequest, ChangeHoldResponse, ChannelActionKind, ChannelOverride,
        EventState, Hold, HoldDurability, HoldState, OrphanPolicy, SeatStatus, order_item::Place,
        stream_seat_updates_response::Message,
    },
};
use tonic::{Code, Status};

use crate::{
    audit::audit,
    channels::{actions, allocate},
    support::{
        EVENT, Server, Stage, code_and_reason, eventually, floor, hold_request, refusal,
        small_event,
    },
};

/// A request that makes a hold be of these.
pub fn to(
    hold: &Hold,
    seat_ids: impl IntoIterator<Item = impl Into<String>>,
    areas: Vec<AreaQuantity>,
) -> ChangeHoldRequest {
    ChangeHoldRequest {
        event_id: hold.event_id.clone(),
        hold_id: hold.hold_id.clone(),
        holder_id: hold.holder_id.clone(),
        seat_ids: seat_ids.into_iter().map(Into::into).collect(),
        areas,
        ..ChangeHoldRequest::default()
    }
}

async fn answer(server: &Server, request: ChangeHoldRequest) -> Result<ChangeHoldResponse, Status> {
    Ok(server.reservations.clone().change_hold(request).await?.into_inner())
}

pub async fn change(server: &Server, request: ChangeHoldRequest) -> Result<Hold, Status> {
    Ok(answer(server, request).await?.hold.unwrap())
}

async fn held(server: &Server, holder: &str, seats: &[&str], units: i32) -> Hold {
    let mut request = hold_request(holder, seats);
    if units > 0 {
        request.areas = floor(units);
    }
    server.hold(request).await.unwrap()
}

async fn set(server: &Server, paths: &[&str], set: impl Fn(&mut holdfast::proto::Event)) {
    let mut event = small_event(EVENT).event.unwrap();
    set(&mut event);
    server.update_event(event, paths).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_change_for_whoever_watches() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, stage.another_server().await);
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(3);
    let hold = server.hold(request.clone()).await.unwrap();
    let mut watcher = other.watch(EVENT, "").await;
    watcher.snapshot().await;
    for _ in 0..2 {
        // Said again, it changes nothing.
        let changed = change(&other, to(&hold, ["A-3", "A-2"], floor(5))).await.unwrap();
        let expected =
            Hold { seat_ids: vec!["A-2".into(), "A-3".into()], areas: floor(5), ..hold.clone() };
        assert_eq!(changed, expected);
        assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), expected);
        // The request that made it answers it as it is now.
        assert_eq!(server.hold(request.clone()).await.unwrap(), expected);
    }
    change(server, to(&hold, ["A-2"], floor(2))).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 2 {
        if let Some(Message::Updates(updates)) = watcher.next().await.unwrap() {
            told.push(updates);
        }
    }
    let seats: Vec<_> = told[0].seats.iter().map(|s| (&*s.seat_id, s.status())).collect();
    assert_eq!(seats, [("A-3", SeatStatus::Held), ("A-1", SeatStatus::Available)]);
    assert_eq!(told[0].areas[0].available, 95);
    let seats: Vec<_> = told[1].seats.iter().map(|s| (&*s.seat_id, s.status())).collect();
    assert_eq!(seats, [("A-3", SeatStatus::Available)]);
    assert_eq!(told[1].areas[0].available, 98);

    // A release counts from what it was changed to; a sale sells what it has.
    change(server, to(&hold, ["A-2", "B-1"], floor(4))).await.unwrap();
    for _ in 0..2 {
        let left = server.release(&hold, &["A-2"], floor(1)).await.unwrap();
        assert_eq!((&*left.seat_ids, left.areas), (&["B-1".to_owned()][..], floor(3)));
    }
    // Also where it was changed to what was left.
    change(server, to(&hold, ["B-1"], floor(3))).await.unwrap();
    for _ in 0..2 {
        let left = server.release(&hold, &[], floor(1)).await.unwrap();
        assert_eq!(left.areas, floor(2));
    }
    let order = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(order.tickets.len(), 3);
    let house = other.house().await;
    assert_eq!((house.seats["B-1"], house.areas["floor"]), (SeatStatus::Sold, 98));
    assert_eq!(house.count(SeatStatus::Held), 0);
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_or_none() {
    let stage = Stage::new().await;
    let server = &stage.server;
    set(server, &["max_units_per_hold", "max_units_per_holder"], |event| {
        (event.max_units_per_hold, event.max_units_per_holder) = (4, 6);
    })
    .await;
    let hold = held(server, "ann", &["A-1", "A-2"], 1).await;
    let bobs = held(server, "bob", &["B-1"], 0).await;
    let sure = async |request, reason: &str, subjects: &[&str]| {
        let told = refusal(change(server, request).await);
        assert_eq!(
            (&*told.reason, told.subjects),
            (reason, subjects.iter().map(ToString::to_string).collect())
        );
        assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold, "nothing changed");
        let house = server.house().await;
        assert_eq!(house.seats["A-3"], SeatStatus::Available);
    };
    sure(to(&hold, ["A-1", "A-3", "B-1"], vec![]), "SEAT_UNAVAILABLE", &["SEAT_HELD B-1"]).await;
    let limit = "HOLDER_LIMIT_EXCEEDED";
    sure(to(&hold, ["A-1", "A-2", "A-3"], floor(2)), limit, &["max_units_per_hold"]).await;
    sure(to(&hold, ["A-3", "X-1"], vec![]), "SEAT_NOT_FOUND", &[]).await;
    sure(to(&hold, Vec::<String>::new(), vec![]), "INVALID_FIELD", &["seat_ids"]).await;
    let not_hers = ChangeHoldRequest { holder_id: "bob".into(), ..to(&hold, ["A-3"], vec![]) };
    sure(not_hers, "HOLD_NOT_FOUND", &[]).await;

    // Limits count the difference.
    let more = held(server, "ann", &["C-1", "C-2"], 0).await;
    held(server, "ann", &["E-1"], 0).await;
    let four = to(&hold, ["A-1", "A-2", "A-3"], floor(1));
    sure(four, limit, &["max_units_per_holder"]).await;
    let same = change(server, to(&more, ["C-3"], floor(1))).await.unwrap();
    assert_eq!((same.seat_ids.len(), same.areas), (1, floor(1)));
    change(server, to(&more, ["C-1", "C-3"], vec![])).await.unwrap();

    // Of what has run out nothing is in the way.
    server.extend_hold(&bobs, 1).await.unwrap();
    eventually("it runs out", async || {
        change(server, to(&more, ["B-1", "C-3"], vec![])).await.ok()
    })
    .await;
    assert_eq!(server.house().await.seats["C-1"], SeatStatus::Available);
    let ended = code_and_reason(change(server, to(&bobs, ["D-1"], vec![])).await);
    assert_eq!(ended, (Code::FailedPrecondition, "HOLD_EXPIRED".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_back_is_never_refused() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = held(server, "ann", &["A-1", "A-2", "A-3"], 2).await;
    set(server, &["state", "max_units_per_hold", "orphan_policy"], |event| {
        event.set_state(EventState::Paused);
        event.max_units_per_hold = 1;
        event.set_orphan_policy(OrphanPolicy::Refuse);
    })
    .await;
    let told = code_and_reason(change(server, to(&hold, ["A-4"], vec![])).await);
    assert_eq!(told, (Code::FailedPrecondition, "EVENT_NOT_ON_SALE".into()));
    let left = change(server, to(&hold, ["A-1", "A-3"], floor(1))).await.unwrap();
    assert_eq!((left.seat_ids.len(), left.areas), (2, floor(1)));
    // What it stays with is not what counts; what it gets is.
    set(server, &["state"], |event| event.set_state(EventState::OnSale)).await;
    let told = refusal(change(server, to(&hold, ["A-1", "A-2", "A-4"], vec![])).await);
    assert_eq!(
        (&*told.reason, &*told.subjects),
        ("ORPHAN_SEAT", &["SEAT_ALONE A-3".to_owned()][..])
    );
    set(server, &["orphan_policy"], |event| event.set_orphan_policy(OrphanPolicy::Warn)).await;
    let warned = answer(server, to(&hold, ["A-1", "A-2", "A-4"], vec![])).await.unwrap();
    assert_eq!(warned.stranded_seat_ids, ["A-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_two_servers_at_once_one_of_them_gets_them() {
    let stage = Stage::new().await;
    let servers = [&stage.server, &stage.another_server().await];
    let mut wins = [0; 2];
    for row in 'A'..='J' {
        let seat = |n: usize| format!("{row}-{n}");
        let mut holds = Vec::new();
        for n in 1..=4 {
            holds.push(held(servers[n % 2], &format!("{row}{n}"), &[&seat(n)], 0).await);
        }
        let wanted = [seat(5), seat(6)];
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let asked = holds
            .iter()
            .enumerate()
            .map(|(n, hold)| change(servers[n % 2], to(hold, wanted.clone(), vec![])));
        let told = join_all(asked).await;
        let winners: Vec<usize> = (0..told.len()).filter(|&n| told[n].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{told:?}");
        wins[winners[0] % 2] += 1;
        for (n, hold) in holds.iter().enumerate() {
            let has = servers[0].get_hold(EVENT, &hold.hold_id).await.unwrap().seat_ids;
            match n == winners[0] {
                true => assert_eq!(has, wanted),
                false => assert_eq!(has, hold.seat_ids, "who did not win keeps what he has"),
            }
        }
        let house = servers[1].house().await;
        assert_eq!(house.seats[&seat(winners[0] + 1)], SeatStatus::Available);
    }
    assert_eq!(servers[0].house().await.count(SeatStatus::Held), 50);
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{wins:?} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_outlives_redis_where_the_event_is_journaled() {
    let stage = Stage::empty().await;
    let mut event = small_event(EVENT);
    event.event.as_mut().unwrap().set_hold_durability(HoldDurability::Journaled);
    stage.server.create_event(event).await.unwrap();
    let server = &stage.server;
    let hold = held(server, "ann", &["A-1", "A-2"], 2).await;
    let changed = change(server, to(&hold, ["A-3"], floor(5))).await.unwrap();
    let _: () = redis::cmd("FLUSHDB").query_async(&mut stage.stores.redis().await).await.unwrap();
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), changed);
    let house = server.house().await;
    assert_eq!((house.count(SeatStatus::Held), house.areas["floor"]), (1, 95));
    held(server, "bob", &["A-1", "A-2"], 0).await;
    // Also what a release counts from.
    let left = server.release(&hold, &[], floor(1)).await.unwrap();
    assert_eq!(left.areas, floor(4));
    server.confirm(&hold, "pay-1").await.unwrap();
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_an_order_stays_as_it_is() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = held(server, "ann", &["A-1", "A-2"], 1).await;
    let changed = change(server, to(&hold, ["A-2", "A-3"], floor(1))).await.unwrap();
    let made = server.create_order(&hold).await.unwrap().order.unwrap();
    assert_eq!(made.items.len(), 3);
    let ordered = (Code::FailedPrecondition, "ORDER_STATE".to_owned());
    let other = || to(&hold, ["A-2"], floor(1));
    assert_eq!(code_and_reason(change(server, other()).await), ordered);
    change(server, to(&hold, ["A-2", "A-3"], floor(1))).await.unwrap();
    // So it is after Redis was lost.
    let postgres = stage.stores.postgres().await;
    eventually("the hold is journaled", async || {
        let sql = "SELECT FROM holds WHERE seat_indexes = '{1,2}'";
        postgres.query_opt(sql, &[]).await.unwrap().map(drop)
    })
    .await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut stage.stores.redis().await).await.unwrap();
    assert_eq!(code_and_reason(change(server, other()).await), ordered);
    let order = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!((&order.order_id, order.tickets.len()), (&made.order_id, 3));
    assert_eq!(changed.state(), HoldState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_of_what_its_hold_stays_with() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, &stage.another_server().await);
    let mut refused = 0;
    for row in 'A'..='J' {
        let seat = |n: usize| format!("{row}-{n}");
        let hold = held(server, "ann", &[&seat(1)], 0).await;
        let changes = async {
            let mut refused = 0;
            for n in 2..=9 {
                let told = change(other, to(&hold, [seat(n)], vec![])).await;
                refused += usize::from(told.is_err());
                told.map(drop)
                    .or_else(|status| match refusal(Err::<(), _>(status)).reason.as_str() {
                        "ORDER_STATE" => Ok(()),
                        reason => Err(reason.to_owned()),
                    })
                    .unwrap();
            }
            refused
        };
        let orders = join_all([server, other].map(|server| server.create_order(&hold)));
        let (made, told) = tokio::join!(orders, changes);
        refused += told;
        let orders: Vec<_> = made.into_iter().filter_map(|made| made.ok()?.order).collect();
        assert!(!orders.is_empty(), "row {row}: nobody could order");
        let has = server.get_hold(EVENT, &hold.hold_id).await.unwrap().seat_ids;
        for order in orders {
            assert_eq!(order.items[0].place, Some(Place::SeatId(has[0].clone())));
        }
    }
    assert!(refused > 0, "no order came between");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_needs_its_channels_key() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, stage.another_server().await);
    let hold = held(&other, "ann", &["A-1", "A-2"], 0).await;
    allocate(server, "club", &["A-1", "A-3", "A-4"]).await.unwrap();
    // What it has already it may keep.
    change(&other, to(&hold, ["A-1", "A-5"], vec![])).await.unwrap();
    let more = to(&hold, ["A-1", "A-3", "A-5"], vec![]);
    let told = refusal(change(&other, more.clone()).await);
    assert_eq!(
        (&*told.reason, &*told.subjects),
        ("CHANNEL_REQUIRED", &["SEAT_RESERVED A-3".to_owned()][..])
    );
    let with_key = ChangeHoldRequest { channels: vec!["club".into()], ..more };
    change(&other, with_key).await.unwrap();
    let overridden = |seats: &[&str]| ChangeHoldRequest {
        channel_override: Some(ChannelOverride { actor: "desk".into(), reason: "VIP".into() }),
        ..to(&hold, seats.iter().copied(), vec![])
    };
    change(&other, overridden(&["A-1", "A-3", "A-6"])).await.unwrap();
    assert_eq!(actions(server, 0, "").await.actions.len(), 1, "nothing new that is kept");
    change(&other, overridden(&["A-1", "A-4"])).await.unwrap();
    let noted = actions(server, 0, "").await.actions.remove(0);
    assert_eq!(
        (noted.kind(), &*noted.seat_ids),
        (ChannelActionKind::Override, &["A-4".to_owned()][..])
    );
    assert_eq!(noted.hold_id, hold.hold_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_out_with_what_it_has() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = held(server, "ann", &["A-1"], 4).await;
    change(server, to(&hold, ["B-1", "B-2"], floor(1))).await.unwrap();
    server.expire(&hold).await;
    eventually("all of it is free", async || {
        let house = server.house().await;
        let free = (house.count(SeatStatus::Available), house.areas["floor"]);
        (free == (100, 100)).then_some(())
    })
    .await;
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{said}");
}

/// A Release of all that a hold has by name must not give back what it was changed to.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_came_first_ends_it() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    // By a server that goes no further than the script.
    let asked = async |hold: &Hold| {
        let items = Items { seats: vec![SeatIndex(0)], areas: vec![] };
        let (hold_id, holder) = (hold.hold_id.parse().unwrap(), hold.holder_id.parse().unwrap());
        let told = holds.release(&event_id, Epoch(1), HoldId(hold_id), &holder, &items).await;
        assert!(matches!(told.unwrap(), Reply::Done(ReleaseReply::Whole(_))));
    };
    let hold = held(server, "ann", &["A-1"], 0).await;
    asked(&hold).await;
    for seat in ["A-1", "B-1"] {
        let told = code_and_reason(change(server, to(&hold, [seat], vec![])).await);
        assert_eq!(told, (Code::FailedPrecondition, "HOLD_RELEASED".into()));
    }
    let has = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!((has.state(), &*has.seat_ids), (HoldState::Released, &["A-1".to_owned()][..]));
    let house = server.house().await;
    assert_eq!(house.count(SeatStatus::Available), 100);

    // Until then it may be sold.
    let hold = held(server, "bob", &["A-1"], 0).await;
    asked(&hold).await;
    server.confirm(&hold, "pay-1").await.unwrap();
    let told = code_and_reason(change(server, to(&hold, ["B-1"], vec![])).await);
    assert_eq!(told, (Code::FailedPrecondition, "HOLD_CONFIRMED".into()));
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{said}");
}

//! Hold with `best_available`: the server finds the seats.

use std::collections::HashSet;

use futures_util::future::join_all;
use holdfast::proto::{
    BestAvailable, ChannelOverride, CreateEventRequest, Hold, HoldRequest, HoldState, OrphanPolicy,
    Row, SeatStatus, Section,
};
use tonic::{Code, Status};

use crate::support::{
    EVENT, House, OwnStores, Server, Stage, code_and_reason, eventually, floor, hold_request, ms,
    refusal, seat, small_event,
};

/// A request for so many seats together, with a hold id of its own.
pub fn best(holder_id: &str, quantity: i32) -> HoldRequest {
    let asked = BestAvailable { quantity, ..BestAvailable::default() };
    HoldRequest { best_available: Some(asked), ..hold_request(holder_id, &[]) }
}

pub fn asking(mut request: HoldRequest, change: impl FnOnce(&mut BestAvailable)) -> HoldRequest {
    change(request.best_available.as_mut().unwrap());
    request
}

pub fn none_such() -> (Code, String) {
    (Code::FailedPrecondition, "INSUFFICIENT_CAPACITY".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_go_first_and_none_is_left_alone() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let find = async |quantity| server.hold(best("ann", quantity)).await.unwrap().seat_ids;
    assert_eq!(find(4).await, ["A-3", "A-4", "A-5", "A-6"], "fours and twos fill the rest");
    assert_eq!(find(3).await, ["B-4", "B-5", "B-6"], "in row A one would be left alone");
    assert_eq!(find(1).await, ["A-7"], "three are left");
    assert_eq!(find(10).await.len(), 10);
    assert_eq!(server.house().await.seats["C-1"], SeatStatus::Held);
    // Chosen by hand and given back: the server follows.
    let chosen = server.hold(hold_request("bob", &["A-8", "A-9"])).await.unwrap();
    eventually("they are known to be gone", async || {
        let map = House::new(&server.get_seat_map(EVENT).await.unwrap());
        (map.seats["A-9"] == SeatStatus::Held).then_some(())
    })
    .await;
    assert_eq!(find(1).await, ["A-10"]);
    server.release(&chosen, &[], vec![]).await.unwrap();
    eventually("the two are known to be free", async || {
        let hold = server.hold(best("cat", 2)).await.unwrap();
        (hold.seat_ids == ["A-8", "A-9"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_what_is_found() {
    let stage = Stage::empty().await;
    let mut event = small_event(EVENT);
    let chart = event.chart.as_mut().unwrap();
    let mut cheap = chart.price_categories[0].clone();
    cheap.price_category_id = "cheap".into();
    chart.price_categories.push(cheap);
    let mut gallery: Vec<_> = (1..=6).map(|n| seat(&format!("Y-{n}"))).collect();
    gallery[0].accessible = true;
    gallery[4].price_category_id = "cheap".into();
    gallery[5].price_category_id = "cheap".into();
    let rows = vec![Row { row_id: "Y".into(), seats: gallery }];
    chart.sections.push(Section { section_id: "gallery".into(), name: "Gallery".into(), rows });
    stage.server.create_event(event).await.unwrap();
    // Before anybody has read the chart.
    let sql = "UPDATE seats SET channel = 'fans' WHERE seat_id IN ('A-5', 'A-6')";
    stage.stores.postgres().await.execute(sql, &[]).await.unwrap();
    let server = stage.another_server().await;
    let find = async |request: HoldRequest| server.hold(request).await.map(|hold| hold.seat_ids);

    assert_eq!(find(best("ann", 3)).await.unwrap(), ["B-4", "B-5", "B-6"], "fours are in A");
    let mut of_fans = best("ann", 2);
    of_fans.channels = vec!["fans".into()];
    assert_eq!(find(of_fans).await.unwrap(), ["A-5", "A-6"]);
    let gallery =
        |quantity| asking(best("ann", quantity), |asked| asked.section_id = "gallery".into());
    let cheap = |quantity| asking(gallery(quantity), |a| a.price_category_id = "cheap".into());
    assert_eq!(code_and_reason(find(cheap(3)).await), none_such());
    assert_eq!(find(cheap(2)).await.unwrap(), ["Y-5", "Y-6"]);
    assert_eq!(code_and_reason(find(gallery(4)).await), none_such(), "one is for a wheelchair");
    assert_eq!(find(gallery(3)).await.unwrap(), ["Y-2", "Y-3", "Y-4"]);

    let nowhere = asking(best("ann", 1), |asked| asked.section_id = "moon".into());
    let told = refusal(find(nowhere).await);
    assert_eq!((told.code, told.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert_eq!(told.subjects, ["best_available.section_id"]);
    let priceless = asking(best("ann", 1), |asked| asked.price_category_id = "free".into());
    assert_eq!(refusal(find(priceless).await).subjects, ["best_available.price_category_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_have_the_best_of_all_channels() {
    let stage = Stage::new().await;
    let sql = "UPDATE seats SET channel = 'fans' WHERE seat_id LIKE 'A-%'";
    stage.stores.postgres().await.execute(sql, &[]).await.unwrap();
    let server = stage.another_server().await;
    let overridden = ChannelOverride { actor: "desk".into(), reason: "guests".into() };
    let request = HoldRequest { channel_override: Some(overridden), ..best("ann", 2) };
    assert_eq!(server.hold(request).await.unwrap().seat_ids, ["A-5", "A-6"]);
    assert_eq!(server.hold(best("ann", 2)).await.unwrap().seat_ids, ["B-5", "B-6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_not_so_many_together_parts_will_do() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let twelve = best("ann", 12);
    assert_eq!(code_and_reason(server.hold(twelve.clone()).await), none_such());
    let hold = server.hold(asking(twelve, |asked| asked.allow_split = true)).await.unwrap();
    let rows: HashSet<_> = hold.seat_ids.iter().map(|seat| &seat[..1]).collect();
    assert_eq!(rows, HashSet::from(["A", "B"]), "{:?}", hold.seat_ids);
    assert_eq!(hold.seat_ids.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_has_the_same_seats() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut request = best("ann", 4);
    request.areas = floor(2);
    let hold = server.hold(request.clone()).await.unwrap();
    assert_eq!((hold.seat_ids.len(), hold.areas.clone()), (4, floor(2)));
    assert_eq!(server.hold(request.clone()).await.unwrap(), hold);
    let other = stage.another_server().await;
    assert_eq!(other.hold(request.clone()).await.unwrap(), hold);
    let changes: [fn(&mut HoldRequest); 5] = [
        |r| r.best_available.as_mut().unwrap().quantity = 5,
        |r| r.best_available.as_mut().unwrap().section_id = "stalls".into(),
        |r| r.best_available.as_mut().unwrap().price_category_id = "seat".into(),
        |r| r.best_available.as_mut().unwrap().allow_split = true,
        |r| r.areas = floor(3),
    ];
    let reused = (Code::AlreadyExists, "HOLD_ID_REUSED".to_owned());
    for change in changes {
        let mut changed = request.clone();
        change(&mut changed);
        assert_eq!(code_and_reason(server.hold(changed).await), reused);
    }
    let named =
        HoldRequest { best_available: None, seat_ids: hold.seat_ids.clone(), ..request.clone() };
    assert_eq!(code_and_reason(server.hold(named).await), reused, "found is not chosen");
    // Also where nothing is left.
    for row in 'A'..='J' {
        let seats: Vec<_> = (1..=10).map(|n| format!("{row}-{n}")).collect();
        let left = seats
            .iter()
            .map(String::as_str)
            .filter(|seat| !hold.seat_ids.contains(&(*seat).to_owned()));
        server.hold(hold_request("bob", &left.collect::<Vec<_>>())).await.unwrap();
    }
    assert_eq!(code_and_reason(other.hold(best("cat", 1)).await), none_such());
    assert_eq!(other.hold(request.clone()).await.unwrap(), hold);
    server.release(&hold, &[], vec![]).await.unwrap();
    let released = (Code::FailedPrecondition, "HOLD_RELEASED".to_owned());
    assert_eq!(code_and_reason(server.hold(request).await), released);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_or_nothing_and_what_came_to_nothing_is_free() {
    let stage = Stage::new().await;
    let server = &stage.server;
    for holder in ["bob", "cat"] {
        let request = HoldRequest { areas: floor(50), ..hold_request(holder, &[]) };
        server.hold(request).await.unwrap();
    }
    let mut request = best("ann", 4);
    request.areas = floor(1);
    let told = refusal(server.hold(request).await);
    assert_eq!(
        (told.reason.as_str(), told.subjects),
        ("INSUFFICIENT_CAPACITY", vec!["AREA_CAPACITY floor".into()])
    );
    assert_eq!(server.house().await.count(SeatStatus::Held), 0);
    let hold = server.hold(best("ann", 4)).await.unwrap();
    assert_eq!(hold.seat_ids, ["A-3", "A-4", "A-5", "A-6"], "the same that were picked for that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_for_choices_does_not_stand_in_the_way_of_what_is_found() {
    let stage = Stage::empty().await;
    let mut event = event_of(1, 3);
    event.event.as_mut().unwrap().set_orphan_policy(OrphanPolicy::Refuse);
    stage.server.create_event(event).await.unwrap();
    let hold = stage.server.hold(best("ann", 2)).await.unwrap();
    assert_eq!(hold.seat_ids, ["1-1", "1-2"], "one is left alone where it cannot be helped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_run_out_is_found_at_once() {
    let stage = Stage::empty().await;
    stage.server.create_event(event_of(1, 10)).await.unwrap();
    let other = stage.another_server().await;
    for _ in 0..3 {
        let held = stage.server.hold(HoldRequest { ttl: ms(50), ..best("ann", 10) }).await.unwrap();
        // No later than it would be by hand: the moment when it has run out.
        eventually("it has run out", async || {
            let hold = stage.server.get_hold(EVENT, &held.hold_id).await.unwrap();
            (hold.state() == HoldState::Expired).then_some(())
        })
        .await;
        let next = other.hold(best("bob", 10)).await.unwrap();
        other.release(&next, &[], vec![]).await.unwrap();
        // This server must not be behind that for the next round.
        eventually("all is free", async || {
            let map = stage.server.get_seat_map(EVENT).await.unwrap();
            (House::new(&map).count(SeatStatus::Available) == 10).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_for_a_pick_that_comes_to_nothing() {
    let stage = Stage::empty().await;
    let mut event = event_of(1, 4);
    event.event.as_mut().unwrap().max_units_per_holder = 2;
    stage.server.create_event(event).await.unwrap();
    let greedy = stage.server.hold(hold_request("greedy", &["1-1", "1-2"])).await.unwrap();
    for _ in 0..20 {
        let others = (0..30).map(|n| {
            let holder = if n == 17 { "ann" } else { "greedy" };
            stage.server.hold(best(holder, 2))
        });
        let (mut held, mut refused) = (Vec::new(), HashSet::new());
        for answer in join_all(others).await {
            match answer {
                Ok(hold) => held.push(hold),
                Err(status) => _ = refused.insert(refusal(Err::<(), _>(status)).reason),
            }
        }
        assert_eq!(held.len(), 1, "the last two are for her who may have them");
        assert_eq!(held[0].holder_id, "ann");
        let may: HashSet<_> =
            ["HOLDER_LIMIT_EXCEEDED", "INSUFFICIENT_CAPACITY"].map(String::from).into();
        assert!(refused.is_subset(&may), "{refused:?}");
        stage.server.release(&held[0], &[], vec![]).await.unwrap();
    }
    stage.server.release(&greedy, &[], vec![]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_lost_in_between() {
    let mut stores = OwnStores::start().await;
    let server = Server::start(&stores.stores()).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    let request = best("ann", 4);
    let hold = server.hold(request.clone()).await.unwrap();
    let postgres = stores.stores().postgres().await;
    eventually("it is journaled", async || {
        let row = postgres.query_one("SELECT count(*) FROM holds", &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    stores.kill_redis().await;
    std::fs::remove_dir_all(stores.redis_data()).unwrap();
    assert_eq!(server.hold(best("bob", 2)).await.unwrap_err().code(), Code::Unavailable);
    stores.start_redis().await;
    let again = eventually("Redis is back", async || server.hold(request.clone()).await.ok());
    assert_eq!(again.await, hold, "the same request, the same hold");
    let next = eventually("seats", async || server.hold(best("bob", 4)).await.ok()).await;
    assert_eq!(next.seat_ids, ["A-7", "A-8", "A-9", "A-10"]);
}

/// Rows of seats such as `12-7`, best first.
pub fn event_of(rows: usize, seats: usize) -> CreateEventRequest {
    let mut event = small_event(EVENT);
    let chart = event.chart.as_mut().unwrap();
    let row = |row| Row {
        row_id: format!("{row}"),
        seats: (1..=seats).map(|n| seat(&format!("{row}-{n}"))).collect(),
    };
    chart.sections[0].rows = (1..=rows).map(row).collect();
    event
}

/// The row of a seat, and its number in it.
fn place(seat_id: &str) -> (usize, usize) {
    let (row, number) = seat_id.split_once('-').unwrap();
    (row.parse().unwrap(), number.parse().unwrap())
}

/// A thousand at once ask for two; answers the holds, and how many were refused, after it
/// was looked at all of it.
async fn herd(servers: usize, rows: usize, seats: usize) -> (Vec<Hold>, usize) {
    let stage = Stage::empty().await;
    stage.server.create_event(event_of(rows, seats)).await.unwrap();
    let mut others = Vec::new();
    for _ in 1..servers {
        others.push(stage.another_server().await);
    }
    let all: Vec<&Server> = [&stage.server].into_iter().chain(&others).collect();
    let calls = (0..1_000).map(|n| all[n % servers].hold(best(&format!("holder-{n}"), 2)));
    let answers: Vec<Result<Hold, Status>> = join_all(calls).await;
    let (mut holds, mut refused) = (Vec::new(), 0);
    for answer in answers {
        match answer {
            Ok(hold) => holds.push(hold),
            Err(status) => {
                assert_eq!(code_and_reason(Err::<(), _>(status)), none_such());
                refused += 1;
            }
        }
    }
    let mut held = HashSet::new();
    for hold in &holds {
        let places: Vec<_> = hold.seat_ids.iter().map(|seat| place(seat)).collect();
        let [one, two] = places[..] else { panic!("two were asked for: {hold:?}") };
        assert_eq!((one.0, one.1 + 1), two, "together");
        assert!(hold.seat_ids.iter().all(|seat| held.insert(seat.clone())), "given twice");
    }
    for server in all {
        let house = server.house().await;
        let in_map = house.seats.into_iter().filter(|(_, status)| *status == SeatStatus::Held);
        assert_eq!(in_map.map(|(seat, _)| seat).collect::<HashSet<_>>(), held);
    }
    (holds, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_two_servers_get_a_thousand_good_blocks() {
    let (holds, refused) = herd(2, 60, 40).await;
    assert_eq!((holds.len(), refused), (1_000, 0));
    let rows = holds.iter().flat_map(|hold| &hold.seat_ids).map(|seat| place(seat).0);
    // Fifty rows are enough; who was refused once may sit some rows further back.
    assert!(rows.max().unwrap() <= 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_four_servers_get_a_thousand_good_blocks() {
    let (holds, refused) = herd(4, 60, 40).await;
    assert_eq!((holds.len(), refused), (1_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_that_is_too_small_says_so_when_it_is_full() {
    let (holds, refused) = herd(2, 20, 20).await;
    assert_eq!((holds.len(), refused), (200, 800));
    let (holds, refused) = herd(4, 20, 20).await;
    assert_eq!((holds.len(), refused), (200, 800));
}

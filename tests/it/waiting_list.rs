//! The waiting list: what is freed is offered to the first whom it fits.

use futures_util::future::join_all;
use holdfast::{
    app,
    limits::MAX_OPEN_ENTRIES_PER_HOLDER,
    proto::{
        AreaQuantity, EventState, HoldState, SeatStatus, WaitingListState as State, WaitingRoom,
    },
};
use redis::AsyncCommands;
use tokio::time::{Duration, timeout};
use tonic::Code;
use uuid::Uuid;

use crate::{
    audit::audit,
    support::{
        EVENT, code_and_reason, eventually, floor, hold_request,
        line::{Line, change},
        refusal,
        waiting::{Lists, offered, party, sold_out},
    },
};

/// So many seats of a row, beside each other.
fn assert_beside(seat_ids: &[String], row: &str, count: usize) {
    let number = |seat: &String| -> u32 {
        let (of, number) = seat.split_once('-').unwrap();
        assert_eq!(of, row);
        number.parse().unwrap()
    };
    let mut numbers: Vec<_> = seat_ids.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers.len(), count);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seat_ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_whom_it_fits_has_it() {
    let (stage, rows) = sold_out(60_000).await;
    let (server, lists) = (&stage.server, Lists::of(&stage.server).await);
    let three = lists.join(party("three", 3)).await.unwrap();
    let two = lists.join(party("two", 2)).await.unwrap();
    let also_two = lists.join(party("also-two", 2)).await.unwrap();
    let one = lists.join(party("one", 1)).await.unwrap();
    assert_eq!([three.ahead, two.ahead, also_two.ahead, one.ahead], [0, 1, 2, 3]);
    assert_eq!(three.state(), State::Waiting);

    // Not beside each other: nobody's but the one's.
    server.release(&rows[0], &["A-1", "A-2", "A-4"], vec![]).await.unwrap();
    let two = lists.until(&two, State::Offered).await;
    let hold = offered(server, &two).await;
    assert_eq!((hold.state(), hold.holder_id.as_str()), (HoldState::Active, "two"));
    assert_eq!(hold.seat_ids, ["A-1", "A-2"]);
    let life = hold.expire_time.unwrap().seconds - hold.create_time.unwrap().seconds;
    assert_eq!((life, hold.expire_time), (60, two.expire_time));
    let one = lists.until(&one, State::Offered).await;
    assert_eq!(offered(server, &one).await.seat_ids, ["A-4"]);
    let waiting = [lists.get(&three).await.unwrap(), lists.get(&also_two).await.unwrap()];
    assert!(
        waiting.iter().all(|entry| entry.state() == State::Waiting && entry.hold_id.is_empty())
    );
    assert_eq!([waiting[0].ahead, waiting[1].ahead], [0, 1]);

    server.release(&rows[1], &[], vec![]).await.unwrap();
    let three = lists.until(&three, State::Offered).await;
    assert_beside(&offered(server, &three).await.seat_ids, "B", 3);
    let also_two = lists.until(&also_two, State::Offered).await;
    assert_beside(&offered(server, &also_two).await.seat_ids, "B", 2);
    server.confirm(&hold, "pay-two").await.unwrap();
    lists.until(&two, State::Fulfilled).await;
    // What nobody on the list wants is anybody's.
    let house = server.house().await;
    let left = house.seats.iter().filter(|(_, status)| **status == SeatStatus::Available);
    let left: Vec<&str> = left.map(|(seat, _)| seat.as_str()).collect();
    assert_eq!(left.len(), 5);
    eventually("the list has seen it", async || {
        server.hold(hold_request("public", &left)).await.ok()
    })
    .await;
    assert_eq!(audit(&stage.stores, &[]).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_party_wants() {
    let (stage, rows) = sold_out(60_000).await;
    let (server, lists) = (&stage.server, Lists::of(&stage.server).await);
    let mut standing = hold_request("crowd", &[]);
    standing.areas = floor(50);
    let crowd = server.hold(standing.clone()).await.unwrap();
    standing.hold_id = Uuid::now_v7().to_string();
    server.hold(standing).await.unwrap();
    let mut on_floor = party("floor", 3);
    on_floor.area_id = "floor".into();
    let on_floor = lists.join(on_floor).await.unwrap();
    let mut elsewhere = party("elsewhere", 1);
    elsewhere.price_category_id = "floor".into();
    let elsewhere = lists.join(elsewhere).await.unwrap();
    let mut in_stalls = party("stalls", 1);
    (in_stalls.section_id, in_stalls.price_category_id) = ("stalls".into(), "seat".into());
    let in_stalls = lists.join(in_stalls).await.unwrap();

    // Units are counted from what the hold had at first.
    server.release(&crowd, &[], floor(2)).await.unwrap();
    server.release(&rows[3], &["D-5"], vec![]).await.unwrap();
    let in_stalls = lists.until(&in_stalls, State::Offered).await;
    assert_eq!(offered(server, &in_stalls).await.seat_ids, ["D-5"]);
    assert_eq!(lists.get(&on_floor).await.unwrap().state(), State::Waiting);
    server.release(&crowd, &[], floor(4)).await.unwrap();
    let on_floor = lists.until(&on_floor, State::Offered).await;
    let units = AreaQuantity { area_id: "floor".into(), quantity: 3 };
    assert_eq!(offered(server, &on_floor).await.areas, [units]);
    assert_eq!(lists.get(&elsewhere).await.unwrap().state(), State::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_runs_out_is_the_nexts_and_streams_tell() {
    let (stage, rows) = sold_out(3_000).await;
    let other = stage.another_server().await;
    let (here, there) = (Lists::of(&stage.server).await, Lists::of(&other).await);
    let first = here.join(party("first", 1)).await.unwrap();
    let second = here.join(party("second", 1)).await.unwrap();
    let mut of_first = there.stream(&first).await.unwrap();
    let mut of_second = here.stream(&second).await.unwrap();
    stage.server.release(&rows[9], &["J-10"], vec![]).await.unwrap();

    let told = timeout(Duration::from_secs(20), async {
        let mut states: Vec<State> = Vec::new();
        while let Some(message) = of_first.message().await.unwrap() {
            states.push(message.entry.unwrap().state());
        }
        states
    });
    let told_second = timeout(Duration::from_secs(20), async {
        let (mut states, server) = (Vec::new(), &stage.server);
        while let Some(message) = of_second.message().await.unwrap() {
            let entry = message.entry.unwrap();
            if entry.state() == State::Offered && states.last() != Some(&State::Offered) {
                let hold = offered(server, &entry).await;
                assert_eq!(hold.seat_ids, ["J-10"]);
                server.confirm(&hold, "pay").await.unwrap();
            }
            states.push(entry.state());
        }
        states
    });
    let (first_told, second_told) = tokio::join!(told, told_second);
    let ended = [State::Waiting, State::Offered, State::Lapsed];
    assert_eq!(first_told.unwrap(), ended, "and then the stream ends");
    let mut second_told = second_told.unwrap();
    second_told.dedup();
    assert_eq!(second_told, [State::Waiting, State::Offered, State::Fulfilled]);
    // What has ended is told once.
    let mut again = there.stream(&first).await.unwrap();
    assert!(again.message().await.unwrap().is_some());
    assert!(again.message().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_gives_back_what_was_offered() {
    let (stage, rows) = sold_out(60_000).await;
    let (server, lists) = (&stage.server, Lists::of(&stage.server).await);
    let first = lists.join(party("first", 2)).await.unwrap();
    let second = lists.join(party("second", 2)).await.unwrap();
    let third = lists.join(party("third", 2)).await.unwrap();
    let left = lists.leave(&second).await.unwrap();
    assert_eq!((left.state(), left.hold_id.as_str()), (State::Left, ""));
    assert_eq!(lists.get(&third).await.unwrap().ahead, 1);

    server.release(&rows[2], &["C-9", "C-10"], vec![]).await.unwrap();
    let first = lists.until(&first, State::Offered).await;
    let left = lists.leave(&first).await.unwrap();
    assert_eq!(left.state(), State::Left);
    let hold = server.get_hold(EVENT, &first.hold_id).await.unwrap();
    assert_eq!(hold.state(), HoldState::Released);
    assert_eq!(lists.leave(&first).await.unwrap(), left);
    let third = lists.until(&third, State::Offered).await;
    let hold = offered(server, &third).await;
    assert_eq!(hold.seat_ids, ["C-9", "C-10"]);

    // Given back by itself it has lapsed; what was sold is not given back.
    server.release(&hold, &[], vec![]).await.unwrap();
    lists.until(&third, State::Lapsed).await;
    let fourth = lists.join(party("fourth", 1)).await.unwrap();
    let fourth = lists.until(&fourth, State::Offered).await;
    server.confirm(&offered(server, &fourth).await, "pay").await.unwrap();
    assert_eq!(lists.leave(&fourth).await.unwrap().state(), State::Fulfilled);
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_again_and_what_is_refused() {
    let (stage, _rows) = sold_out(60_000).await;
    let lists = Lists::of(&stage.server).await;
    let request = party("ann", 2);
    let entry = lists.join(request.clone()).await.unwrap();
    assert_eq!(lists.join(request.clone()).await.unwrap(), entry);
    let at_once = party("bob", 2);
    let joined = join_all((0..8).map(|_| lists.join(at_once.clone()))).await;
    let joined: Vec<_> = joined.into_iter().map(Result::unwrap).collect();
    assert!(joined.iter().all(|entry| entry == &joined[0]));

    let mut other = request.clone();
    other.party_size = 3;
    let reused = (Code::AlreadyExists, "ENTRY_ID_REUSED".to_owned());
    assert_eq!(code_and_reason(lists.join(other).await), reused);
    let mut other = request.clone();
    other.holder_id = "eve".into();
    assert_eq!(code_and_reason(lists.join(other).await), reused);
    let mut eves = entry.clone();
    eves.holder_id = "eve".into();
    let missing = (Code::NotFound, "ENTRY_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(lists.get(&eves).await), missing);
    assert_eq!(code_and_reason(lists.leave(&eves).await), missing);
    assert_eq!(code_and_reason(lists.stream(&eves).await), missing);

    let mut bad = party("ann", 51);
    bad.entry_id = "x".into();
    (bad.area_id, bad.section_id) = ("floor".into(), "stalls".into());
    assert_eq!(refusal(lists.join(bad).await).subjects, ["entry_id", "area_id"]);
    assert_eq!(refusal(lists.join(party("ann", 51)).await).subjects, ["party_size"]);
    let mut nowhere = party("ann", 1);
    nowhere.section_id = "moon".into();
    assert_eq!(refusal(lists.join(nowhere).await).subjects, ["section_id"]);
    let mut nowhere = party("ann", 1);
    nowhere.area_id = "moon".into();
    let no_area = (Code::NotFound, "AREA_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(lists.join(nowhere).await), no_area);
    let mut nowhere = party("ann", 1);
    nowhere.event_id = "moon".into();
    let no_event = (Code::NotFound, "EVENT_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(lists.join(nowhere).await), no_event);

    let joined = join_all((0..10).map(|_| lists.join(party("cat", 1)))).await;
    let (joined, refused): (Vec<_>, Vec<_>) = joined.into_iter().partition(Result::is_ok);
    assert_eq!(joined.len() as i64, MAX_OPEN_ENTRIES_PER_HOLDER);
    let limit = (Code::ResourceExhausted, "HOLDER_LIMIT_EXCEEDED".to_owned());
    assert!(refused.into_iter().all(|refused| code_and_reason(refused) == limit));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refund_gives_back_is_offered() {
    let (stage, rows) = sold_out(60_000).await;
    let (server, lists) = (&stage.server, Lists::of(&stage.server).await);
    let order = server.confirm(&rows[4], "pay-row").await.unwrap();
    let mut entries = Vec::new();
    for i in 0..5 {
        entries.push(lists.join(party(&format!("party-{i}"), 2)).await.unwrap());
    }
    let refund_id = Uuid::now_v7().to_string();
    server.refund_order(&order.order_id, &refund_id, &[]).await.unwrap();
    let mut seats = Vec::new();
    for entry in &entries {
        let entry = lists.until(entry, State::Offered).await;
        let hold = offered(server, &entry).await;
        assert_beside(&hold.seat_ids, "E", 2);
        seats.extend(hold.seat_ids);
    }
    seats.sort();
    seats.dedup();
    assert_eq!(seats.len(), 10);
    eventually("the map has no seat left", async || {
        let house = server.house().await;
        (house.count(SeatStatus::Available) == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_no_way_round_the_queue_and_ends_with_the_sale() {
    let (stage, _) = sold_out(60_000).await;
    let lists = Lists::of(&stage.server).await;
    let first = party("first", 2);
    let entry = lists.join(first.clone()).await.unwrap();
    change(&stage.server, "waiting_room", |event| event.set_waiting_room(WaitingRoom::Rate)).await;
    let told = code_and_reason(lists.join(party("second", 2)).await);
    assert_eq!(told, (Code::FailedPrecondition, "ADMISSION_REQUIRED".into()));
    // Who is on it already, is on it.
    assert_eq!(lists.join(first).await.unwrap().entry_id, entry.entry_id);
    let mut second = party("second", 2);
    let line = Line::of(&stage.server).await;
    second.admission_token = line.let_in("second").await.admission_token;
    let second = lists.join(second).await.unwrap();
    assert_eq!(second.ahead, 1);

    change(&stage.server, "state", |event| event.set_state(EventState::Closed)).await;
    let flows = app::connect(&stage.stores.settings()).await.unwrap();
    flows.prune().await.unwrap();
    for entry in [entry, second] {
        assert_eq!(lists.get(&entry).await.unwrap().state(), State::Lapsed);
    }
}

/// The list's server is away: what was freed is kept for it, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn of_an_area_only_what_was_freed_is_kept_for_the_list() {
    let (stage, _) = sold_out(60_000).await;
    let server = &stage.server;
    let mut standing = hold_request("crowd", &[]);
    standing.areas = floor(40);
    let crowd = server.hold(standing).await.unwrap();
    // As a server would tell it, and never again.
    let mut redis = stage.stores.redis().await;
    let meta = format!("hf:{{{EVENT}}}:meta");
    let far: i64 = 1 << 42;
    let () = redis.hset(&meta, "listed_until", far).await.unwrap();
    server.release(&crowd, &[], floor(30)).await.unwrap();
    server.release(&crowd, &[], floor(35)).await.unwrap();
    let take = async |units| {
        let mut request = hold_request("public", &[]);
        request.areas = floor(units);
        server.hold(request).await
    };
    // 60 were free all the time, 35 were freed.
    take(50).await.unwrap();
    take(10).await.unwrap();
    let told = code_and_reason(take(1).await.map(drop));
    assert_eq!(told, (Code::FailedPrecondition, "INSUFFICIENT_CAPACITY".into()));
}

//! QueueService: first come, first let in, whatever breaks.

use futures_util::future::join_all;
use holdfast::proto::{EventState, WaitingRoom};
use redis::AsyncCommands;
use tokio::time::{Duration, timeout};
use tonic::{Code, Status};

use crate::support::{
    EVENT, Server, Stage, Stores, code_and_reason, eventually, floor, hold_request,
    line::{Line, Room, Waiter, change, forged, open, stage},
    redis_fleet::Cluster,
    small_event,
};

const RATE: WaitingRoom = WaitingRoom::Rate;

fn holders(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("holder-{i}")).collect()
}

/// They join one after the other, at each of the servers in turn; answers their tokens.
async fn join_in_turn(lines: &[Line], holders: &[String]) -> Vec<String> {
    let mut tokens = Vec::new();
    for ((i, holder), line) in (0..).zip(holders).zip(lines.iter().cycle()) {
        let (token, position) = line.join(holder).await.unwrap();
        assert_eq!((position.ahead, position.waiting), (i, i + 1));
        tokens.push(token);
    }
    tokens
}

/// Each streams at the other server than the one where it joined.
async fn stream_all(lines: &[Line], tokens: &[String]) -> Vec<Waiter> {
    let others = lines.iter().cycle().skip(1);
    let streams = tokens.iter().zip(others).map(|(token, line)| line.stream(token));
    join_all(streams).await.into_iter().collect::<Result<_, _>>().unwrap()
}

async fn all_let_in(waiters: Vec<Waiter>) -> usize {
    let let_in = join_all(waiters.into_iter().map(Waiter::let_in)).await;
    let tokens: std::collections::HashSet<_> =
        let_in.into_iter().map(|admission| admission.unwrap().admission_token).collect();
    tokens.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn first_come_first_let_in_at_the_pace_across_two_servers() {
    const PACE: i32 = 6_000;
    const COUNT: usize = 250;
    let stage = stage(RATE, PACE).await;
    let other = stage.another_server().await;
    let lines = [Line::of(&stage.server).await, Line::of(&other).await];
    let mut room = Room::of(&stage.stores).await;
    let all = holders(COUNT);
    let tokens = join_in_turn(&lines, &all).await;
    let waiters = stream_all(&lines, &tokens).await;
    let opened_ms = room.now_ms().await;
    open(&stage.server).await;
    assert_eq!(all_let_in(waiters).await, COUNT);

    let times = room.admitted_at(&all).await;
    assert!(times.is_sorted(), "somebody passed by: {times:?}");
    // However many servers let in: none before its time, by Redis' clock.
    for (i, &time) in (1..).zip(&times) {
        let due_ms = opened_ms + i * 60_000 / u64::try_from(PACE).unwrap();
        assert!(time + 1 >= due_ms, "the {i}th came in {} ms too early", due_ms - time);
    }
    // Whoever asks again is told the same, at any server.
    for line in &lines {
        let (token, position) = line.join(&all[0]).await.unwrap();
        let admission = position.admission.unwrap();
        assert_eq!((&token, position.ahead), (&tokens[0], 0));
        assert_eq!(line.stream(&token).await.unwrap().let_in().await.unwrap(), admission);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_has_one_place() {
    let stage = stage(RATE, 600).await;
    let other = stage.another_server().await;
    let lines = [Line::of(&stage.server).await, Line::of(&other).await];
    lines[0].join("first").await.unwrap();
    let joins = (0..20).map(|i| lines[i % 2].join("ann"));
    let mut tokens = std::collections::HashSet::new();
    for joined in join_all(joins).await {
        let (token, position) = joined.unwrap();
        assert_eq!((position.ahead, position.waiting), (1, 2));
        tokens.insert(token);
    }
    assert_eq!(tokens.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_or_falls_silent_gives_way() {
    let stage = stage(RATE, 600).await;
    let line = Line::of(&stage.server).await;
    let all = holders(4);
    let tokens = join_in_turn(std::slice::from_ref(&line), &all).await;
    let mut last = line.stream(&tokens[3]).await.unwrap();
    last.until_ahead(3).await;
    line.leave(&tokens[1]).await.unwrap();
    line.leave(&tokens[1]).await.unwrap();
    assert_eq!(last.until_ahead(2).await.waiting, 3);
    let told = code_and_reason(line.stream(&tokens[1]).await.map(drop));
    assert_eq!(told, (Code::NotFound, "PLACE_NOT_FOUND".into()));

    // Nothing is heard of two: one of them is streamed, so it speaks up in time.
    let mut room = Room::of(&stage.stores).await;
    let seen = Room::key("queue:seen");
    let before: u64 = room.0.zscore(&seen, &all[3]).await.unwrap();
    eventually("its server speaks for it", async || {
        let seen: u64 = room.0.clone().zscore(&seen, &all[3]).await.unwrap();
        (seen > before).then_some(())
    })
    .await;
    room.forget(&all[0]).await;
    assert_eq!(last.until_ahead(1).await.waiting, 2);
    let told = code_and_reason(line.stream(&tokens[0]).await.map(drop));
    assert_eq!(told, (Code::NotFound, "PLACE_NOT_FOUND".into()));
    // It may come back, behind all others; its place of before stays given up.
    let (token, position) = line.join(&all[0]).await.unwrap();
    assert_eq!((position.ahead, position.waiting), (2, 3));
    assert_ne!(token, tokens[0]);
    line.leave(&tokens[0]).await.unwrap();
    assert_eq!(line.join(&all[0]).await.unwrap().1.ahead, 2);
}

/// All is gone: who streams is put back by the servers, who asks by the token, and who is
/// new is behind them.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_loss_of_redis_the_order_is_kept() {
    let stage = stage(RATE, 6_000).await;
    let other = stage.another_server().await;
    let lines = [Line::of(&stage.server).await, Line::of(&other).await];
    let mut room = Room::of(&stage.stores).await;
    let mut all = holders(7);
    let tokens = join_in_turn(&lines, &all).await;
    // The fourth does not stream.
    let mut streamed = tokens.clone();
    streamed.remove(3);
    let mut waiters = stream_all(&lines, &streamed).await;
    waiters[5].until_ahead(6).await;

    room.flush().await;
    let (newest, _) = lines[0].join("newest").await.unwrap();
    all.push("newest".into());
    let mut newest = lines[1].stream(&newest).await.unwrap();
    newest.until_ahead(6).await;
    let mut fourth = lines[1].stream(&tokens[3]).await.unwrap();
    assert_eq!(fourth.next().await.unwrap().unwrap().ahead, 3);
    newest.until_ahead(7).await;

    // A life that does not know what the last one gave goes on behind that, too.
    let () = room.0.hset(Room::key("queue"), "incarnation", "another").await.unwrap();
    let (last, position) = lines[0].join("last").await.unwrap();
    assert_eq!((position.ahead, position.waiting), (8, 9));
    all.push("last".into());
    let last = lines[0].stream(&last).await.unwrap();

    open(&stage.server).await;
    waiters.extend([newest, fourth, last]);
    assert_eq!(all_let_in(waiters).await, all.len());
    let times = room.admitted_at(&all).await;
    assert!(times.is_sorted(), "somebody passed by: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_at_another_server() {
    let mut stage = stage(RATE, 6_000).await;
    let other = stage.another_server().await;
    let tokens = join_in_turn(&[Line::of(&stage.server).await], &holders(3)).await;
    let mut waiter = Line::of(&stage.server).await.stream(&tokens[2]).await.unwrap();
    waiter.until_ahead(2).await;
    let gone = std::mem::replace(&mut stage.server, other);
    gone.app.stop().await;
    let told = code_and_reason(waiter.let_in().await);
    assert_eq!(told, (Code::Unavailable, "SERVER_DRAINING".into()));
    let mut waiter = Line::of(&stage.server).await.stream(&tokens[2]).await.unwrap();
    assert_eq!(waiter.next().await.unwrap().unwrap().ahead, 2);
    open(&stage.server).await;
    waiter.let_in().await.unwrap();
}

/// 200 units: 100 seats, and 100 on the floor.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_let_in_than_there_are_free_units_for() {
    let stage = stage(WaitingRoom::Inventory, 60_000).await;
    let other = stage.another_server().await;
    let lines = [Line::of(&stage.server).await, Line::of(&other).await];
    let all = holders(230);
    let tokens = join_in_turn(&lines, &all).await;
    let waiters = stream_all(&lines, &tokens).await;
    open(&stage.server).await;
    let let_in = join_all(waiters.into_iter().take(200).map(Waiter::let_in)).await;
    let mut room = Room::of(&stage.stores).await;
    let count = async |room: &mut Room| room.admitted().await.len();
    assert_eq!(count(&mut room).await, 200);

    // One of them takes three units, and is counted no more: 197 are free, 199 may take them.
    let mut request = hold_request(&all[0], &["A-1"]);
    request.areas = floor(2);
    request.admission_token = let_in[0].as_ref().unwrap().admission_token.clone();
    let hold = other.hold(request).await.unwrap();
    eventually("it counts as used", async || {
        let unused: i64 = room.0.clone().hget(Room::key("queue"), "unused").await.unwrap();
        (unused == 199).then_some(())
    })
    .await;
    // It gives them back: there is room for one more, and for one alone.
    other.release(&hold, &[], vec![]).await.unwrap();
    let next = lines[0].stream(&tokens[200]).await.unwrap();
    next.let_in().await.unwrap();
    let mut after = lines[1].stream(&tokens[201]).await.unwrap();
    assert_eq!(after.next().await.unwrap().unwrap().waiting, 29);
    assert_eq!(count(&mut room).await, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_room_is_closed_all_come_in() {
    let stage = stage(RATE, 600).await;
    let other = stage.another_server().await;
    let lines = [Line::of(&stage.server).await, Line::of(&other).await];
    let tokens = join_in_turn(&lines, &holders(4)).await;
    let waiters = stream_all(&lines, &tokens[..3]).await;
    change(&other, "waiting_room", |event| event.set_waiting_room(WaitingRoom::Off)).await;
    assert_eq!(all_let_in(waiters).await, 3);
    // Who has not streamed, too.
    lines[0].stream(&tokens[3]).await.unwrap().let_in().await.unwrap();
    for line in &lines {
        let told = code_and_reason(line.join("late").await);
        assert_eq!(told, (Code::FailedPrecondition, "NO_WAITING_ROOM".into()));
    }
    open(&stage.server).await;
    stage.server.hold(hold_request("anybody", &["A-1"])).await.unwrap();

    // It is opened anew: nobody of before waits in it.
    change(&other, "waiting_room", |event| event.set_waiting_room(RATE)).await;
    let (_, position) = lines[0].join("first").await.unwrap();
    assert_eq!((position.ahead, position.waiting), (0, 1));
    let told = code_and_reason(stage.server.hold(hold_request("first", &["A-2"])).await);
    assert_eq!(told, (Code::FailedPrecondition, "ADMISSION_REQUIRED".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn works_on_a_cluster() {
    let redis = Cluster::start().await;
    let stores = Stores { redis_url: redis.url(), ..Stores::new().await };
    let server = Server::start(&stores).await;
    let mut house = small_event(EVENT);
    house.event.as_mut().unwrap().set_waiting_room(WaitingRoom::Inventory);
    server.create_event(house).await.unwrap();
    let line = Line::of(&server).await;
    let mut request = hold_request("ann", &["A-1"]);
    request.admission_token = line.let_in("ann").await.admission_token;
    server.hold(request).await.unwrap();
    let (gone, _) = line.join("bob").await.unwrap();
    line.leave(&gone).await.unwrap();
    change(&server, "waiting_room", |event| event.set_waiting_room(WaitingRoom::Off)).await;
    let told = code_and_reason(line.join("bob").await);
    assert_eq!(told, (Code::FailedPrecondition, "NO_WAITING_ROOM".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn says_no() {
    let stage = Stage::new().await;
    let line = Line::of(&stage.server).await;
    let other = small_event("other");
    stage.server.create_event(other).await.unwrap();
    let no = |told: Result<(), Status>| code_and_reason(told);
    let join = async |event_id: &str| no(line.join_at(event_id, "ann").await.map(drop));
    assert_eq!(join(EVENT).await, (Code::FailedPrecondition, "NO_WAITING_ROOM".into()));
    assert_eq!(join("nowhere").await, (Code::NotFound, "EVENT_NOT_FOUND".into()));
    assert_eq!(join("a{b}").await, (Code::InvalidArgument, "INVALID_FIELD".into()));

    change(&stage.server, "waiting_room", |event| event.set_waiting_room(RATE)).await;
    change(&stage.server, "state", |event| event.set_state(EventState::Paused)).await;
    let (token, position) = line.join("ann").await.unwrap();
    assert_eq!(position.estimated_wait, None, "nobody is let in while it is paused");
    let forged = forged(&token);
    let long = "x".repeat(257);
    for (token, code) in [(&forged, Code::NotFound), (&long, Code::InvalidArgument)] {
        assert_eq!(no(line.stream(token).await.map(drop)).0, code);
        assert_eq!(no(line.leave(token).await).0, code);
    }
}

/// In another life of Redis that has lost nothing, and after the room was closed.
#[tokio::test(flavor = "multi_thread")]
async fn who_came_in_or_went_does_not_come_again_by_an_old_token() {
    let stage = stage(RATE, 6_000).await;
    let line = Line::of(&stage.server).await;
    let all = holders(3);
    let tokens = join_in_turn(std::slice::from_ref(&line), &all).await;
    line.leave(&tokens[1]).await.unwrap();
    let mut room = Room::of(&stage.stores).await;
    let () = room.0.hset(Room::key("queue"), "incarnation", "another").await.unwrap();
    let told = code_and_reason(line.stream(&tokens[1]).await.map(drop));
    assert_eq!(told, (Code::NotFound, "PLACE_NOT_FOUND".into()));
    line.stream(&tokens[2]).await.unwrap().until_ahead(1).await;

    change(&stage.server, "waiting_room", |event| event.set_waiting_room(WaitingRoom::Off)).await;
    change(&stage.server, "waiting_room", |event| event.set_waiting_room(RATE)).await;
    let (_, position) = line.join("new").await.unwrap();
    assert_eq!(position.ahead, 0);
    for token in &tokens {
        let told = code_and_reason(line.stream(token).await.map(drop));
        assert_eq!(told, (Code::NotFound, "PLACE_NOT_FOUND".into()));
    }
}

/// More are due at once than one call lets in, and nobody waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_fast_room_that_is_empty_holds_nobody_up() {
    let stage = stage(RATE, 600_000).await;
    open(&stage.server).await;
    let line = Line::of(&stage.server).await;
    for holder in holders(3) {
        line.let_in(&holder).await;
        let rename = change(&stage.server, "name", |event| event.name = holder.clone());
        timeout(Duration::from_secs(20), rename).await.expect("an answer");
    }
}

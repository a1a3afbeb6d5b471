//! StreamSeatUpdates: every change once, in order, wherever it is read.

use std::time::Duration;

use futures_util::future::join_all;
use holdfast::{
    limits::LOG_PAGE,
    proto::{SeatStatus, stream_seat_updates_response::Message},
};
use tokio::time::{interval, timeout};
use tonic::Code;

use crate::support::{EVENT, Stage, Watcher, code_and_reason, eventually, floor, hold_request};

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_then_every_change() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let sold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    server.confirm(&sold, "pay-1").await.unwrap();

    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    assert_eq!(watcher.house, server.house().await);
    assert_eq!(watcher.house.seats["A-1"], SeatStatus::Sold);

    let mut request = hold_request("ann", &["A-2", "A-3"]);
    request.areas = floor(4);
    let hold = server.hold(request).await.unwrap();
    server.release(&hold, &["A-3"], floor(1)).await.unwrap();
    server.confirm(&hold, "pay-2").await.unwrap();
    watcher.until("all changes", |w| w.changes.len() == 4).await;
    let changes: Vec<_> = watcher.changes.iter().map(|(seat, s)| (seat.as_str(), *s)).collect();
    assert_eq!(
        changes,
        [
            ("A-2", SeatStatus::Held),
            ("A-3", SeatStatus::Held),
            ("A-3", SeatStatus::Available),
            ("A-2", SeatStatus::Sold),
        ]
    );
    assert_eq!(watcher.house.areas["floor"], 97);
    assert_eq!(watcher.snapshots, 1);
}

/// What happens to the house while streams are cut: hold, give a part back,
/// sell or give the rest back.
async fn rush(stage: &Stage, rounds: usize) {
    let workers = (0..10).map(|worker: u8| async move {
        let row = char::from(b'A' + worker);
        for round in 0..rounds {
            let seats = [1, 2, 3].map(|n| format!("{row}-{}", (round + n) % 10 + 1));
            let mut request =
                hold_request(&format!("holder-{worker}"), &seats.each_ref().map(String::as_str));
            request.areas = floor(1);
            let Ok(hold) = stage.server.hold(request).await else { continue };
            stage.server.release(&hold, &[&seats[0]], vec![]).await.unwrap();
            match round % 20 {
                19 => drop(stage.server.confirm(&hold, &hold.hold_id).await.unwrap()),
                _ => drop(stage.server.release(&hold, &[], vec![]).await.unwrap()),
            }
        }
    });
    join_all(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_and_resumed_under_load_at_two_servers_no_change_is_missed() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let mut whole = stage.server.watch(EVENT, "").await;
    whole.snapshot().await;
    let mut cut = other.watch(EVENT, "").await;
    cut.snapshot().await;
    assert_eq!(cut.token, whole.token, "both begin at the same point");

    let cutting = async {
        for i in 0..50 {
            cut.next().await.unwrap();
            let server = if i % 2 == 0 { &stage.server } else { &other };
            cut.resume_at(server.reservations.clone()).await;
        }
    };
    tokio::join!(rush(&stage, 100), cutting);

    let house = stage.server.house().await;
    let last = stage.server.get_seat_map(EVENT).await.unwrap().resume_token;
    for watcher in [&mut whole, &mut cut] {
        watcher.until("the end", |w| w.token == last).await;
        assert_eq!(watcher.snapshots, 1, "resumed, not begun anew");
        assert_eq!(watcher.house, house);
    }
    assert!(whole.changes.len() > 1_000, "there was something to miss");
    assert_eq!(cut.changes, whole.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_house_comes_in_parts() {
    let stage = Stage::empty().await;
    let plan = include_str!("../../examples/houses/arena.toml");
    stage.server.create_event(holdfast::dev::house::draw(plan).unwrap()).await.unwrap();
    let mut watcher = stage.server.watch("arena", "").await;
    let mut parts = 0;
    loop {
        let Some(Message::Snapshot(part)) = watcher.next().await.unwrap() else {
            panic!("the snapshot comes first");
        };
        parts += 1;
        if part.last {
            break;
        }
    }
    assert_eq!(parts, 11);
    assert_eq!(watcher.house.count(SeatStatus::Available), 20_160);
    assert_eq!(watcher.house.areas["pit"], 1_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_falls_behind_gets_a_snapshot() {
    let stage = Stage::new().await;
    let mut slow = stage.server.watch(EVENT, "").await;
    slow.snapshot().await;
    let first = slow.token.clone();
    // More changes than a node keeps, each of one entry: its token is too old.
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let workers = (0..16).map(|_| async {
        for _ in 0..=holdfast::limits::FEED_HISTORY_ENTRIES / 16 {
            stage.server.extend_hold(&hold, 600_000).await.unwrap();
        }
    });
    join_all(workers).await;
    stage.server.house().await; // The node has seen them all.
    let mut resumed = stage.server.watch(EVENT, &first).await;
    resumed.snapshot().await;
    assert_eq!(resumed.house.seats["A-1"], SeatStatus::Held);
    // It goes on from there without a gap.
    stage.server.confirm(&hold, "pay-1").await.unwrap();
    resumed.until("the sale", |w| w.house.seats["A-1"] == SeatStatus::Sold).await;
    assert_eq!(resumed.snapshots, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_later_resumes_over_many_pages_of_the_log() {
    let stage = Stage::new().await;
    let mut early = stage.server.watch(EVENT, "").await;
    early.snapshot().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    // Each of one entry, which is seen on no seat.
    let workers = (0..16).map(|_| async {
        for _ in 0..=2 * LOG_PAGE / 16 {
            stage.server.extend_hold(&hold, 600_000).await.unwrap();
        }
    });
    join_all(workers).await;
    stage.server.confirm(&hold, "pay-1").await.unwrap();

    let late = stage.another_server().await;
    let mut resumed = late.watch(EVENT, &early.token).await;
    resumed.until("the sale", |w| w.changes.len() == 2).await;
    assert_eq!(resumed.snapshots, 0, "no entry between two pages was missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_event_are_refused() {
    let stage = Stage::new().await;
    stage.server.create_event(crate::support::small_event("other")).await.unwrap();
    let map = stage.server.get_seat_map("other").await.unwrap();
    for token in [map.resume_token.as_str(), "1-0", "rubbish"] {
        let opened = Watcher::open(stage.server.reservations.clone(), EVENT, token).await;
        let told = code_and_reason(opened.map(|_| ()));
        assert_eq!(told, (Code::InvalidArgument, "INVALID_FIELD".into()));
    }
    let opened = Watcher::open(stage.server.reservations.clone(), "elsewhere", "").await;
    assert_eq!(code_and_reason(opened.map(|_| ())), (Code::NotFound, "EVENT_NOT_FOUND".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_broken_by_heartbeats() {
    let stage = Stage::new().await;
    let mut watcher = stage.server.watch(EVENT, "").await;
    watcher.snapshot().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    watcher.until("the hold", |w| !w.changes.is_empty()).await;
    // What shows on no seat is silence, too.
    let extend = async || {
        let mut pace = interval(Duration::from_secs(1));
        loop {
            pace.tick().await;
            stage.server.extend_hold(&hold, 900_000).await.unwrap();
        }
    };
    let limit = holdfast::limits::FEED_HEARTBEAT * 2;
    let message = tokio::select! {
        message = timeout(limit, watcher.next()) => message.expect("in time").unwrap(),
        () = extend() => unreachable!(),
    };
    assert!(matches!(message, Some(Message::Heartbeat(_))), "{message:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_says_where_to_resume() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let mut watcher = other.watch(EVENT, "").await;
    watcher.snapshot().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    watcher.until("the hold", |w| !w.changes.is_empty()).await;

    let stopped = tokio::spawn(other.app.stop());
    let ended = timeout(Duration::from_secs(5), watcher.next()).await.expect("at once");
    assert_eq!(code_and_reason(ended), (Code::Unavailable, "SERVER_DRAINING".into()));
    timeout(Duration::from_secs(10), stopped).await.expect("in time").unwrap();

    watcher.resume_at(stage.server.reservations.clone()).await;
    stage.server.confirm(&hold, "pay-1").await.unwrap();
    watcher.until("the sale", |w| w.house.seats["A-1"] == SeatStatus::Sold).await;
    assert_eq!(watcher.changes.len(), 2);
    assert_eq!(watcher.snapshots, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_and_areas_that_are_added_appear() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let mut watcher = other.watch(EVENT, "").await;
    watcher.snapshot().await;
    let add = holdfast::proto::AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: "balcony".into(),
        section_name: "Balcony".into(),
        rows: vec![holdfast::proto::Row {
            row_id: "1".into(),
            seats: vec![crate::support::seat("balcony:1"), crate::support::seat("balcony:2")],
        }],
    };
    stage.server.catalog.clone().add_seats(add).await.unwrap();
    let areas = vec![holdfast::proto::Area {
        area_id: "pit".into(),
        name: String::new(),
        capacity: 7,
        price_category_id: "floor".into(),
        ..Default::default()
    }];
    let add = holdfast::proto::AddAreasRequest { event_id: EVENT.into(), areas };
    stage.server.catalog.clone().add_areas(add).await.unwrap();
    watcher.until("the new area", |w| w.house.areas.get("pit") == Some(&7)).await;
    assert_eq!(watcher.house.seats["balcony:2"], SeatStatus::Available);
    assert_eq!(watcher.snapshots, 1);
    eventually("both servers show the same", async || {
        (stage.server.house().await == other.house().await).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_at_once_comes_in_parts() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    let begun_at = watcher.token.clone();
    let row = |r: usize| holdfast::proto::Row {
        row_id: r.to_string(),
        seats: (0..1_000).map(|n| crate::support::seat(&format!("{r}:{n}"))).collect(),
    };
    let add = holdfast::proto::AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: "balcony".into(),
        section_name: String::new(),
        rows: (0..5).map(row).collect(),
    };
    server.catalog.clone().add_seats(add).await.unwrap();

    // One change of 5,000 seats, which can only be resumed from its end.
    for (seats, token) in [(2_000, false), (2_000, false), (1_000, true)] {
        let told = watcher.changes.len();
        assert!(matches!(watcher.next().await.unwrap(), Some(Message::Updates(_))));
        assert_eq!(watcher.changes.len() - told, seats);
        assert_eq!(watcher.token != begun_at, token);
    }
    // Many changes of some seats.
    let resumed_at = watcher.token.clone();
    for r in 0..5 {
        let ids: Vec<String> = (0..1_000).map(|n| format!("{r}:{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for some in ids.chunks(50) {
            server.hold(hold_request("ann", some)).await.unwrap();
        }
    }
    let mut late = server.watch(EVENT, &resumed_at).await;
    while late.changes.len() < 5_000 {
        let before = late.token.clone();
        late.next().await.unwrap();
        assert_ne!(late.token, before, "each can be resumed from");
    }
    assert_eq!((late.changes.len(), late.snapshots), (5_000, 0));
}

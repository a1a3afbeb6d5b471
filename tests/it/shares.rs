//! AllocateArea: units move between an area and its shares, and none is sold twice.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use holdfast::{
    domain::{AreaIndex, Epoch, EventId, ShareRequest},
    holds::{Holds, Reply, WithdrawArgs, WithdrawReply},
    ledger::{Ledger, Settings, SharePlan},
    proto::{
        AddAreasRequest, AllocateAreaRequest, Allocation, Area, AreaQuantity, GetEventRequest,
        HoldRequest,
    },
};
use redis::AsyncCommands;
use tokio::time::sleep;
use tonic::{Code, Status};

use crate::{
    audit::{assert_told, audit},
    channels::{channels, free},
    support::{
        EVENT, Server, Stage, code_and_reason, eventually, hold_request, refusal, small_event,
    },
};

fn share(share_area_id: &str, quantity: i32) -> AllocateAreaRequest {
    AllocateAreaRequest {
        event_id: EVENT.into(),
        channel: "club".into(),
        area_id: "floor".into(),
        share_area_id: share_area_id.into(),
        name: String::new(),
        quantity,
        actor: "ann".into(),
        reason: "for the club".into(),
    }
}

async fn allocate(server: &Server, request: AllocateAreaRequest) -> Result<Allocation, Status> {
    let answer = channels(server).await.allocate_area(request).await?;
    Ok(answer.into_inner().allocation.unwrap())
}

fn units(holder: &str, area_id: &str, quantity: i32) -> HoldRequest {
    HoldRequest {
        areas: vec![AreaQuantity { area_id: area_id.into(), quantity }],
        channels: vec!["club".into()],
        ..hold_request(holder, &[])
    }
}

/// Available and capacity of the areas, in chart order.
async fn told(server: &Server) -> Vec<(String, i32, i32)> {
    let map = server.get_seat_map(EVENT).await.unwrap();
    map.areas.into_iter().map(|area| (area.area_id, area.available, area.capacity)).collect()
}

fn areas(of: &[(&str, i32, i32)]) -> Vec<(String, i32, i32)> {
    of.iter().map(|&(id, free, all)| (id.to_owned(), free, all)).collect()
}

async fn the_audit_is_empty(stage: &Stage) {
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{said}");
}

/// The event's epoch and revision.
async fn epoch_and_revision(stage: &Stage) -> (Epoch, u64) {
    let postgres = stage.stores.postgres().await;
    let sql = "SELECT epoch, revision FROM events WHERE event_id = $1";
    let row = postgres.query_one(sql, &[&EVENT]).await.unwrap();
    (Epoch(row.get::<_, i64>(0) as u64), row.get::<_, i64>(1) as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_an_area_of_its_own() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, stage.another_server().await);
    let mut watcher = other.watch(EVENT, "").await;
    watcher.snapshot().await;
    server.hold(units("ann", "floor", 30)).await.unwrap();
    for _ in 0..2 {
        // Said again, it changes nothing.
        let kept = allocate(server, share("fans", 40)).await.unwrap();
        assert_eq!((&*kept.channel, kept.areas.len()), ("club", 1));
        assert_eq!((&*kept.areas[0].area_id, &*kept.areas[0].share_of), ("fans", "floor"));
        assert_eq!(kept.areas[0].capacity, 40);
        assert_eq!(told(&other).await, areas(&[("floor", 30, 60), ("fans", 40, 40)]));
    }
    watcher.until("the share", |w| w.house.areas.get("fans") == Some(&40)).await;
    assert_eq!(watcher.house.areas["floor"], 30);

    // Its units need the key, and cost what the area's cost.
    let mut keyless = units("bob", "fans", 2);
    keyless.channels.clear();
    let refused = refusal(other.hold(keyless.clone()).await);
    assert_eq!(
        (&*refused.reason, &*refused.subjects),
        ("CHANNEL_REQUIRED", &["AREA_RESERVED fans".to_owned()][..])
    );
    let hold = other.hold(units("bob", "fans", 2)).await.unwrap();
    let order = server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(order.total.unwrap().units, 24);
    let request = GetEventRequest { event_id: EVENT.into() };
    let chart = other.catalog.clone().get_event(request).await.unwrap().into_inner().chart.unwrap();
    assert_eq!((chart.areas[1].reserved, &*chart.areas[1].share_of), (true, "floor"));
    assert_eq!((chart.areas[1].capacity, &*chart.areas[1].name), (40, "fans"));

    // It shrinks by what is free, and no further; and grows again.
    let refused = refusal(allocate(&other, share("fans", 1)).await);
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::FailedPrecondition, "INSUFFICIENT_CAPACITY")
    );
    assert_eq!(refused.subjects, ["AREA_CAPACITY fans"]);
    allocate(&other, share("fans", 2)).await.unwrap();
    assert_eq!(told(server).await, areas(&[("floor", 68, 98), ("fans", 0, 2)]));
    allocate(server, share("fans", 70)).await.unwrap();
    assert_eq!(told(server).await, areas(&[("floor", 0, 30), ("fans", 68, 70)]));
    let refused = refusal(allocate(server, share("fans", 71)).await);
    assert_eq!(refused.subjects, ["AREA_CAPACITY floor"], "what is held is not free");

    // Freed, it stays an area.
    free(server, &[], &["fans", "floor"]).await.unwrap();
    other.hold(keyless).await.unwrap();
    assert_eq!(told(server).await, areas(&[("floor", 0, 30), ("fans", 66, 70)]));
    the_audit_is_empty(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_share() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let pit = Area {
        area_id: "pit".into(),
        capacity: 20,
        price_category_id: "floor".into(),
        ..Area::default()
    };
    let grow = async |areas: Vec<Area>| {
        let request = AddAreasRequest { event_id: EVENT.into(), areas };
        let grown = server.catalog.clone().add_areas(request).await?;
        Ok::<_, Status>(grown.into_inner().areas)
    };
    grow(vec![pit.clone()]).await.unwrap();
    allocate(server, share("fans", 10)).await.unwrap();
    let reused = (Code::AlreadyExists, "AREA_ID_REUSED".to_owned());
    for (area, share_id) in [("floor", "pit"), ("floor", "floor"), ("pit", "fans")] {
        let request = AllocateAreaRequest { area_id: area.into(), ..share(share_id, 5) };
        assert_eq!(code_and_reason(allocate(server, request).await), reused, "{area} {share_id}");
    }
    let request = AllocateAreaRequest { area_id: "fans".into(), ..share("more", 5) };
    assert_eq!(refusal(allocate(server, request).await).subjects, ["area_id"]);
    let request = AllocateAreaRequest { area_id: "attic".into(), ..share("more", 5) };
    let not_found = (Code::NotFound, "AREA_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(allocate(server, request).await), not_found);
    let refused = refusal(allocate(server, share("more", 101)).await);
    assert_eq!(refused.reason, "INSUFFICIENT_CAPACITY");

    // An area with its shares is as large as it was: adding it again changes nothing.
    let whole = small_event(EVENT).chart.unwrap().areas;
    assert_eq!(grow(whole.clone()).await.unwrap()[0].capacity, 90);
    let larger = Area { capacity: 110, ..whole[0].clone() };
    assert_eq!(grow(vec![larger]).await.unwrap()[0].capacity, 100);
    assert_eq!(code_and_reason(grow(whole).await), reused, "smaller than they are");
    let as_share = |capacity| Area { area_id: "fans".into(), capacity, ..pit.clone() };
    assert_eq!(grow(vec![as_share(10)]).await.unwrap()[0].capacity, 10);
    assert_eq!(code_and_reason(grow(vec![as_share(11)]).await), reused);
}

/// Looks on for good: no area ever has fewer than no units free.
async fn never_below_zero(stage: &Stage) {
    let mut redis = stage.stores.redis().await;
    loop {
        let counters: HashMap<String, String> = redis.hgetall("hf:{event}:areas").await.unwrap();
        for (name, count) in counters {
            assert!(count.is_empty() || count.parse::<i64>().unwrap() >= 0, "{name} is {count}");
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Two servers, holds of both areas and moves in both ways at the same time.
async fn moved_under_load(stage: &Stage, is_healthy: bool, meanwhile: impl Future<Output = ()>) {
    let (server, other) = (&stage.server, &stage.another_server().await);
    allocate(server, share("fans", 50)).await.unwrap();
    // Step by step: else the holds may take all there is before anything is moved.
    let load = async {
        let (mut moved, mut held) = (0, 0);
        let steps = [[20, 70], [60, 30], [35, 50], [80, 15], [10, 90], [50, 40]];
        for (step, [here, there]) in steps.into_iter().enumerate() {
            let moves = join_all([(server, here), (other, there)].map(async |(at, quantity)| {
                match allocate(at, share("fans", quantity)).await {
                    Ok(_) => true,
                    Err(status) => {
                        let told = refusal(Err::<(), _>(status)).reason;
                        assert!(told == "INSUFFICIENT_CAPACITY" || !is_healthy, "{told}");
                        false
                    }
                }
            }));
            let holds = join_all((34 * step..34 * (step + 1)).map(async |n| {
                let at = if n.is_multiple_of(2) { server } else { other };
                let area = if n.is_multiple_of(3) { "fans" } else { "floor" };
                let hold = at.hold(units(&format!("holder-{n}"), area, 1)).await.ok()?;
                match n % 4 {
                    0 => at.release(&hold, &[], vec![]).await.ok().map(drop),
                    1 => at.confirm(&hold, &format!("pay-{n}")).await.ok().map(drop),
                    _ => Some(()),
                }
            }));
            let (these_moved, these_held) = tokio::join!(moves, holds);
            moved += these_moved.into_iter().filter(|is_moved| *is_moved).count();
            held += these_held.into_iter().flatten().count();
        }
        (moved, held)
    };
    let (moved, held) = tokio::select! {
        (load, ()) = async { tokio::join!(load, meanwhile) } => load,
        () = never_below_zero(stage) => unreachable!("it looks on for good"),
    };
    assert!(held > 40 && moved > 1, "only {held} holds and {moved} moves came through");
    // Whatever was begun and not ended is brought to its end by the next.
    eventually("a move", async || {
        let quantity = told(server).await[1].2;
        allocate(server, share("fans", quantity)).await.ok()
    })
    .await;
    let sum: i32 = told(server).await.iter().map(|area| area.2).sum();
    assert_eq!(sum, 100);
    the_audit_is_empty(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_while_both_are_held() {
    let stage = Stage::new().await;
    moved_under_load(&stage, true, async {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_while_redis_is_lost() {
    let stage = Stage::new().await;
    moved_under_load(&stage, false, async {
        for _ in 0..3 {
            // Some of the moves and holds have come through by then.
            eventually("it is loaded", async || stage.server.get_seat_map(EVENT).await.ok()).await;
            let mut redis = stage.stores.redis().await;
            let _: () = redis::cmd("FLUSHDB").query_async(&mut redis).await.unwrap();
        }
    })
    .await;
}

/// A server that goes away between Redis and Postgres.
async fn withdraw(stage: &Stage, capacity: u32) -> WithdrawReply {
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let (epoch, revision) = epoch_and_revision(stage).await;
    let args = WithdrawArgs { revision, area: AreaIndex(0), capacity };
    match holds.withdraw_units(&event_id, epoch, args).await.unwrap() {
        Reply::Done(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_for_nothing_comes_back() {
    let stage = Stage::new().await;
    let server = &stage.server;
    // Whoever moves units at the same revision finds them as they were.
    assert!(matches!(withdraw(&stage, 60).await, WithdrawReply::Withdrawn));
    assert!(matches!(withdraw(&stage, 60).await, WithdrawReply::Withdrawn), "done once");
    assert_eq!(told(server).await, areas(&[("floor", 60, 60)]));
    allocate(server, share("fans", 10)).await.unwrap();
    assert_eq!(told(server).await, areas(&[("floor", 90, 90), ("fans", 10, 10)]));
    // So does the next change of the event.
    withdraw(&stage, 60).await;
    assert_eq!(told(server).await[0].1, 60);
    let event = small_event(EVENT).event.unwrap();
    server.update_event(event, &["name"]).await.unwrap();
    assert_eq!(told(server).await[0].1, 90);
    // And the note that was left in the outbox.
    withdraw(&stage, 60).await;
    let (_, before) = epoch_and_revision(&stage).await;
    let postgres = stage.stores.postgres().await;
    let sql = "INSERT INTO outbox (kind, event_id, lease_until) VALUES ('event', $1, now())";
    postgres.execute(sql, &[&EVENT]).await.unwrap();
    eventually("they come back", async || (told(server).await[0].1 == 90).then_some(())).await;
    // What was about to be moved then cannot be any more.
    assert_eq!(epoch_and_revision(&stage).await.1, before + 1);
    the_audit_is_empty(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_tells_what_was_withdrawn_for_nothing() {
    let stage = Stage::new().await;
    withdraw(&stage, 60).await;
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_ne!(code, 0);
    assert_told(&said, &["floor"]);
    let (_, said) = audit(&stage.stores, &["--repair"]).await;
    assert_eq!(told(&stage.server).await[0].1, 100, "{said}");
    the_audit_is_empty(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_change_has_passed_is_not_moved() {
    let stage = Stage::new().await;
    let url = stage.stores.settings().postgres_url;
    let ledger = Ledger::new(&Settings { url, pool_size: 1 }).unwrap();
    let request = ShareRequest {
        event_id: EVENT.parse().unwrap(),
        channel: "club".parse().unwrap(),
        area_id: "floor".parse().unwrap(),
        share_area_id: "fans".parse().unwrap(),
        name: "fans".into(),
        quantity: 10,
        actor: "ann".into(),
        reason: "for the club".into(),
    };
    let plan = async || match ledger.plan_share(&request).await.unwrap() {
        SharePlan::Move(units) => units,
        SharePlan::Nothing => panic!("there is no share yet"),
    };
    // What was withdrawn came back with the other change, or the other epoch.
    let planned = plan().await;
    let (epoch, _) = epoch_and_revision(&stage).await;
    let event = small_event(EVENT).event.unwrap();
    stage.server.update_event(event, &["name"]).await.unwrap();
    assert_eq!(ledger.move_units(&request, &planned, epoch).await.unwrap(), None);
    let (planned, another) = (plan().await, Epoch(epoch.0 + 1));
    assert_eq!(ledger.move_units(&request, &planned, another).await.unwrap(), None);
    assert_eq!(told(&stage.server).await, areas(&[("floor", 100, 100)]));
    assert!(ledger.move_units(&request, &planned, epoch).await.unwrap().is_some());
}

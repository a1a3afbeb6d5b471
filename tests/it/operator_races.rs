//! What operators do to holds, at the same moment as others do something else to them.

use futures_util::future::join_all;
use holdfast::{
    domain::{Epoch, EventId, HoldId, Items},
    holds::{Holds, ReleaseReply, Reply},
    proto::{HoldState, SeatStatus},
};

use crate::{
    change_hold::{change, to},
    operator::{force_extend, force_release, no, nothing_differs, reassign},
    support::{EVENT, Stage, code_and_reason, eventually, hold_request, ms, refusal},
};

#[tokio::test(flavor = "multi_thread")]
async fn against_confirm_and_release_one_of_them_wins() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, &stage.another_server().await);
    let (mut sold, mut released, mut given) = (0, 0, 0);
    for row in 'A'..='J' {
        let mut holds = Vec::new();
        for n in 1..=3 {
            let seat = format!("{row}-{n}");
            holds.push(server.hold(hold_request("ann", &[&seat])).await.unwrap());
        }
        let pay = [1, 2].map(|n| format!("pay-{row}{n}"));
        let (confirmed, forced, bought, to_bob, back, to_cat) = tokio::join!(
            server.confirm(&holds[0], &pay[0]),
            force_release(other, &holds[0]),
            server.confirm(&holds[1], &pay[1]),
            reassign(other, &holds[1], "bob"),
            server.release(&holds[2], &[], vec![]),
            reassign(other, &holds[2], "cat"),
        );
        let is = async |n: usize| server.get_hold(EVENT, &holds[n].hold_id).await.unwrap();
        match (confirmed, forced) {
            (Ok(_), Err(status)) => {
                let reason = refusal(Err::<(), _>(status)).reason;
                assert!(["HOLD_CONFIRMING", "HOLD_CONFIRMED"].contains(&&*reason), "{reason}");
                assert_eq!(is(0).await.state(), HoldState::Confirmed);
                sold += 1;
            }
            (Err(status), Ok(_)) => {
                assert_eq!(refusal(Err::<(), _>(status)).reason, "HOLD_RELEASED");
                assert_eq!(is(0).await.state(), HoldState::Released);
                released += 1;
            }
            both => panic!("{both:?}"),
        }
        match (bought, to_bob) {
            (Ok(order), Err(_)) => assert_eq!(order.holder_id, "ann"),
            (Err(_), Ok(hold)) => {
                assert_eq!((&*hold.holder_id, is(1).await.state()), ("bob", HoldState::Active));
                given += 1;
            }
            both => panic!("{both:?}"),
        }
        let now = is(2).await;
        match (back, to_cat) {
            (Ok(_), Err(status)) => {
                assert_eq!(refusal(Err::<(), _>(status)).reason, "HOLD_RELEASED");
                assert_eq!((&*now.holder_id, now.state()), ("ann", HoldState::Released));
            }
            (Err(_), Ok(_)) => {
                assert_eq!((&*now.holder_id, now.state()), ("cat", HoldState::Active));
            }
            both => panic!("{both:?}"),
        }
    }
    assert_eq!(sold + released, 10, "{given} were given away first");
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_holder_gives_back_is_nobody_elses_meanwhile() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, &stage.another_server().await);
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    // Postgres is slow to write the outcome.
    let (mut writer, watcher) = (stage.stores.postgres().await, stage.stores.postgres().await);
    let slow = writer.transaction().await.unwrap();
    slow.batch_execute("LOCK TABLE hold_outcomes IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let waiting = async |count: i64| {
        let sql = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE d.datname = current_database() AND NOT l.granted
                AND l.relation = 'hold_outcomes'::regclass";
        let is = watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        (is == count).then_some(())
    };
    let reassigned = async {
        eventually("the release waits", async || waiting(1).await).await;
        let (told, ()) = tokio::join!(reassign(other, &hold, "bob"), async {
            eventually("the other one, too", async || waiting(2).await).await;
            slow.commit().await.unwrap();
        });
        told
    };
    let (released, told) = tokio::join!(server.release(&hold, &[], vec![]), reassigned);
    assert_eq!(code_and_reason(told), no("HOLD_RELEASED"));
    assert_eq!(released.unwrap().state(), HoldState::Released);
    let now = server.get_hold(EVENT, &hold.hold_id).await.unwrap();
    assert_eq!((&*now.holder_id, now.state()), ("ann", HoldState::Released));
    nothing_differs(&stage).await;
}

/// By a server that goes no further than the script.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_not_finished_is_finished_by_whoever_comes() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let begun = async |seat: &str| {
        let hold = server.hold(hold_request("ann", &[seat])).await.unwrap();
        let (hold_id, holder) = (hold.hold_id.parse().unwrap(), hold.holder_id.parse().unwrap());
        let (all, hold_id) = (Items::default(), HoldId(hold_id));
        let told = holds.release(&event_id, Epoch(1), hold_id, &holder, &all).await;
        assert!(matches!(told.unwrap(), Reply::Done(ReleaseReply::Whole(_))));
        hold
    };
    let hold = begun("A-1").await;
    assert_eq!(server.release(&hold, &[], vec![]).await.unwrap().state(), HoldState::Released);
    let hold = begun("A-1").await;
    for holder in ["bob", "cat"] {
        assert_eq!(code_and_reason(reassign(server, &hold, holder).await), no("HOLD_RELEASED"));
    }
    let hold = begun("A-1").await;
    let told = code_and_reason(change(server, to(&hold, ["B-1"], vec![])).await);
    assert_eq!(told, no("HOLD_RELEASED"));
    let hold = begun("A-1").await;
    server.expire(&hold).await;
    let hold = begun("A-1").await;
    server.confirm(&hold, "pay-1").await.unwrap();
    assert_eq!(server.house().await.count(SeatStatus::Available), 99);
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn against_expiry_and_each_other() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, &stage.another_server().await);
    let mut holds = Vec::new();
    for row in 'A'..='J' {
        let mut request = hold_request("ann", &[&format!("{row}-1")]);
        request.ttl = ms(300);
        holds.push(server.hold(request).await.unwrap());
    }
    join_all(holds.iter().map(|hold| async {
        // Again and again, until one comes too late or all are done.
        for n in 0..8 {
            let at = if n % 2 == 0 { server } else { other };
            let (to, none) = tokio::join!(
                reassign(at, hold, if n % 2 == 0 { "bob" } else { "cat" }),
                reassign(other, hold, "dan"),
            );
            match (to, none) {
                (Ok(_), Ok(_)) => {}
                (Err(status), _) | (_, Err(status)) => {
                    assert_eq!(refusal(Err::<(), _>(status)).reason, "HOLD_EXPIRED");
                    return;
                }
            }
        }
    }))
    .await;
    eventually("all run out", async || {
        let house = server.house().await;
        (house.count(SeatStatus::Available) == 100).then_some(())
    })
    .await;
    for hold in &holds {
        assert_eq!(code_and_reason(force_extend(other, hold, 5_000).await), no("HOLD_EXPIRED"));
    }
    nothing_differs(&stage).await;
}

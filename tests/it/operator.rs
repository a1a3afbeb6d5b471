//! OperatorService: what operators do to holds by hand, and the record of it.

use holdfast::{
    domain::{EventId, HoldId, HolderId},
    holds::{Holds, ReassignReply, Reply},
    proto::{
        ForceExtendHoldRequest, ForceReleaseHoldRequest, Hold, HoldDurability, HoldState,
        ListOperatorActionsRequest, OperatorAction, OperatorActionKind, ReassignHoldRequest,
        SeatStatus, operator_service_client::OperatorServiceClient,
    },
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    audit::audit,
    support::{
        EVENT, Server, Stage, code_and_reason, eventually, floor, hold_request, ms, refusal,
        small_event,
    },
};

pub async fn operators(server: &Server) -> OperatorServiceClient<Channel> {
    let url = format!("http://{}", server.app.grpc_addr);
    OperatorServiceClient::connect(url).await.unwrap()
}

pub async fn force_release(server: &Server, hold: &Hold) -> Result<Hold, Status> {
    let request = ForceReleaseHoldRequest {
        event_id: hold.event_id.clone(),
        hold_id: hold.hold_id.clone(),
        actor: "olga".into(),
        reason: "a bot".into(),
    };
    let answer = operators(server).await.force_release_hold(request).await?;
    Ok(answer.into_inner().hold.unwrap())
}

pub async fn force_extend(server: &Server, hold: &Hold, ttl_ms: u64) -> Result<Hold, Status> {
    let request = ForceExtendHoldRequest {
        event_id: hold.event_id.clone(),
        hold_id: hold.hold_id.clone(),
        ttl: ms(ttl_ms),
        actor: "olga".into(),
        reason: "on the phone".into(),
    };
    let answer = operators(server).await.force_extend_hold(request).await?;
    Ok(answer.into_inner().hold.unwrap())
}

pub async fn reassign(server: &Server, hold: &Hold, to: &str) -> Result<Hold, Status> {
    let request = ReassignHoldRequest {
        event_id: hold.event_id.clone(),
        hold_id: hold.hold_id.clone(),
        holder_id: to.into(),
        actor: "olga".into(),
        reason: "other account".into(),
    };
    let answer = operators(server).await.reassign_hold(request).await?;
    Ok(answer.into_inner().hold.unwrap())
}

/// The record, the latest first.
pub async fn actions(server: &Server) -> Vec<OperatorAction> {
    let request = ListOperatorActionsRequest { event_id: EVENT.into(), ..Default::default() };
    operators(server).await.list_operator_actions(request).await.unwrap().into_inner().actions
}

async fn flush(stage: &Stage) {
    let _: () = redis::cmd("FLUSHDB").query_async(&mut stage.stores.redis().await).await.unwrap();
}

pub async fn nothing_differs(stage: &Stage) {
    let (code, said) = audit(&stage.stores, &["--event", EVENT]).await;
    assert_eq!(code, 0, "{said}");
}

pub fn no(reason: &str) -> (Code, String) {
    let code = match reason {
        "HOLD_NOT_FOUND" => Code::NotFound,
        "HOLD_ID_REUSED" => Code::AlreadyExists,
        _ => Code::FailedPrecondition,
    };
    (code, reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_released_whoevers_it_is() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, stage.another_server().await);
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(3);
    let hold = server.hold(request).await.unwrap();
    let mut watcher = other.watch(EVENT, "").await;
    watcher.snapshot().await;
    let expected = Hold { state: HoldState::Released.into(), ..hold.clone() };
    for server in [&other, server, &other] {
        assert_eq!(force_release(server, &hold).await.unwrap(), expected);
    }
    watcher.until("its seats are free", |w| w.house.seats["A-2"] == SeatStatus::Available).await;
    assert_eq!(server.house().await.areas["floor"], 100);
    let told = server.confirm(&hold, "pay-1").await;
    assert_eq!(code_and_reason(told), no("HOLD_RELEASED"));
    // What its holder gave back himself is no operator's doing.
    let own = server.hold(hold_request("bob", &["A-1"])).await.unwrap();
    server.release(&own, &[], vec![]).await.unwrap();
    force_release(server, &own).await.unwrap();
    let listed = actions(server).await;
    let [action] = &*listed else { panic!("{listed:?}") };
    assert_eq!((action.kind(), &action.hold_id), (OperatorActionKind::Release, &hold.hold_id));
    assert_eq!([&*action.holder_id, &action.actor, &action.reason], ["ann", "olga", "a bot"]);
    assert_eq!([&*action.new_holder_id, &action.caller], ["", ""]);
    assert_eq!(action.done_time, action.create_time);

    let sold = server.hold(hold_request("bob", &["B-1"])).await.unwrap();
    server.confirm(&sold, "pay-2").await.unwrap();
    assert_eq!(code_and_reason(force_release(server, &sold).await), no("HOLD_CONFIRMED"));
    let ordered = server.hold(hold_request("bob", &["C-1"])).await.unwrap();
    let order = server.create_order(&ordered).await.unwrap().order.unwrap();
    assert_eq!(code_and_reason(force_release(server, &ordered).await), no("ORDER_STATE"));
    assert_eq!(code_and_reason(reassign(server, &ordered, "cat").await), no("ORDER_STATE"));
    force_extend(server, &ordered, 3_600_000).await.unwrap();
    assert_eq!(code_and_reason(force_extend(server, &ordered, 1_800_000).await), no("ORDER_STATE"));
    server.cancel_order(&order.order_id).await.unwrap();
    let gone = server.hold(hold_request("bob", &["D-1"])).await.unwrap();
    server.expire(&gone).await;
    let unknown = Hold { hold_id: uuid::Uuid::now_v7().to_string(), ..gone.clone() };
    for (hold, reason) in [(&gone, "HOLD_EXPIRED"), (&unknown, "HOLD_NOT_FOUND")] {
        assert_eq!(code_and_reason(force_release(server, hold).await), no(reason));
        assert_eq!(code_and_reason(force_extend(server, hold, 5_000).await), no(reason));
        assert_eq!(code_and_reason(reassign(server, hold, "cat").await), no(reason));
    }
    let released = code_and_reason(force_extend(server, &hold, 5_000).await);
    assert_eq!(released, no("HOLD_RELEASED"));
    assert_eq!(actions(server).await.len(), 2, "what was refused is not on record");
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_lives_longer_than_its_event_allows() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, stage.another_server().await);
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let day = force_extend(&other, &hold, 86_400_000).await.unwrap();
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), day);
    let seconds = |hold: &Hold| hold.expire_time.unwrap().seconds;
    assert!(seconds(&day) - seconds(&hold) > 80_000, "{day:?}");
    // Said before anybody else is, whatever the event's holds do otherwise.
    flush(&stage).await;
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), day);
    let soon = force_extend(server, &hold, 1_000).await.unwrap();
    let listed = actions(&other).await;
    assert_eq!(listed.len(), 2);
    for (action, hold) in listed.iter().zip([&soon, &day]) {
        assert_eq!(action.kind(), OperatorActionKind::Extend);
        assert_eq!((action.expire_time, action.done_time.is_some()), (hold.expire_time, true));
    }
    eventually("it runs out", async || {
        let house = server.house().await;
        (house.seats["A-1"] == SeatStatus::Available).then_some(())
    })
    .await;
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_becomes_anothers_as_it_is() {
    let stage = Stage::new().await;
    let (server, other) = (&stage.server, stage.another_server().await);
    let mut event = small_event(EVENT).event.unwrap();
    event.max_units_per_holder = 3;
    server.update_event(event, &["max_units_per_holder"]).await.unwrap();
    let mut request = hold_request("ann", &["A-1", "A-2"]);
    request.areas = floor(1);
    let hold = server.hold(request.clone()).await.unwrap();
    server.hold(hold_request("bob", &["C-1"])).await.unwrap();
    let token = server.get_seat_map(EVENT).await.unwrap().resume_token;
    let bobs = Hold { holder_id: "bob".into(), ..hold.clone() };
    // Again, at any server, it is the same; and his limit does not count.
    for server in [&other, server, &other] {
        assert_eq!(reassign(server, &hold, "bob").await.unwrap(), bobs);
        assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), bobs);
    }
    let listed = actions(server).await;
    let [action] = &*listed else { panic!("{listed:?}") };
    assert_eq!(action.kind(), OperatorActionKind::Reassign);
    assert_eq!([&*action.holder_id, &action.new_holder_id], ["ann", "bob"]);
    assert!(action.done_time.is_some());

    // Ann has nothing any more, and her limit is free.
    for told in [
        server.confirm(&hold, "pay-1").await.map(drop),
        other.release(&hold, &[], vec![]).await.map(drop),
        server.extend_hold(&hold, 5_000).await.map(drop),
    ] {
        assert_eq!(code_and_reason(told), no("HOLD_NOT_FOUND"));
    }
    assert_eq!(code_and_reason(server.hold(request.clone()).await), no("HOLD_ID_REUSED"));
    request.holder_id = "bob".into();
    assert_eq!(code_and_reason(other.hold(request).await), no("HOLD_ID_REUSED"));
    server.hold(hold_request("ann", &["D-1", "D-2", "D-3"])).await.unwrap();
    let told = refusal(server.hold(hold_request("bob", &["E-1"])).await);
    assert_eq!(told.reason, "HOLDER_LIMIT_EXCEEDED");
    nothing_differs(&stage).await;

    let left = other.release(&bobs, &["A-2"], vec![]).await.unwrap();
    assert_eq!(left.seat_ids, ["A-1"]);
    let order = other.confirm(&bobs, "pay-1").await.unwrap();
    assert_eq!((&*order.holder_id, order.tickets.len()), ("bob", 2));
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap().holder_id, "bob");
    // Who watches sees the seats change hands only as they are sold.
    let mut watcher = other.watch(EVENT, &token).await;
    watcher.until("it is sold", |w| w.house.seats.get("A-1") == Some(&SeatStatus::Sold)).await;
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_it_is_outlives_redis() {
    for durability in [HoldDurability::Fast, HoldDurability::Journaled] {
        let stage = Stage::empty().await;
        let mut event = small_event(EVENT);
        event.event.as_mut().unwrap().set_hold_durability(durability);
        stage.server.create_event(event).await.unwrap();
        let (server, other) = (&stage.server, stage.another_server().await);
        let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
        let bobs = reassign(server, &hold, "bob").await.unwrap();
        flush(&stage).await;
        assert_eq!(other.get_hold(EVENT, &hold.hold_id).await.unwrap(), bobs);
        let told = code_and_reason(other.confirm(&hold, "pay-1").await);
        assert_eq!(told, no("HOLD_NOT_FOUND"));
        // Back, and on.
        reassign(&other, &bobs, "ann").await.unwrap();
        flush(&stage).await;
        assert_eq!(server.release(&hold, &[], vec![]).await.unwrap().state(), HoldState::Released);
        assert_eq!(actions(server).await.len(), 2);
        nothing_differs(&stage).await;
    }
}

/// A server that dies after its script has done it, and before anything is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_on_record_and_the_same_again_does_it() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let postgres = stage.stores.postgres().await;
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let [ann, bob] = ["ann", "bob"].map(|id| id.parse::<HolderId>().unwrap());
    let begun = async |hold: &Hold| {
        let sql = "INSERT INTO operator_actions (event_id, kind, hold_id, holder_id,
                new_holder_id, actor, reason)
            VALUES ($1, 'REASSIGN', $2, 'ann', 'bob', 'olga', 'other account')";
        let hold_id: uuid::Uuid = hold.hold_id.parse().unwrap();
        postgres.execute(sql, &[&EVENT, &hold_id]).await.unwrap();
        let sql = "SELECT epoch FROM events";
        let epoch: i64 = postgres.query_one(sql, &[]).await.unwrap().get(0);
        let epoch = holdfast::domain::Epoch(epoch as u64);
        let told = holds.reassign_hold(&event_id, epoch, HoldId(hold_id), [&ann, &bob]).await;
        assert!(matches!(told.unwrap(), Reply::Done(ReassignReply::Reassigned(_))));
    };
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    begun(&hold).await;
    assert_eq!(actions(server).await[0].done_time, None);
    assert_eq!(reassign(server, &hold, "bob").await.unwrap().holder_id, "bob");
    let listed = actions(server).await;
    assert_eq!((listed.len(), listed[0].done_time.is_some()), (1, true), "seen to its end");

    // Where Redis is lost before the journal has it, it was not done: the record says no
    // more, and the same again does it.
    let hold = server.hold(hold_request("ann", &["B-1"])).await.unwrap();
    eventually("it is journaled", async || {
        let sql = "SELECT FROM holds WHERE seat_indexes = '{10}'";
        postgres.query_opt(sql, &[]).await.unwrap().map(drop)
    })
    .await;
    let lock = "BEGIN; LOCK journal_cursors; LOCK holds IN SHARE MODE";
    postgres.batch_execute("SELECT 1").await.unwrap();
    let blocker = stage.stores.postgres().await;
    blocker.batch_execute(lock).await.unwrap();
    begun(&hold).await;
    flush(&stage).await;
    blocker.batch_execute("COMMIT").await.unwrap();
    eventually("it is ann's as before", async || {
        let hold = server.get_hold(EVENT, &hold.hold_id).await.ok()?;
        (hold.holder_id == "ann").then_some(())
    })
    .await;
    reassign(server, &hold, "bob").await.unwrap();
    let listed = actions(server).await;
    assert_eq!(listed.len(), 3);
    assert!(listed[0].done_time.is_some());
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap().holder_id, "bob");
    nothing_differs(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_and_why_is_asked_for() {
    let stage = Stage::new().await;
    let mut client = operators(&stage.server).await;
    let long = "x".repeat(201);
    let told = refusal(
        client
            .force_extend_hold(ForceExtendHoldRequest {
                event_id: "no event".into(),
                hold_id: "1".into(),
                ttl: ms(999),
                actor: String::new(),
                reason: long.clone(),
            })
            .await,
    );
    assert_eq!(told.reason, "INVALID_FIELD");
    let fields = ["actor", "event_id", "hold_id", "reason", "ttl"];
    assert!(fields.iter().all(|field| told.subjects.iter().any(|s| s == field)), "{told:?}");
    let told = client.reassign_hold(ReassignHoldRequest::default()).await;
    assert_eq!(refusal(told).reason, "INVALID_FIELD");
    let listed = ListOperatorActionsRequest { event_id: "none".into(), ..Default::default() };
    assert_eq!(refusal(client.list_operator_actions(listed).await).reason, "EVENT_NOT_FOUND");

    // Pages, the latest first.
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    for to in ["bob", "cat", "dan"] {
        reassign(&stage.server, &hold, to).await.unwrap();
    }
    let page = async |page_token: String| {
        let event_id = EVENT.to_owned();
        let request = ListOperatorActionsRequest { event_id, page_size: 2, page_token };
        let listed = operators(&stage.server).await.list_operator_actions(request).await.unwrap();
        let listed = listed.into_inner();
        let to: Vec<_> = listed.actions.into_iter().map(|action| action.new_holder_id).collect();
        (to, listed.next_page_token)
    };
    let (first, token) = page(String::new()).await;
    assert_eq!(first, ["dan", "cat"]);
    assert_eq!(page(token).await, (vec!["bob".to_owned()], String::new()));
}

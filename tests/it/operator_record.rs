//! What operators must leave as it is, and what the record says of what they did.

use holdfast::{
    domain::{Deed, Epoch, EventId, HoldId, Operator, OperatorAction, OrderId, SeatIndex},
    holds::{ForceExtendReply, Holds, OrderHoldArgs, OrderHoldReply, Reply},
    ledger::{ForcedRelease, Ledger, Settings},
};

use crate::{
    operator::{actions, force_extend, force_release, no, reassign},
    support::{EVENT, Stage, code_and_reason, hold_request},
};

/// By a CreateOrder that goes no further than its script.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_whose_order_is_being_made_is_let_be() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let holds = Holds::new(&stage.stores.settings().redis_url).unwrap();
    let event_id: EventId = EVENT.parse().unwrap();
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let hold_id = HoldId(hold.hold_id.parse().unwrap());
    let order = OrderHoldArgs {
        hold_id,
        holder: "ann".parse().unwrap(),
        order: OrderId::new_v7(),
        window_ms: 600_000,
        seats: vec![SeatIndex(0)],
        areas: vec![],
    };
    let told = holds.order_hold(&event_id, Epoch(1), &order).await.unwrap();
    let Reply::Done(OrderHoldReply::Ordered(record)) = told else { panic!("{told:?}") };
    for told in [
        force_release(server, &hold).await,
        force_extend(server, &hold, 1_000).await,
        reassign(server, &hold, "bob").await,
    ] {
        assert_eq!(code_and_reason(told), no("ORDER_STATE"));
    }
    // Also where the order came between a look and the script.
    let earlier = record.expires_ms - 1;
    let told = holds.force_extend(&event_id, Epoch(1), hold_id, earlier).await.unwrap();
    assert!(matches!(told, Reply::Done(ForceExtendReply::Ordered(_))), "{told:?}");
    assert_eq!(actions(server).await, []);
    force_extend(server, &hold, 3_600_000).await.unwrap();
    let made = server.create_order(&hold).await.unwrap().order.unwrap();
    assert_eq!(made.order_id, order.order.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_it_was_is_what_the_journal_says() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    reassign(server, &hold, "bob").await.unwrap();
    // By an operator who looked before that.
    let url = stage.stores.settings().postgres_url.clone();
    let ledger = Ledger::new(&Settings { url, pool_size: 2 }).unwrap();
    let action = OperatorAction {
        deed: Deed::Release,
        hold_id: HoldId(hold.hold_id.parse().unwrap()),
        holder_id: "ann".parse().unwrap(),
        by: Operator { actor: "olga".into(), reason: "a bot".into(), caller: None },
    };
    let told = ledger.force_release(&EVENT.parse().unwrap(), Epoch(1), &action).await.unwrap();
    assert!(matches!(told, ForcedRelease::Released { .. }), "{told:?}");
    assert_eq!(actions(server).await[0].holder_id, "bob");
}

/// Each action says for itself whether it was done.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_done_is_not_done_by_a_later_one() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    // Two that died before their scripts.
    let hold_id: uuid::Uuid = hold.hold_id.parse().unwrap();
    let postgres = stage.stores.postgres().await;
    let sql = "INSERT INTO operator_actions (event_id, kind, hold_id, holder_id,
            new_holder_id, actor, reason)
        VALUES ($1, 'REASSIGN', $2, 'ann', 'bob', 'olga', 'other account')";
    for _ in 0..2 {
        postgres.execute(sql, &[&EVENT, &hold_id]).await.unwrap();
    }
    let done = async || {
        let listed = actions(server).await;
        listed.iter().map(|action| action.done_time.is_some()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        reassign(server, &hold, "bob").await.unwrap();
        assert_eq!(done().await, [true, false, false], "the latest first");
    }
    // One whose end nobody saw, of several: the latest.
    for _ in 0..2 {
        postgres.execute(sql, &[&EVENT, &hold_id]).await.unwrap();
    }
    reassign(server, &hold, "bob").await.unwrap();
    assert_eq!(done().await, [true, false, true, false, false]);
}

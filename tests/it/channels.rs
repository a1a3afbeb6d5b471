//! ChannelService: what is kept for whoever knows a key, at every server at once.

use futures_util::future::join_all;
use holdfast::proto::{
    AllocateSeatsRequest, AllocateSeatsResponse, BestAvailable, ChannelAction, ChannelActionKind,
    ChannelOverride, FreeAllocationRequest, HoldRequest, HoldState, ListAllocationsRequest,
    ListChannelActionsRequest, ListChannelActionsResponse,
    channel_service_client::ChannelServiceClient,
};
use tonic::{Code, Status, transport::Channel};

use crate::support::{EVENT, Server, Stage, code_and_reason, hold_request, refusal};

pub async fn channels(server: &Server) -> ChannelServiceClient<Channel> {
    let url = format!("http://{}", server.app.grpc_addr);
    ChannelServiceClient::connect(url).await.unwrap()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

pub async fn allocate(
    server: &Server,
    channel: &str,
    seat_ids: &[&str],
) -> Result<AllocateSeatsResponse, Status> {
    let request = AllocateSeatsRequest {
        event_id: EVENT.into(),
        channel: channel.into(),
        seat_ids: strings(seat_ids),
        actor: "ann".into(),
        reason: "for the club".into(),
    };
    Ok(channels(server).await.allocate_seats(request).await?.into_inner())
}

pub async fn free(server: &Server, seat_ids: &[&str], area_ids: &[&str]) -> Result<(), Status> {
    let request = FreeAllocationRequest {
        event_id: EVENT.into(),
        seat_ids: strings(seat_ids),
        area_ids: strings(area_ids),
        actor: "ann".into(),
        reason: "not wanted".into(),
    };
    channels(server).await.free_allocation(request).await.map(drop)
}

pub async fn actions(server: &Server, page_size: i32, token: &str) -> ListChannelActionsResponse {
    let request =
        ListChannelActionsRequest { event_id: EVENT.into(), page_size, page_token: token.into() };
    channels(server).await.list_channel_actions(request).await.unwrap().into_inner()
}

fn with_key(request: HoldRequest, key: &str) -> HoldRequest {
    HoldRequest { channels: vec![key.into()], ..request }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_needs_its_key() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let before = hold_request("ann", &["A-1", "B-1"]);
    let held = server.hold(before.clone()).await.unwrap();
    for _ in 0..2 {
        // Said again, it changes nothing.
        let kept = allocate(server, "club", &["A-3", "A-1", "A-2"]).await.unwrap();
        assert_eq!(kept.allocation.unwrap().seat_ids, ["A-1", "A-2", "A-3"]);
    }
    assert_eq!(actions(server, 0, "").await.actions.len(), 1);

    let told = refusal(server.hold(hold_request("bob", &["A-2", "A-3", "A-4"])).await);
    assert_eq!((told.code, &*told.reason), (Code::FailedPrecondition, "CHANNEL_REQUIRED"));
    assert_eq!(told.subjects, ["SEAT_RESERVED A-2", "SEAT_RESERVED A-3"], "all of them, no key");
    let wrong = with_key(hold_request("bob", &["A-2"]), "press");
    assert_eq!(refusal(server.hold(wrong).await).reason, "CHANNEL_REQUIRED");
    server.hold(with_key(hold_request("bob", &["A-2", "A-4"]), "club")).await.unwrap();

    // What was held before stays, and asking for it again answers it.
    assert_eq!(server.hold(before.clone()).await.unwrap(), held);
    let other = HoldRequest { seat_ids: vec!["A-1".into()], ..before };
    assert_eq!(refusal(server.hold(other).await).reason, "HOLD_ID_REUSED");

    // Seats of another channel change to this one.
    allocate(server, "press", &["A-3"]).await.unwrap();
    let request = ListAllocationsRequest { event_id: EVENT.into() };
    let listed = channels(server).await.list_allocations(request).await.unwrap().into_inner();
    let listed: Vec<_> =
        listed.allocations.iter().map(|kept| (&*kept.channel, kept.seat_ids.clone())).collect();
    assert_eq!(listed, [("club", strings(&["A-1", "A-2"])), ("press", strings(&["A-3"]))]);

    free(server, &["A-3", "J-1"], &[]).await.unwrap();
    server.hold(hold_request("cat", &["A-3"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_force_at_every_server_when_it_is_answered() {
    let stage = Stage::new().await;
    let others = [stage.another_server().await, stage.another_server().await];
    for other in &others {
        other.hold(hold_request("warm", &[&format!("J-{}", 1 + others.len())])).await.ok();
    }
    for n in 1..=10 {
        let seat = format!("A-{n}");
        allocate(&stage.server, "club", &[&seat]).await.unwrap();
        let asked = others.iter().map(|other| other.hold(hold_request("bob", &[&seat])));
        for told in join_all(asked).await {
            let required = (Code::FailedPrecondition, "CHANNEL_REQUIRED".to_owned());
            assert_eq!(code_and_reason(told), required, "{seat}");
        }
        free(&stage.server, &[&seat], &[]).await.unwrap();
        let held = others[n % 2].hold(hold_request("bob", &[&seat])).await.unwrap();
        assert_eq!(held.state(), HoldState::Active);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_what_is_kept_for_others_is_on_record() {
    let stage = Stage::new().await;
    let server = &stage.server;
    allocate(server, "club", &["A-1", "A-2"]).await.unwrap();
    let by_hand = |seats: &[&str]| HoldRequest {
        channel_override: Some(ChannelOverride { actor: "desk".into(), reason: "VIP".into() }),
        ..hold_request("bob", seats)
    };
    // Nothing that is kept: nothing to tell.
    server.hold(by_hand(&["B-1"])).await.unwrap();
    server.hold(with_key(by_hand(&["A-1"]), "club")).await.unwrap();
    let taken = by_hand(&["A-2", "B-2"]);
    server.hold(taken.clone()).await.unwrap();

    let all = actions(server, 0, "").await;
    assert_eq!(all.next_page_token, "");
    let overridden = ChannelAction {
        kind: ChannelActionKind::Override.into(),
        hold_id: taken.hold_id,
        seat_ids: strings(&["A-2"]),
        actor: "desk".into(),
        reason: "VIP".into(),
        create_time: all.actions[0].create_time,
        ..ChannelAction::default()
    };
    assert_eq!(all.actions[0], overridden);
    assert_eq!(all.actions[1].kind(), ChannelActionKind::Allocate);
    assert_eq!(all.actions[1].channel, "club");
    assert_eq!(all.actions.len(), 2);

    // Also where the server finds them.
    allocate(server, "club", &["C-5", "C-6"]).await.unwrap();
    let mut found = by_hand(&[]);
    found.best_available = Some(BestAvailable { quantity: 10, ..BestAvailable::default() });
    let found = server.hold(found).await.unwrap();
    assert!(found.seat_ids.contains(&"C-5".to_owned()), "row C is the first that is whole");
    let noted = actions(server, 1, "").await.actions.remove(0);
    assert_eq!((noted.hold_id, noted.seat_ids), (found.hold_id, strings(&["C-5", "C-6"])));

    free(server, &["A-1"], &[]).await.unwrap();
    let first = actions(server, 1, "").await;
    assert_eq!(first.actions[0].kind(), ChannelActionKind::Free);
    let second = actions(server, 3, &first.next_page_token).await;
    assert_eq!(second.actions[2..], [overridden]);
    let third = actions(server, 1, &second.next_page_token).await;
    assert_eq!((third.actions.len(), &*third.next_page_token), (1, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept() {
    let stage = Stage::new().await;
    let told = code_and_reason(allocate(&stage.server, "club", &["A-1", "X-1"]).await);
    assert_eq!(told, (Code::NotFound, "SEAT_NOT_FOUND".into()));
    let told = refusal(allocate(&stage.server, "the club", &[]).await);
    assert_eq!(told.subjects, ["channel", "seat_ids"]);
    let told = code_and_reason(free(&stage.server, &[], &["pit"]).await);
    assert_eq!(told, (Code::NotFound, "AREA_NOT_FOUND".into()));
    assert_eq!(refusal(free(&stage.server, &[], &[]).await).subjects, ["seat_ids"]);
    let request = ListAllocationsRequest { event_id: "elsewhere".into() };
    let told = channels(&stage.server).await.list_allocations(request).await;
    assert_eq!(code_and_reason(told), (Code::NotFound, "EVENT_NOT_FOUND".into()));
}

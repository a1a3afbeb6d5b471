//! Who may call for one holder alone.

use holdfast::{
    access::{Needed, needed},
    domain::Role,
    proto::{
        CancelOrderRequest, ChannelOverride, CreateOrderRequest, GetHoldRequest, GetOrderRequest,
        HoldRequest, JoinRequest, QueueServiceLeaveRequest, StreamPositionRequest, WaitingRoom,
        catalog_service_client::CatalogServiceClient,
        checkout_service_client::CheckoutServiceClient, queue_service_client::QueueServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{
    access::listed,
    support::{
        EVENT, code_and_reason, hold_request, small_event,
        tokens::{Guarded, Raw, bearing},
    },
};

/// A request that names a holder, and nothing else.
fn of_holder(field: u32, holder: &str) -> Raw {
    let mut bytes = vec![(field << 3 | 2) as u8, holder.len() as u8];
    bytes.extend(holder.as_bytes());
    Raw(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_for_another_holder_is_refused() {
    let guarded = Guarded::new().await;
    let anns = guarded.signer.token("ann", "reserver:self");
    let anybodys = guarded.signer.token("ann", "reserver");
    let mut seen = 0;
    for (path, field) in listed(&guarded.channel).await {
        let Some(field) = field.filter(|_| needed(&path) <= Needed::Role(Role::Reserver)) else {
            continue;
        };
        seen += 1;
        for other in ["bob", "", "Ann", "ann "] {
            let told = guarded.call(&path, Some(&anns), of_holder(field, other)).await;
            let status = told.expect_err(&path);
            assert_eq!(status.code(), Code::PermissionDenied, "{path} {other:?}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "ROLE_REQUIRED");
            assert_eq!((&*info.metadata["holder_id"], &*info.metadata["method"]), ("ann", &*path));
        }
        for (token, holder) in [(&anns, "ann"), (&anybodys, "bob")] {
            let told = guarded.call(&path, Some(token), of_holder(field, holder)).await;
            let is_shut = matches!(&told, Err(no) if no.code() == Code::PermissionDenied);
            assert!(!is_shut, "{path} {holder}: {told:?}");
        }
    }
    assert_eq!(seen, 11);
}

/// What an error says, without the ids in it.
fn without(status: &Status, id: &str) -> (Code, String, Vec<u8>) {
    let details = String::from_utf8_lossy(status.details()).replace(id, "");
    (status.code(), status.message().replace(id, ""), details.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_is_as_if_it_did_not_exist() {
    let guarded = Guarded::new().await;
    let mut holds = ReservationServiceClient::new(guarded.channel.clone());
    let mut orders = CheckoutServiceClient::new(guarded.channel.clone());
    let [anns, bobs] = ["ann", "bob"].map(|sub| guarded.signer.token(sub, "reserver:self"));
    let request = bearing(&bobs, hold_request("bob", &["A-1"]));
    let hold = holds.hold(request).await.unwrap().into_inner().hold.unwrap();
    let request = CreateOrderRequest {
        event_id: EVENT.into(),
        hold_id: hold.hold_id.clone(),
        holder_id: "bob".into(),
        ..CreateOrderRequest::default()
    };
    let order = orders.create_order(bearing(&bobs, request)).await.unwrap().into_inner();
    let order_id = order.order.unwrap().order_id;
    let nothing = Uuid::now_v7().to_string();

    let mut get_hold = async |token: &str, hold_id: &str| {
        let request = GetHoldRequest { event_id: EVENT.into(), hold_id: hold_id.into() };
        holds
            .get_hold(bearing(token, request))
            .await
            .map_err(|no| without(&no, hold_id))
            .map(|_| ())
    };
    let mut get = orders.clone();
    let mut get_order = async |token: &str, order_id: &str| {
        let request = GetOrderRequest { order_id: order_id.into() };
        get.get_order(bearing(token, request))
            .await
            .map_err(|no| without(&no, order_id))
            .map(|_| ())
    };
    let mut cancel_order = async |token: &str, order_id: &str| {
        let (order_id, actor) = (order_id.to_owned(), "somebody".to_owned());
        let request =
            CancelOrderRequest { order_id: order_id.clone(), actor, ..Default::default() };
        let told = orders.cancel_order(bearing(token, request)).await;
        told.map_err(|no| without(&no, &order_id)).map(|_| ())
    };
    let no = get_hold(&anns, &hold.hold_id).await.unwrap_err();
    assert_eq!(no, get_hold(&anns, &nothing).await.unwrap_err());
    assert_eq!(no.0, Code::NotFound);
    get_hold(&bobs, &hold.hold_id).await.unwrap();
    let no = get_order(&anns, &order_id).await.unwrap_err();
    assert_eq!(no, get_order(&anns, &nothing).await.unwrap_err());
    get_order(&bobs, &order_id).await.unwrap();
    let no = cancel_order(&anns, &order_id).await.unwrap_err();
    assert_eq!(no, cancel_order(&anns, &nothing).await.unwrap_err());
    cancel_order(&bobs, &order_id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_place_in_a_queue_is_none() {
    let guarded = Guarded::new().await;
    let root = guarded.signer.token("root", "operator");
    let mut house = small_event("queued");
    house.event.as_mut().unwrap().set_waiting_room(WaitingRoom::Rate);
    let mut catalog = CatalogServiceClient::new(guarded.channel.clone());
    catalog.create_event(bearing(&root, house)).await.unwrap();
    let mut queues = QueueServiceClient::new(guarded.channel.clone());
    let [anns, bobs] = ["ann", "bob"].map(|sub| guarded.signer.token(sub, "reserver:self"));
    let event_id = "queued".to_owned();
    let request = JoinRequest { event_id: event_id.clone(), holder_id: "bob".into() };
    let place = queues.join(bearing(&bobs, request)).await.unwrap().into_inner().place_token;
    let mut ask = async |token: &str, place: &str| {
        let (event_id, place_token) = (event_id.clone(), place.to_owned());
        let watch =
            StreamPositionRequest { event_id: event_id.clone(), place_token: place_token.clone() };
        let watched = queues.stream_position(bearing(token, watch)).await.map(|_| ());
        let leave = QueueServiceLeaveRequest { event_id, place_token };
        let left = queues.leave(bearing(token, leave)).await.map(|_| ());
        (watched.map_err(|no| without(&no, place)), left.map_err(|no| without(&no, place)))
    };
    let (watched, left) = ask(&anns, &place).await;
    assert_eq!(watched.as_ref().unwrap_err().0, Code::NotFound);
    assert_eq!((watched, left), ask(&anns, "no place at all").await);
    assert_eq!(ask(&bobs, &place).await, (Ok(()), Ok(())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_for_channels_is_the_operators_to_give() {
    let guarded = Guarded::new().await;
    let mut holds = ReservationServiceClient::new(guarded.channel.clone());
    let overriding = |seat: &str| {
        let (actor, reason) = ("desk".to_owned(), "a guest of the house".to_owned());
        let channel_override = Some(ChannelOverride { actor, reason });
        HoldRequest { channel_override, ..hold_request("ann", &[seat]) }
    };
    for (role, own) in [("reserver:self", "B-1"), ("reserver", "B-2"), ("confirmer", "B-3")] {
        let token = guarded.signer.token("ann", role);
        let told = holds.hold(bearing(&token, overriding("A-1"))).await;
        let info = told.as_ref().unwrap_err().get_details_error_info().unwrap();
        assert_eq!(info.metadata["role"], "operator");
        assert_eq!(code_and_reason(told), (Code::PermissionDenied, "ROLE_REQUIRED".into()));
        holds.hold(bearing(&token, hold_request("ann", &[own]))).await.unwrap();
    }
    let token = guarded.signer.token("desk", "operator");
    holds.hold(bearing(&token, overriding("A-1"))).await.unwrap();
}

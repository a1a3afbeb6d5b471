//! CreateEvent and GetEvent: what is given comes back, once.

use holdfast::proto::{EventState, GetEventRequest, HoldDurability};
use tonic::Code;

use crate::support::{EVENT, Stage, code_and_reason, hold_request, ms, small_event};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_comes_back() {
    let stage = Stage::empty().await;
    let request = small_event(EVENT);
    let event = stage.server.create_event(request.clone()).await.unwrap();
    assert_eq!(event.state(), EventState::OnSale);
    assert_eq!(event.hold_ttl.unwrap().seconds, 900);
    assert_eq!(event.max_hold_time.unwrap().seconds, 7_200);
    assert_eq!(event.max_units_per_hold, 50);
    assert_eq!((event.max_units_per_holder, event.max_holds_per_holder), (0, 0));
    assert_eq!(event.hold_durability(), HoldDurability::Fast);

    let answer = stage.server.catalog.clone();
    let request_event = GetEventRequest { event_id: EVENT.into() };
    let answer = answer.clone().get_event(request_event).await.unwrap().into_inner();
    assert_eq!(answer.event, Some(event));
    assert_eq!(answer.chart, request.chart);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_is_the_same_event() {
    let stage = Stage::empty().await;
    let event = stage.server.create_event(small_event(EVENT)).await.unwrap();
    stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let again = stage.another_server().await.create_event(small_event(EVENT)).await.unwrap();
    assert_eq!(again, event);

    // A default may be spelled out.
    let mut spelled_out = small_event(EVENT);
    let fields = spelled_out.event.as_mut().unwrap();
    fields.set_state(EventState::OnSale);
    fields.set_hold_durability(HoldDurability::Fast);
    (fields.hold_ttl, fields.max_hold_time) = (ms(900_000), ms(7_200_000));
    fields.max_units_per_hold = 50;
    assert_eq!(stage.server.create_event(spelled_out).await.unwrap(), event);

    // Still the same request after the event has changed.
    let mut renamed = small_event(EVENT).event.unwrap();
    renamed.name = "Another Evening".into();
    let renamed = stage.server.update_event(renamed, &["name"]).await.unwrap();
    assert_eq!(stage.server.create_event(small_event(EVENT)).await.unwrap(), renamed);

    let mut other = small_event(EVENT);
    other.event.as_mut().unwrap().venue = "Elsewhere".into();
    let told = code_and_reason(stage.server.create_event(other).await);
    assert_eq!(told, (Code::AlreadyExists, "EVENT_ID_REUSED".into()));
    let mut other = small_event(EVENT);
    other.chart.as_mut().unwrap().areas[0].capacity += 1;
    let told = code_and_reason(stage.server.create_event(other).await);
    assert_eq!(told, (Code::AlreadyExists, "EVENT_ID_REUSED".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_makes_an_id_where_none_is_given() {
    let stage = Stage::empty().await;
    let event = stage.server.create_event(small_event("")).await.unwrap();
    assert_eq!(uuid::Uuid::parse_str(&event.event_id).unwrap().get_version_num(), 7);
    let mut request = hold_request("ann", &["A-1"]);
    request.event_id = event.event_id;
    stage.server.hold(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_fit_what_is_given() {
    let stage = Stage::empty().await;
    for (name, given, hold_ttl, max_hold_time) in
        [("short", (None, ms(60_000)), 60, 60), ("long", (ms(10_800_000), None), 10_800, 10_800)]
    {
        let mut request = small_event(name);
        let fields = request.event.as_mut().unwrap();
        (fields.hold_ttl, fields.max_hold_time) = given;
        let event = stage.server.create_event(request).await.unwrap();
        assert_eq!(event.hold_ttl.unwrap().seconds, hold_ttl);
        assert_eq!(event.max_hold_time.unwrap().seconds, max_hold_time);
    }
}

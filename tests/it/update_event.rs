//! UpdateEvent: what is named changes, for every server at once.

use holdfast::proto::{Event, EventState, UpdateEventRequest};
use prost_types::FieldMask;
use tonic::Code;

use crate::support::{EVENT, Stage, code_and_reason, hold_request, ms, refusal};

fn change(event: Event) -> Event {
    Event { event_id: EVENT.into(), ..event }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_or_named_changes() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let set = change(Event { city: "Seoul".into(), ..Event::default() });
    let event = server.update_event(set, &[]).await.unwrap();
    assert_eq!((event.city.as_str(), event.name.as_str()), ("Seoul", "An Evening"));

    // A mask that names nothing is none.
    let set = change(Event { city: "Hanoi".into(), ..Event::default() });
    let request = UpdateEventRequest { event: Some(set), update_mask: Some(FieldMask::default()) };
    let answer = server.catalog.clone().update_event(request).await.unwrap().into_inner();
    assert_eq!(answer.event.unwrap().city, "Hanoi");

    // A mask also empties.
    let named = change(Event { name: "not named".into(), ..Event::default() });
    let event = server.update_event(named, &["city", "venue"]).await.unwrap();
    assert_eq!((&*event.city, &*event.venue, &*event.name), ("", "", "An Evening"));
    assert!(event.update_time.unwrap().nanos != event.create_time.unwrap().nanos);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_force_for_every_server() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    other.hold(hold_request("ann", &["A-1"])).await.unwrap();
    for state in [EventState::Paused, EventState::OnSale, EventState::Closed] {
        let event = change(Event { state: state.into(), ..Event::default() });
        stage.server.update_event(event, &[]).await.unwrap();
        let held = other.hold(hold_request("ann", &["A-2"])).await;
        match state {
            EventState::OnSale => {
                other.release(&held.unwrap(), &[], vec![]).await.unwrap();
            }
            _ => assert_eq!(code_and_reason(held).1, "EVENT_NOT_ON_SALE"),
        }
    }
    let event = change(Event { hold_ttl: ms(5_000), ..Event::default() });
    stage.server.update_event(event, &[]).await.unwrap();
    let event = change(Event { state: EventState::OnSale.into(), ..Event::default() });
    stage.server.update_event(event, &[]).await.unwrap();
    let hold = other.hold(hold_request("ann", &["A-2"])).await.unwrap();
    let span = hold.expire_time.unwrap().seconds - hold.create_time.unwrap().seconds;
    assert_eq!(span, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let told = refusal(server.update_event(change(Event::default()), &["event_id", "chart"]).await);
    assert_eq!(told.code, Code::InvalidArgument);
    assert_eq!(told.subjects, ["update_mask.paths[0]", "update_mask.paths[1]"]);
    let told = refusal(server.update_event(change(Event::default()), &["name", "state"]).await);
    assert_eq!(told.subjects, ["event.name", "event.state"]);
    let longer = change(Event { hold_ttl: ms(7_200_001), ..Event::default() });
    let told = refusal(server.update_event(longer, &[]).await);
    assert_eq!(told.subjects, ["event.hold_ttl"]);
    let elsewhere = Event { event_id: "elsewhere".into(), ..Event::default() };
    let told = code_and_reason(server.update_event(elsewhere, &[]).await);
    assert_eq!(told, (Code::NotFound, "EVENT_NOT_FOUND".into()));
}

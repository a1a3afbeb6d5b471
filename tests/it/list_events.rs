//! ListEvents: every event but the drafts, page by page.

use holdfast::proto::{EventState, ListEventsRequest, ListEventsResponse};
use tonic::Code;

use crate::support::{Stage, refusal, small_event};

async fn list(stage: &Stage, page_size: i32, page_token: &str) -> ListEventsResponse {
    let request = ListEventsRequest { page_size, page_token: page_token.into() };
    stage.server.catalog.clone().list_events(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_page_by_page() {
    let stage = Stage::empty().await;
    // Some begin at the same time; then the id decides.
    for (i, start) in [(3, 30), (1, 10), (2, 10), (5, 50), (4, 30)] {
        let mut event = small_event(&format!("e-{i}"));
        event.event.as_mut().unwrap().start_time.as_mut().unwrap().seconds = start;
        stage.server.create_event(event).await.unwrap();
    }
    let mut draft = small_event("e-0");
    draft.event.as_mut().unwrap().state = EventState::Draft.into();
    stage.server.create_event(draft).await.unwrap();

    let mut ids = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(&stage, 2, &token).await;
        assert!(page.events.len() <= 2);
        ids.extend(page.events.into_iter().map(|event| event.event_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, ["e-1", "e-2", "e-3", "e-4", "e-5"]);
    assert_eq!(list(&stage, 5, "").await.next_page_token, "");
    assert_eq!(list(&stage, 0, "").await.events.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_cannot_be() {
    let stage = Stage::empty().await;
    let request = ListEventsRequest { page_size: 201, page_token: "rubbish".into() };
    let told = refusal(stage.server.catalog.clone().list_events(request).await);
    assert_eq!(told.code, Code::InvalidArgument);
    assert_eq!(told.subjects, ["page_size", "page_token"]);
}

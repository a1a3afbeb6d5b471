//! The caches of CatalogService: what was answered is told at once, at every server, and
//! what many ask for is read once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use holdfast::proto::{
    AddAreasRequest, AddSeatsRequest, Area, Event, EventState, GetEventRequest, GetEventResponse,
    ListEventsRequest, Row, SearchEventsRequest, catalog_service_client::CatalogServiceClient,
};
use tokio::sync::Barrier;
use tonic::{Code, transport::Channel};

use crate::support::{
    EVENT, OwnStores, Server, Stage, code_and_reason, eventually, process::Process, seat,
    small_event,
};

type Catalog = CatalogServiceClient<Channel>;

fn change(event: Event) -> Event {
    Event { event_id: EVENT.into(), ..event }
}

fn renamed(name: &str) -> Event {
    change(Event { name: name.into(), ..Event::default() })
}

async fn search(catalog: &Catalog, query: &str) -> Vec<Event> {
    let request = SearchEventsRequest { query: query.into(), ..Default::default() };
    catalog.clone().search_events(request).await.unwrap().into_inner().events
}

async fn list(catalog: &Catalog) -> Vec<Event> {
    let request = ListEventsRequest::default();
    catalog.clone().list_events(request).await.unwrap().into_inner().events
}

async fn get(catalog: &Catalog) -> GetEventResponse {
    let request = GetEventRequest { event_id: EVENT.into() };
    catalog.clone().get_event(request).await.unwrap().into_inner()
}

fn seats_of(answer: &GetEventResponse) -> usize {
    let sections = &answer.chart.as_ref().unwrap().sections;
    sections.iter().flat_map(|section| &section.rows).map(|row| row.seats.len()).sum()
}

/// The event as all three ways tell it; they must agree.
async fn told(catalog: &Catalog, query: &str) -> Event {
    let (found, listed, got) = tokio::join!(search(catalog, query), list(catalog), get(catalog));
    let event = got.event.unwrap();
    assert_eq!((&found, &listed), (&vec![event.clone()], &vec![event.clone()]));
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_is_told_at_once_at_every_server() {
    let stage = Stage::new().await;
    let other = stage.another_server().await.catalog;
    let (server, here) = (&stage.server, &stage.server.catalog);
    let both = async |query: &str| {
        let event = told(here, query).await;
        assert_eq!(told(&other, query).await, event);
        event
    };
    // Twice: the second time, all of it is kept.
    both("evening").await;
    let first = both("evening").await;

    server.update_event(renamed("A Morning"), &[]).await.unwrap();
    assert_eq!(search(&other, "evening").await, []);
    assert_eq!(both("morning").await.name, "A Morning");

    // A seat added is found by the next search.
    let row = Row { row_id: "K".into(), seats: vec![seat("K-1"), seat("K-2")] };
    let request = AddSeatsRequest {
        event_id: EVENT.into(),
        section_id: "stalls".into(),
        rows: vec![row],
        ..AddSeatsRequest::default()
    };
    here.clone().add_seats(request).await.unwrap();
    assert_eq!(seats_of(&get(&other).await), 102);
    let grown = both("morning").await;
    assert_ne!(grown.update_time, first.update_time);

    let area = Area { area_id: "floor".into(), capacity: 500, ..Area::default() };
    let area = Area { price_category_id: "floor".into(), ..area };
    let request = AddAreasRequest { event_id: EVENT.into(), areas: vec![area] };
    here.clone().add_areas(request).await.unwrap();
    assert_eq!(get(&other).await.chart.unwrap().areas[0].capacity, 500);
    assert_ne!(both("morning").await.update_time, grown.update_time);

    // A new event; then it is a draft, and none again.
    let mut new = small_event("second");
    new.event.as_mut().unwrap().name = "Another Morning".into();
    server.create_event(new).await.unwrap();
    for catalog in [&other, here] {
        assert_eq!(search(catalog, "morning").await.len(), 2);
        assert_eq!(list(catalog).await.len(), 2);
    }
    for (state, listed) in [(EventState::Draft, 1), (EventState::Closed, 2)] {
        let event = Event { event_id: "second".into(), state: state.into(), ..Event::default() };
        server.update_event(event, &[]).await.unwrap();
        assert_eq!(search(&other, "morning").await.len(), listed);
        assert_eq!(list(&other).await.len(), listed);
    }
}

/// Readers without a pause, of two servers, so that reads and changes overlap in every way.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_read_before_a_change_is_told_after_it() {
    const CHANGES: usize = 40;
    let stage = Stage::new().await;
    let other = stage.another_server().await.catalog;
    // The latest change that was answered.
    let answered = Arc::new(AtomicUsize::new(0));
    let update = async |change: usize| {
        stage.server.update_event(renamed(&format!("Show {change}")), &[]).await.unwrap();
        answered.store(change, Ordering::SeqCst);
    };
    update(1).await;
    let number = |event: &Event| event.name["Show ".len()..].parse::<usize>().unwrap();
    let mut readers = Vec::new();
    for (i, catalog) in [&stage.server.catalog, &other].into_iter().cycle().take(12).enumerate() {
        let (catalog, answered) = (catalog.clone(), answered.clone());
        readers.push(tokio::spawn(async move {
            while answered.load(Ordering::SeqCst) < CHANGES {
                let before = answered.load(Ordering::SeqCst);
                let told = match i % 3 {
                    0 => search(&catalog, "show").await.remove(0),
                    1 => list(&catalog).await.remove(0),
                    _ => get(&catalog).await.event.unwrap(),
                };
                assert!(number(&told) >= before, "{} after {before}", told.name);
            }
        }));
    }
    for change in 2..=CHANGES {
        update(change).await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_at_two_servers_cost_one_read() {
    let stage = Stage::new().await;
    let servers = [Process::start(&stage.stores).await, Process::start(&stage.stores).await];
    // The read takes until both servers have asked: one alone must not be done by then.
    let mut postgres = stage.stores.postgres().await;
    let busy = postgres.transaction().await.unwrap();
    busy.batch_execute("LOCK TABLE events").await.unwrap();
    let barrier = Arc::new(Barrier::new(1_000));
    let calls = (0..1_000).map(|i| {
        let (catalog, barrier) = (servers[i % 2].catalog.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            search(&catalog, "evening").await
        })
    });
    let calls: Vec<_> = calls.collect();
    for server in &servers {
        eventually("it has asked", async || {
            (server.metric("holdfast_cache_misses_total{cache=\"search\"}").await > 0).then_some(())
        })
        .await;
    }
    busy.rollback().await.unwrap();
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap()[0].event_id, EVENT);
    }
    let [one, two] = [servers[0].cache("search").await, servers[1].cache("search").await];
    let [hits, misses, fills, waits, bypasses] = std::array::from_fn(|i| one[i] + two[i]);
    assert_eq!((fills, bypasses), (1, 0), "{one:?} {two:?}");
    assert_eq!((hits + misses, misses), (1_000, waits + 1), "{one:?} {two:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_itself_puts_the_new_home_page_there() {
    let stage = Stage::new().await;
    let servers = [Process::start(&stage.stores).await, Process::start(&stage.stores).await];
    let mut writer = servers[0].catalog.clone();
    let request = small_event("second");
    writer.create_event(request).await.unwrap();
    assert_eq!(list(&servers[1].catalog).await.len(), 2);
    // Its first question, and already answered.
    assert_eq!(servers[1].cache("home").await, [1, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_opens_is_preloaded_at_every_server() {
    let stage = Stage::empty().await;
    let mut draft = small_event(EVENT);
    draft.event.as_mut().unwrap().state = EventState::Draft.into();
    stage.server.create_event(draft).await.unwrap();
    let servers = [Process::start(&stage.stores).await, Process::start(&stage.stores).await];
    for server in &servers {
        assert_eq!(server.metric("holdfast_preloaded_events_total").await, 0);
    }
    let open = change(Event { state: EventState::OnSale.into(), ..Event::default() });
    stage.server.update_event(open, &[]).await.unwrap();
    for server in &servers {
        eventually("it is preloaded", async || {
            (server.metric("holdfast_preloaded_events_total").await == 1).then_some(())
        })
        .await;
        let [hits, others @ ..] = server.cache("detail").await;
        assert_eq!(get(&server.catalog).await.event.unwrap().state(), EventState::OnSale);
        let [hits_then, others_then @ ..] = server.cache("detail").await;
        assert_eq!((hits_then, others_then), (hits + 1, others));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_go_empty_come_back_and_be_of_the_past() {
    let mut stores = OwnStores::start().await;
    let server = Server::start(&stores.stores()).await;
    let other = Server::start(&stores.stores()).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    let both = async |query: &str| {
        let event = told(&server.catalog, query).await;
        assert_eq!(told(&other.catalog, query).await, event);
        event.name
    };
    assert_eq!(both("evening").await, "An Evening");

    // Emptied.
    let mut redis = stores.stores().redis().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    assert_eq!(both("evening").await, "An Evening");
    server.update_event(renamed("A Morning"), &[]).await.unwrap();
    assert_eq!(both("morning").await, "A Morning");

    // Gone: the change is made, and told by Postgres; but who made it is not told so.
    stores.kill_redis().await;
    assert_eq!(both("morning").await, "A Morning");
    let told = code_and_reason(server.update_event(renamed("A Noon"), &[]).await);
    assert_eq!(told, (Code::Unavailable, "OUTCOME_UNKNOWN".into()));
    assert_eq!(both("noon").await, "A Noon");
    let told = code_and_reason(server.create_event(small_event("second")).await);
    assert_eq!(told, (Code::Unavailable, "OUTCOME_UNKNOWN".into()));
    for server in [&server, &other] {
        assert_eq!(list(&server.catalog).await.len(), 2);
    }

    // Back, as it was before the change, with all that was kept then.
    stores.start_redis().await;
    let told = async |catalog: &Catalog| {
        let listed = list(catalog).await;
        let got = get(catalog).await.event.unwrap();
        let named = listed.iter().find(|event| event.event_id == EVENT).unwrap();
        assert_eq!((&*got.name, &*named.name, listed.len()), ("A Noon", "A Noon", 2));
        assert_eq!(search(catalog, "noon").await.len(), 1);
        assert_eq!(search(catalog, "morning").await, []);
    };
    for _ in 0..20 {
        told(&server.catalog).await;
        told(&other.catalog).await;
    }
    server.app.ready().await;
    server.create_event(small_event("second")).await.unwrap();
    assert_eq!(list(&other.catalog).await.len(), 2);
}

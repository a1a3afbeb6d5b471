//! SearchEvents: what people mean is found, however they write it.

use holdfast::proto::{CreateEventRequest, EventState, SearchEventsRequest, SearchEventsResponse};
use prost_types::Timestamp;
use tonic::Code;

use crate::support::{Server, Stage, refusal, small_event};

fn named(event_id: &str, name: &str, venue: &str, city: &str) -> CreateEventRequest {
    let mut request = small_event(event_id);
    request.chart.as_mut().unwrap().sections.clear();
    let event = request.event.as_mut().unwrap();
    (event.name, event.venue, event.city) = (name.into(), venue.into(), city.into());
    request
}

async fn search(server: &Server, request: SearchEventsRequest) -> SearchEventsResponse {
    server.catalog.clone().search_events(request).await.unwrap().into_inner()
}

fn query(query: &str) -> SearchEventsRequest {
    SearchEventsRequest { query: query.into(), ..SearchEventsRequest::default() }
}

async fn found(server: &Server, request: SearchEventsRequest) -> Vec<String> {
    search(server, request).await.events.into_iter().map(|event| event.event_id).collect()
}

async fn stage() -> Stage {
    let stage = Stage::empty().await;
    for (event_id, name, venue, city) in [
        ("vi", "Đêm nhạc Trịnh Công Sơn", "Nhà hát Lớn", "Hà Nội"),
        ("ko", "방탄소년단 콘서트", "서울월드컵경기장", "서울"),
        ("en", "Mozart: Requiem (AC/DC remix)", "Royal Albert Hall", "London"),
        ("de", "Brahms für Streicher", "Musikverein", "Wien"),
    ] {
        stage.server.create_event(named(event_id, name, venue, city)).await.unwrap();
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn in_three_languages_with_and_without_marks_wrong_letters_and_in_part() {
    let stage = stage().await;
    for (text, expected) in [
        // Vietnamese: as it is written, without marks, in capitals, marks set apart.
        ("Đêm nhạc Trịnh Công Sơn", "vi"),
        ("dem nhac", "vi"),
        ("DEM NHAC", "vi"),
        ("ĐÊM", "vi"),
        ("đem", "vi"),
        ("Tri\u{323}nh Co\u{302}ng So\u{31b}n", "vi"),
        ("ha noi", "vi"),
        ("son trinh", "vi"),
        ("nha hat hà nội", "vi"),
        ("trin", "vi"),
        ("trynh cong son", "vi"),
        // Korean: whole, by its beginning, by half a syllable, within a word, one letter
        // wrong, in letters set apart.
        ("방탄소년단", "ko"),
        ("방탄", "ko"),
        ("방타", "ko"),
        ("소년단", "ko"),
        ("월드컵", "ko"),
        ("월드컵 콘서트", "ko"),
        ("방탄소넌단", "ko"),
        ("콘써트", "ko"),
        ("\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}", "ko"),
        // English: words in any order, beginnings, parts, letters wrong or in the wrong
        // order, punctuation.
        ("mozart", "en"),
        ("REQUIEM mozart", "en"),
        ("moz", "en"),
        ("ozart", "en"),
        ("mozzart", "en"),
        ("mozrat", "en"),
        ("requeim london", "en"),
        ("ac/dc", "en"),
        ("dc", "en"),
        ("royal-albert", "en"),
        ("Ｍｏｚａｒｔ", "en"),
        ("fur", "de"),
        ("für wien", "de"),
    ] {
        assert_eq!(found(&stage.server, query(text)).await, [expected], "{text}");
    }
    // Each word must be there, and not only nearly so, where it is short or a number.
    for text in [
        "mozart hanoi",
        "sin trinh",
        "dx",
        "서울 mozart",
        "2026",
        "zzzzzz",
        "!",
        "' & (",
        "%",
        "moz%rt",
    ] {
        assert_eq!(found(&stage.server, query(text)).await, [""; 0], "{text}");
    }
    assert_eq!(found(&stage.server, query("")).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_any_length() {
    let stage = stage().await;
    // The last of them is eighteen letters when it is taken apart.
    for (event_id, letter) in [("x", "x"), ("hangul", "각"), ("ligature", "\u{fdfa}")] {
        let long = letter.repeat(200);
        assert_eq!(found(&stage.server, query(&long)).await, [""; 0]);
        stage.server.create_event(named(event_id, &long, "Hall", "Oslo")).await.unwrap();
        assert_eq!(found(&stage.server, query(&long)).await, [event_id]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_first() {
    let stage = Stage::empty().await;
    for (event_id, name, venue, city) in [
        ("in-city", "An Evening", "The House", "Lyra"),
        ("in-venue", "An Evening", "Lyra Hall", "Oslo"),
        ("begins", "Lyranova", "The House", "Oslo"),
        ("in-name", "Lyra", "The House", "Oslo"),
        ("alike", "Lyta", "The House", "Oslo"),
    ] {
        stage.server.create_event(named(event_id, name, venue, city)).await.unwrap();
    }
    let best = ["in-name", "in-venue", "in-city", "begins", "alike"];
    assert_eq!(found(&stage.server, query("lyra")).await, best);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_where_and_when_it_is_asked_for_and_never_drafts() {
    let stage = Stage::empty().await;
    for (event_id, city, start) in
        [("a", "Đà Nẵng", 100), ("b", "da nang", 200), ("c", "Hà Nội", 300), ("d", "Da Nang", 200)]
    {
        let mut request = named(event_id, "Gala", "Hall", city);
        let event = request.event.as_mut().unwrap();
        event.start_time = Some(Timestamp { seconds: start, nanos: 0 });
        if event_id == "d" {
            event.state = EventState::Draft.into();
        }
        stage.server.create_event(request).await.unwrap();
    }
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    for text in ["gala", ""] {
        let all = SearchEventsRequest { query: text.into(), ..Default::default() };
        assert_eq!(found(&stage.server, all.clone()).await, ["a", "b", "c"]);
        let there = SearchEventsRequest { city: "ĐA  NANG".into(), ..all.clone() };
        assert_eq!(found(&stage.server, there.clone()).await, ["a", "b"]);
        let later = SearchEventsRequest { start_time: at(200), ..all.clone() };
        assert_eq!(found(&stage.server, later).await, ["b", "c"]);
        let earlier = SearchEventsRequest { end_time: at(200), ..all.clone() };
        assert_eq!(found(&stage.server, earlier).await, ["a"]);
        let both = SearchEventsRequest { start_time: at(150), end_time: at(250), ..there };
        assert_eq!(found(&stage.server, both).await, ["b"]);
        let nowhere = SearchEventsRequest { city: "!".into(), ..all };
        assert_eq!(found(&stage.server, nowhere).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_each_event_once() {
    let stage = Stage::empty().await;
    // Found by words, with equal and other scores; and by likeness.
    for i in 0..30 {
        let name = match i % 3 {
            0 => "Rondo",
            1 => "Rondo for Rondo",
            _ => "Rondq",
        };
        let mut request = named(&format!("e-{i:02}"), name, "Hall", "Oslo");
        let start = request.event.as_mut().unwrap().start_time.as_mut().unwrap();
        start.seconds += i64::from(i % 4);
        stage.server.create_event(request).await.unwrap();
    }
    for text in ["rondo", ""] {
        let whole = found(&stage.server, query(text)).await;
        assert_eq!(whole.len(), 30);
        for page_size in [1, 7, 10, 20, 29, 30] {
            let mut request = SearchEventsRequest { page_size, ..query(text) };
            let mut ids = Vec::new();
            loop {
                let page = search(&stage.server, request.clone()).await;
                assert!(page.events.len() <= page_size as usize && !page.events.is_empty());
                ids.extend(page.events.into_iter().map(|event| event.event_id));
                assert!(ids.len() <= whole.len(), "{text:?} by {page_size}: {ids:?}");
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(ids, whole, "{text:?} by {page_size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let stage = stage().await;
    let page = search(&stage.server, SearchEventsRequest { page_size: 1, ..query("") }).await;
    let token = page.next_page_token;
    // As another search, too.
    let request = SearchEventsRequest {
        query: "x".repeat(201),
        city: "y".repeat(101),
        start_time: Some(Timestamp { seconds: 0, nanos: -1 }),
        end_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        page_size: 201,
        page_token: token.clone(),
    };
    let told = refusal(stage.server.catalog.clone().search_events(request).await);
    assert_eq!(told.code, Code::InvalidArgument);
    let fields = ["query", "city", "start_time", "end_time", "page_size", "page_token"];
    assert_eq!(told.subjects, fields);
    let request = SearchEventsRequest { page_token: token, ..query("mozart") };
    let told = refusal(stage.server.catalog.clone().search_events(request).await);
    assert_eq!(told.subjects, ["page_token"]);
}

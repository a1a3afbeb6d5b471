//! Limits of calls: each to its edge and past it, on servers with small ones.

use std::fs;

use clap::Args;
use holdfast::{
    config::{Doors, Limits},
    limits as l,
    proto::{self, SeatStatus, reservation_service_client::ReservationServiceClient},
};
use tokio::{task::JoinSet, time::Instant};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::support::{
    EVENT, Server, Stage, Watcher, any_doors, eventually, hold_request, http::get, raw::Beginner,
    refusal, small_event,
};

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";

/// A server with these limits, beside the one of the stage.
async fn server_with(stage: &Stage, limits: Limits) -> Server {
    let doors = Doors { limits, ..any_doors() };
    Server::start_on(&doors, &stage.stores.settings()).await
}

/// A client with an address of its own.
async fn client_from(local: &str, server: &Server) -> ReservationServiceClient<Channel> {
    let url = format!("http://{}", server.app.grpc_addr);
    let endpoint = Endpoint::from_shared(url).unwrap().local_address(Some(local.parse().unwrap()));
    ReservationServiceClient::new(endpoint.connect().await.unwrap())
}

/// What an overloaded server tells: the code, and which limit.
fn overload(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(info.reason, "OVERLOADED", "{status:?}");
    let wait = details.retry_info().and_then(|info| info.retry_delay).expect("a time to wait");
    assert!(!wait.is_zero() && wait <= l::MAX_RETRY_DELAY * 3 / 2, "{wait:?}");
    (status.code(), info.metadata["limit"].clone())
}

async fn map(
    client: &ReservationServiceClient<Channel>,
) -> Result<proto::GetSeatMapResponse, Status> {
    let request = proto::GetSeatMapRequest { event_id: EVENT.into(), ..Default::default() };
    Ok(client.clone().get_seat_map(request).await?.into_inner())
}

/// What a call is refused for, as soon as it is.
async fn refused(client: &ReservationServiceClient<Channel>) -> (Code, String) {
    let ask = async || map(client).await.err().map(|status| overload(&status));
    eventually("too much is under way", ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_have_an_edge_and_behind_it_health_operators_and_streams_go_on() {
    let stage = Stage::new().await;
    let limits = Limits {
        max_calls: 6,
        max_calls_per_method: Some(5),
        max_calls_per_caller: Some(4),
        max_request_seconds: 600,
        ..Limits::default()
    };
    let server = server_with(&stage, limits).await;
    let addr = server.app.grpc_addr;
    let (here, elsewhere) =
        (client_from(HERE, &server).await, client_from(ELSEWHERE, &server).await);
    let (own, other) =
        (Beginner::connect(HERE, addr).await, Beginner::connect(ELSEWHERE, addr).await);

    // One caller's four: others are let in.
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(own.begin("ReservationService/GetHold").await);
    }
    let told = refused(&here).await;
    assert_eq!(told, (Code::ResourceExhausted, "max_calls_per_caller".into()));
    map(&elsewhere).await.unwrap();
    // One method's five: other methods are let in.
    let fifth = other.begin("ReservationService/GetHold").await;
    let told = eventually("the method is full", async || {
        let request = proto::GetHoldRequest { event_id: EVENT.into(), hold_id: String::new() };
        let status = elsewhere.clone().get_hold(request).await.unwrap_err();
        (status.code() == Code::Unavailable).then(|| overload(&status))
    })
    .await;
    assert_eq!(told.1, "max_calls_per_method");
    map(&elsewhere).await.unwrap();
    // Six in all.
    let sixth = other.begin("ReservationService/Confirm").await;
    assert_eq!(refused(&elsewhere).await, (Code::Unavailable, "max_calls".into()));

    // Whoever probes, operates, or watches is let in.
    let url = format!("http://{addr}");
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    server.create_event(small_event("another")).await.unwrap();
    let mut watcher = Watcher::open(here.clone(), EVENT, "").await.unwrap();
    watcher.snapshot().await;
    let metrics = get(server.app.http_addr, "/metrics").await.text();
    assert!(metrics.contains("holdfast_rpc_shed_total{limit=\"max_calls\"}"), "{metrics}");

    // What has ended makes room.
    drop((begun, fifth, sixth));
    eventually("there is room again", async || map(&here).await.ok()).await;
    server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    watcher.until("the change", |w| w.house.seats["A-1"] == SeatStatus::Held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_have_edges_of_their_own_and_leave_calls_alone() {
    let stage = Stage::new().await;
    let limits = Limits { max_streams: 3, max_streams_per_caller: Some(2), ..Limits::default() };
    let server = server_with(&stage, limits).await;
    let (here, elsewhere) =
        (client_from(HERE, &server).await, client_from(ELSEWHERE, &server).await);
    let watch = async |client: &ReservationServiceClient<Channel>| {
        let mut watcher = Watcher::open(client.clone(), EVENT, "").await?;
        watcher.snapshot().await;
        Ok::<_, Status>(watcher)
    };
    let (one, mut two) = (watch(&here).await.unwrap(), watch(&here).await.unwrap());
    let told = watch(&here).await.err().map(|status| overload(&status));
    assert_eq!(told, Some((Code::ResourceExhausted, "max_streams_per_caller".into())));
    let third = watch(&elsewhere).await.unwrap();
    let told = watch(&elsewhere).await.err().map(|status| overload(&status));
    assert_eq!(told, Some((Code::Unavailable, "max_streams".into())));

    // Calls do not wait for streams to end; those that are open go on.
    let hold = hold_request("ann", &["A-1"]);
    here.clone().hold(hold).await.unwrap();
    two.until("the change", |w| w.house.seats["A-1"] == SeatStatus::Held).await;
    drop((one, third));
    eventually("there is room again", async || watch(&here).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_so_many_calls_a_second_and_others_have_theirs() {
    let stage = Stage::new().await;
    let limits = Limits { max_calls_a_second_per_caller: 5, ..Limits::default() };
    let server = server_with(&stage, limits).await;
    let (here, elsewhere) =
        (client_from(HERE, &server).await, client_from(ELSEWHERE, &server).await);
    let (mut calls, begun) = (JoinSet::new(), Instant::now());
    for _ in 0..200 {
        let here = here.clone();
        calls.spawn(async move { map(&here).await.map(drop) });
    }
    let mut answered = 0;
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(()) => answered += 1,
            Err(status) => assert_eq!(
                overload(&status),
                (Code::ResourceExhausted, "max_calls_a_second_per_caller".into())
            ),
        }
    }
    let most = 5 + 5 * begun.elapsed().as_millis() / 1_000;
    assert!((5..=most).contains(&answered), "{answered} of {most}");
    map(&elsewhere).await.unwrap();
    // What operators alone may call does not count.
    server.create_event(small_event("another")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_health_takes_no_room_from_those_who_check_it() {
    let stage = Stage::new().await;
    let url = format!("http://{}", stage.server.app.grpc_addr);
    let connect = async || {
        let endpoint = Endpoint::from_shared(url.clone()).unwrap();
        HealthClient::new(endpoint.connect().await.unwrap())
    };
    let mut watches = Vec::new();
    while watches.len() <= l::MAX_PROBES as usize {
        let mut health = connect().await;
        for _ in 0..=l::DEFAULT_MAX_STREAMS_PER_CONNECTION / 2 {
            let watch = health.watch(HealthCheckRequest::default()).await.unwrap();
            watches.push(watch.into_inner());
        }
    }
    let mut health = connect().await;
    health.check(HealthCheckRequest::default()).await.unwrap();
    for watch in &mut watches {
        watch.message().await.unwrap().expect("it says how it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_an_edge() {
    let stage = Stage::new().await;
    let limits = Limits { max_header_bytes: 8 * 1024, ..Limits::default() };
    let server = server_with(&stage, limits).await;
    let ask = async |bytes: usize| {
        let mut request = Request::new(proto::GetSeatMapRequest {
            event_id: EVENT.into(),
            ..proto::GetSeatMapRequest::default()
        });
        request.metadata_mut().insert("x-long", "x".repeat(bytes).parse().unwrap());
        server.reservations.clone().get_seat_map(request).await.map(drop)
    };
    // The names and values of all others, with 32 bytes each, take less than 1 KB.
    ask(7 * 1024).await.unwrap();
    ask(8 * 1024).await.unwrap_err();
    ask(7 * 1024).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_come_is_not_waited_for() {
    let stage = Stage::new().await;
    let server = server_with(&stage, Limits { max_request_seconds: 1, ..Limits::default() }).await;
    let slow = Beginner::connect(HERE, server.app.grpc_addr).await;
    for method in ["ReservationService/Hold", "CatalogService/CreateEvent"] {
        let answer = slow.begin(method).await.answer.await.unwrap();
        let status = answer.headers().get("grpc-status").expect("the answer is its head alone");
        assert_eq!(status, "4", "{method}");
    }
    server.hold(hold_request("ann", &["A-1"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_have_an_edge() {
    let stage = Stage::new().await;
    // So long that the name alone is the message.
    let name_bytes = l::MAX_RESERVATION_REQUEST_BYTES - 4;
    for (bytes, why) in [(name_bytes, "event_id"), (name_bytes + 1, "")] {
        let event_id = "x".repeat(bytes);
        let request = proto::GetSeatMapRequest { event_id, ..Default::default() };
        let told = refusal(stage.server.reservations.clone().get_seat_map(request).await);
        assert_eq!((told.code, &*told.reason), (Code::InvalidArgument, "INVALID_FIELD"));
        assert_eq!(told.subjects, [why], "{bytes}");
    }
}

#[test]
fn the_table_of_limits_is_what_the_program_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SECURITY.md");
    let text = fs::read_to_string(path).unwrap();
    let number = |text: &str| -> Option<u64> { text.replace(',', "").parse().ok() };
    let row = |what: &str| -> Vec<String> {
        let row = text.lines().find(|line| line.starts_with('|') && line.contains(what));
        let row = row.unwrap_or_else(|| panic!("{what} is not in the table"));
        row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    // Every setting, with its default; three quarters where it has none of its own.
    let flags = Limits::augment_args(clap::Command::new("holdfast"));
    for flag in flags.get_arguments() {
        let name = flag.get_env().expect("every limit is a variable").to_str().unwrap();
        let row = row(&format!("`{name}`"));
        let default = flag.get_default_values().first().and_then(|text| text.to_str());
        match default {
            Some(default) => assert_eq!(number(&row[1]), number(default), "{name}: {row:?}"),
            None => assert_eq!(row[1], "3/4", "{name}"),
        }
    }
    // What is fixed.
    for (what, bound) in [
        ("Health checks", l::MAX_PROBES.into()),
        ("Health watches", l::MAX_WATCHES.into()),
        ("Reflection streams", l::MAX_REFLECTIONS.into()),
        ("Seconds of a reflection stream", l::REFLECTION_TIME.as_secs()),
        ("Operators' calls", l::MAX_OPERATOR_CALLS as u64),
        ("Bytes of a request to CatalogService", l::MAX_CATALOG_REQUEST_BYTES as u64),
        ("Bytes of any other request", l::MAX_RESERVATION_REQUEST_BYTES as u64),
        ("Streams reset before they are taken", l::MAX_PENDING_RESET_STREAMS as u64),
        ("Streams that break the protocol", l::MAX_BROKEN_STREAMS as u64),
        ("Calls given up at once", l::MAX_CALLS_GIVEN_UP),
        ("Seconds between PINGs", l::HTTP2_KEEPALIVE_INTERVAL.as_secs()),
        ("Seconds to answer a PING", l::HTTP2_KEEPALIVE_TIMEOUT.as_secs()),
        ("Seconds that nothing is read", l::STREAM_STALLED.as_secs()),
        ("Seconds for an HTTP request's head", l::HTTP_HEAD_TIMEOUT.as_secs()),
        ("Seconds for an HTTP request", l::HTTP_REQUEST_TIMEOUT.as_secs()),
        ("Seconds of an HTTP connection", l::HTTP_CONNECTION_AGE.as_secs()),
        ("Bytes of an HTTP request's head", l::MAX_HTTP_HEAD_BYTES as u64),
        ("Bytes of a payment callback", l::MAX_CALLBACK_BYTES as u64),
        ("Seat update streams", l::MAX_SUBSCRIBERS as u64),
        ("Position streams", l::MAX_QUEUE_STREAMS as u64),
    ] {
        let row = row(&format!("| {what} |"));
        assert_eq!(number(&row[1]), Some(bound), "{what}: {row:?}");
    }
}

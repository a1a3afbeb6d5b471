//! The doors beside the methods: health, reflection, gRPC-Web, HTTP, drain.

use std::time::Duration;

use holdfast::proto::{self, SeatStatus};
use prost::Message;
use tokio::time::{Instant, timeout};
use tonic::{Code, Request, codec::CompressionEncoding, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    EVENT, OwnStores, Server, Stage, code_and_reason, eventually, hold_request,
    http::{get, grpc_web},
    refusal,
};

const SERVICES: [&str; 3] = ["", "holdfast.v1.ReservationService", "holdfast.v1.CatalogService"];

async fn health(server: &Server, service: &str) -> ServingStatus {
    let url = format!("http://{}", server.app.grpc_addr);
    let mut client = HealthClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());
    let request = HealthCheckRequest { service: service.into() };
    client.check(request).await.unwrap().into_inner().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_probes_of_a_server_that_serves() {
    let stage = Stage::new().await;
    for service in SERVICES {
        assert_eq!(health(&stage.server, service).await, ServingStatus::Serving);
    }
    let http = stage.server.app.http_addr;
    assert!(get(http, "/livez").await.head.starts_with("HTTP/1.1 200"));
    let ready = get(http, "/readyz").await;
    assert!(ready.head.starts_with("HTTP/1.1 200"), "{ready:?}");
    assert!(ready.text().contains("\"postgres\":\"ok\""), "{ready:?}");
    assert!(get(http, "/elsewhere").await.head.starts_with("HTTP/1.1 404"));

    stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    for line in [
        concat!(
            "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",",
            "rpc_method=\"holdfast.v1.ReservationService/Hold\",rpc_response_status_code=\"OK\"}",
        ),
        "holdfast_store_up{store=\"redis\"}",
        "holdfast_job_runs_total{job=\"expire_holds\",result=\"ok\"}",
    ] {
        eventually(line, async || get(http, "/metrics").await.text().contains(line).then_some(()))
            .await;
    }
}

/// Waits until health says so; answers how long it took.
async fn health_turns(server: &Server, serving: ServingStatus) -> Duration {
    let begun = Instant::now();
    eventually("health turns", async || (health(server, "").await == serving).then_some(())).await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_stores() {
    let mut stores = OwnStores::start().await;
    let server = Server::start(&stores.stores()).await;
    server.create_event(crate::support::small_event(EVENT)).await.unwrap();
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let unwanted = server.hold(hold_request("ann", &["A-9"])).await.unwrap();

    stores.redis.stop().await;
    let took = health_turns(&server, ServingStatus::NotServing).await;
    assert!(took < Duration::from_secs(5), "Redis was missed after {took:?}");
    // The first call may have been sent before the connection was seen to break.
    let (code, reason) = code_and_reason(server.hold(hold_request("ann", &["A-2"])).await);
    assert_eq!(code, Code::Unavailable, "{reason}");
    let told = refusal(server.hold(hold_request("ann", &["A-3"])).await);
    assert_eq!((told.code, &*told.reason), (Code::Unavailable, "STORE_UNAVAILABLE"));
    assert_eq!(told.subjects, ["redis"]);
    // A change that Postgres has is not called undone.
    let paused =
        proto::Event { event_id: EVENT.into(), city: "Seoul".into(), ..Default::default() };
    let told = code_and_reason(server.update_event(paused, &[]).await);
    assert_eq!(told, (Code::Unavailable, "OUTCOME_UNKNOWN".into()));
    let ready = get(server.app.http_addr, "/readyz").await;
    assert!(ready.head.starts_with("HTTP/1.1 503"), "{ready:?}");
    assert!(get(server.app.http_addr, "/livez").await.head.starts_with("HTTP/1.1 200"));
    stores.start_redis().await;
    health_turns(&server, ServingStatus::Serving).await;
    assert_eq!(server.get_hold(EVENT, &hold.hold_id).await.unwrap(), hold);

    stores.postgres.stop().await;
    let took = health_turns(&server, ServingStatus::NotServing).await;
    assert!(took < Duration::from_secs(5), "Postgres was missed after {took:?}");
    // The hold is fenced already, and stays so.
    let told = refusal(server.confirm(&hold, "pay-1").await);
    assert_eq!((told.code, &*told.reason), (Code::Unavailable, "OUTCOME_UNKNOWN"));
    assert_eq!(told.subjects, ["postgres"]);
    // This one can end only.
    let told = refusal(server.release(&unwanted, &[], vec![]).await);
    assert_eq!((told.code, &*told.reason), (Code::Unavailable, "OUTCOME_UNKNOWN"));
    stores.start_postgres().await;
    health_turns(&server, ServingStatus::Serving).await;
    server.release(&unwanted, &[], vec![]).await.unwrap();
    server.confirm(&hold, "pay-1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_of_both_versions_describes_all() {
    use tonic_reflection::pb;
    let stage = Stage::new().await;
    let url = format!("http://{}", stage.server.app.grpc_addr);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();

    let mut v1 = pb::v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let ask = |request| pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    use pb::v1::{
        server_reflection_request::MessageRequest, server_reflection_response as v1_response,
    };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("holdfast.v1.HoldRequest".into())),
    ];
    let mut answers =
        v1.server_reflection_info(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let listed = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let v1_response::MessageResponse::ListServicesResponse(listed) = listed else {
        panic!("{listed:?}")
    };
    let names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
    for name in &SERVICES[1..] {
        assert!(names.iter().any(|listed| listed == name), "{name} of {names:?}");
    }
    let file = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let v1_response::MessageResponse::FileDescriptorResponse(file) = file else {
        panic!("{file:?}")
    };
    let file = String::from_utf8_lossy(&file.file_descriptor_proto[0]).into_owned();
    assert!(file.contains("The idempotency key"), "comments are described, too");

    let mut alpha = pb::v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let request = pb::v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            pb::v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut answers =
        alpha.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_requests_are_read_or_refused_for_what_they_are() {
    let stage = Stage::new().await;
    let mut client = stage.server.reservations.clone().send_compressed(CompressionEncoding::Gzip);
    client.hold(hold_request("ann", &["A-1"])).await.unwrap();

    let addr = stage.server.app.grpc_addr;
    let request = hold_request("ann", &["A-2"]).encode_to_vec();
    let odd = [("grpc-encoding", "br")];
    let answer = grpc_web(addr, "ReservationService/Hold", &odd, &request).await;
    let head = answer.head.to_lowercase();
    for part in ["grpc-status: 12", "compressed%20with%20%60br%60", "grpc-accept-encoding: gzip"] {
        assert!(head.contains(part), "{part} in {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_web_on_the_same_port() {
    let stage = Stage::new().await;
    let addr = stage.server.app.grpc_addr;
    let request = hold_request("ann", &["A-1"]);
    let origin = [("origin", "http://localhost:3000")];
    let answer = grpc_web(addr, "ReservationService/Hold", &origin, &request.encode_to_vec()).await;
    assert!(answer.head.starts_with("HTTP/1.1 200"), "{answer:?}");
    assert!(answer.head.to_lowercase().contains("access-control-allow-origin"), "{answer:?}");
    assert!(answer.text().contains(&request.hold_id), "{answer:?}");
    assert!(answer.text().contains("grpc-status:0"), "{answer:?}");
    assert_eq!(stage.server.house().await.count(SeatStatus::Held), 1);
    // An answer whose bytes are shared.
    let request = proto::GetSeatMapRequest { event_id: EVENT.into(), ..Default::default() };
    let method = "ReservationService/GetSeatMap";
    let answer = grpc_web(addr, method, &origin, &request.encode_to_vec()).await;
    assert!(answer.text().contains("J-10"), "{answer:?}");
    assert!(answer.text().contains("grpc-status:0"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_method_takes() {
    let stage = Stage::new().await;
    let addr = stage.server.app.grpc_addr;
    let status = |answer: &crate::support::http::Answer| {
        let text = format!("{}{}", answer.head, answer.text());
        let at = text.find("grpc-status:").unwrap_or_else(|| panic!("{answer:?}"));
        text[at + 12..].split(['\r', '\n']).next().unwrap().trim().to_owned()
    };
    // Not Protocol Buffers: INVALID_ARGUMENT, without the type's name.
    let answer = grpc_web(addr, "ReservationService/Hold", &[], b"\xff\xff\xff").await;
    assert_eq!(status(&answer), "3");
    let text = format!("{}{}", answer.head, answer.text());
    assert!(!text.contains("HoldRequest"), "{text}");
    // No such method, no such service.
    for method in ["ReservationService/Steal", "NoService/Hold"] {
        let answer = grpc_web(addr, method, &[], b"").await;
        assert_eq!(status(&answer), "12", "{method}");
        let text = format!("{}{}", answer.head, answer.text());
        assert!(text.contains("grpc-status-details-bin"), "{text}");
    }
    // Too long.
    let mut request = hold_request("ann", &["A-1"]);
    request.seat_ids = vec!["x".repeat(1_000); 5_000];
    let told = refusal(stage.server.hold(request).await);
    assert_eq!((told.code, &*told.reason), (Code::InvalidArgument, "INVALID_FIELD"));
}

/// Holds back every sale of the event until it is dropped.
async fn block_sales(stage: &Stage) -> tokio_postgres::Client {
    let blocker = stage.stores.postgres().await;
    blocker.batch_execute("BEGIN; SELECT FROM events FOR UPDATE").await.unwrap();
    blocker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_call_but_not_the_sale() {
    let stage = Stage::new().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let blocker = block_sales(&stage).await;
    let request = proto::ConfirmRequest {
        event_id: EVENT.into(),
        hold_id: hold.hold_id.clone(),
        holder_id: "ann".into(),
        payment_reference: "pay-1".into(),
    };
    let timeout = [("grpc-timeout", "200m")];
    let addr = stage.server.app.grpc_addr;
    let answer =
        grpc_web(addr, "ReservationService/Confirm", &timeout, &request.encode_to_vec()).await;
    let text = format!("{}{}", answer.head, answer.text());
    assert!(text.contains("grpc-status: 4") || text.contains("grpc-status:4"), "{text}");

    // The caller has gone; what was begun goes through.
    blocker.batch_execute("COMMIT").await.unwrap();
    eventually("the sale", async || {
        (stage.server.house().await.count(SeatStatus::Sold) == 1).then_some(())
    })
    .await;
    stage.server.confirm(&hold, "pay-1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_lets_calls_finish() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let blocker = block_sales(&stage).await;
    let mut client = other.reservations.clone();
    let request = Request::new(proto::ConfirmRequest {
        event_id: EVENT.into(),
        hold_id: hold.hold_id.clone(),
        holder_id: "ann".into(),
        payment_reference: "pay-1".into(),
    });
    let in_flight = tokio::spawn(async move { client.confirm(request).await });
    eventually("the sale is under way", async || {
        let hold = stage.server.get_hold(EVENT, &hold.hold_id).await.unwrap();
        (hold.state() == proto::HoldState::Confirming).then_some(())
    })
    .await;

    let addr = other.app.grpc_addr;
    let stopped = tokio::spawn(other.app.stop());
    eventually("the door closes", async || {
        tokio::net::TcpStream::connect(addr).await.is_err().then_some(())
    })
    .await;
    blocker.batch_execute("COMMIT").await.unwrap();
    let order = in_flight.await.unwrap().unwrap().into_inner().order.unwrap();
    assert_eq!(order.hold_id, hold.hold_id);
    timeout(Duration::from_secs(10), stopped).await.expect("in time").unwrap();
}

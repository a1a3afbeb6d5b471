//! Drain: a server that is sent away says so, ends its streams, and serves what comes.

use std::{net::SocketAddr, process::Output, time::Duration};

use bytes::Bytes;
use holdfast::{
    config::{Doors, Limits},
    proto::{
        ConfirmRequest, ConfirmResponse, DrainRequest, Hold, HoldState, SeatStatus,
        StreamSeatUpdatesRequest, reservation_service_client::ReservationServiceClient,
    },
};
use prost::Message as _;
use tokio::{io::AsyncWriteExt, net::TcpStream, process::Command, task::JoinHandle, time::timeout};
use tonic::{Response, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::{
    operator::operators,
    support::{
        EVENT, Server, Stage, Watcher, any_doors, eventually, hold_request,
        http::get,
        raw::{DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, frame, head_of},
        refusal,
    },
};

async fn drain(server: &Server) -> i32 {
    operators(server).await.drain(DrainRequest {}).await.unwrap().into_inner().calls_in_flight
}

/// The command, and what it said.
async fn command(addr: SocketAddr, args: &[&str]) -> (i32, String) {
    let url = format!("http://{addr}");
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["drain", "--server", &url])
        .args(args)
        .output()
        .await
        .unwrap();
    let said = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    (status.code().unwrap(), said.concat())
}

/// Why a stream ends.
async fn last_word(watcher: &mut Watcher) -> String {
    loop {
        match watcher.next().await {
            Ok(Some(_)) => {}
            last => return refusal(last.map(|_| ())).reason,
        }
    }
}

/// A sale that is under way once this returns.
async fn begin_sale(
    server: &Server,
    other: &Server,
    hold: &Hold,
) -> JoinHandle<Result<Response<ConfirmResponse>, Status>> {
    let mut client = server.reservations.clone();
    let request = ConfirmRequest {
        event_id: EVENT.into(),
        hold_id: hold.hold_id.clone(),
        holder_id: hold.holder_id.clone(),
        payment_reference: "pay-1".into(),
    };
    let sale = tokio::spawn(async move { client.confirm(request).await });
    eventually("it is fenced", async || {
        let hold = other.get_hold(EVENT, &hold.hold_id).await.ok()?;
        (hold.state() == HoldState::Confirming).then_some(())
    })
    .await;
    sale
}

/// A hold that is made, and a stream that is opened, on a connection that comes late.
async fn served_late(server: &Server) -> Hold {
    let url = format!("http://{}", server.app.grpc_addr);
    let mut client = ReservationServiceClient::connect(url).await.unwrap();
    let hold = client.hold(hold_request("bob", &["B-1"])).await.unwrap();
    let mut watcher = Watcher::open(client.clone(), EVENT, "").await.unwrap();
    assert_eq!(last_word(&mut watcher).await, "SERVER_DRAINING");
    client.hold(hold_request("bob", &["B-2"])).await.unwrap();
    hold.into_inner().hold.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_so_and_serves_what_comes() {
    let stage = Stage::new().await;
    let (server, other) = (stage.another_server().await, &stage.server);
    let addr = server.app.grpc_addr;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;
    let url = format!("http://{addr}");
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    // Somebody who does nothing now.
    let idle = TcpStream::connect(addr).await.unwrap();
    let (idle_calls, idle) = h2::client::handshake(idle).await.unwrap();
    let _: &h2::client::SendRequest<Bytes> = &idle_calls;
    let idle = tokio::spawn(idle);
    // And a sale that has to wait.
    let blocker = stage.stores.postgres().await;
    blocker.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let sale = begin_sale(&server, other, &hold).await;

    drain(&server).await;
    assert_eq!(last_word(&mut watcher).await, "SERVER_DRAINING");
    watcher.resume_at(other.reservations.clone()).await;
    while let Ok(Some(told)) = watch.message().await {
        assert_eq!(told.status(), ServingStatus::NotServing);
    }
    let told = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(told.status(), ServingStatus::NotServing);
    assert!(get(server.app.http_addr, "/readyz").await.head.starts_with("HTTP/1.1 503"));
    assert!(get(server.app.http_addr, "/livez").await.head.starts_with("HTTP/1.1 200"));
    timeout(Duration::from_secs(20), idle).await.expect("it is asked to go").unwrap().unwrap();

    // The sale is still under way, and nothing else; who has no other server is served.
    eventually("the stream is gone", async || (drain(&server).await == 1).then_some(())).await;
    let (code, said) = command(addr, &[]).await;
    assert_eq!((code, &*said), (0, "draining: 1 call(s) in flight\n"));
    let (code, said) = command(addr, &["--wait", "--timeout", "1"]).await;
    assert_eq!(code, 1, "{said}");
    let late = served_late(&server).await;
    blocker.batch_execute("COMMIT").await.unwrap();
    sale.await.unwrap().unwrap();
    let (code, said) = command(addr, &["--wait"]).await;
    assert!(code == 0 && said.ends_with("draining: 0 call(s) in flight\n"), "{code}: {said}");
    other.release(&late, &[], vec![]).await.unwrap();
    watcher.until("it is sold", |w| w.house.seats["A-1"] == SeatStatus::Sold).await;

    server.app.stop().await;
    assert!(TcpStream::connect(addr).await.is_err(), "the door is closed");
    let (code, said) = command(addr, &[]).await;
    assert!(code == 2 && said.starts_with("holdfast: cannot drain http://"), "{code}: {said}");
    // What one server was asked, the other was not.
    assert!(get(other.app.http_addr, "/readyz").await.head.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_what_there_is_does_not_hold_it_up() {
    let stage = Stage::new().await;
    let server = stage.another_server().await;
    let url = format!("http://{}", server.app.grpc_addr);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = ServerReflectionClient::new(channel);
    // He has no question yet.
    let answers = client.server_reflection_info(tokio_stream::pending()).await.unwrap();
    let mut answers = answers.into_inner();
    eventually("it rests", async || (drain(&server).await == 0).then_some(())).await;
    let last = timeout(Duration::from_secs(20), answers.message()).await.expect("it ends");
    assert!(matches!(last, Ok(None)), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_came_after_the_connection_was_told_to_go_is_ended() {
    let stage = Stage::new().await;
    let limits = Limits { max_idle_seconds: 1, ..Limits::default() };
    let doors = Doors { limits, ..any_doors() };
    let server = Server::start_on(&doors, &stage.stores.settings()).await;
    let mut client = Frames::connect(server.app.grpc_addr).await;
    let call = head_of("ReservationService/Steal");
    let call = frame(HEADERS, END_HEADERS | END_STREAM, 1, &call);
    client.0.write_all(&call).await.unwrap();
    // It does not answer the PING that comes with it, as if both had crossed.
    until(&mut client, |frame| frame.kind == GOAWAY).await;
    let request =
        StreamSeatUpdatesRequest { event_id: EVENT.into(), ..Default::default() }.encode_to_vec();
    let mut message = vec![0, 0, 0, 0, u8::try_from(request.len()).unwrap()];
    message.extend(request);
    let mut call = frame(HEADERS, END_HEADERS, 3, &head_of("ReservationService/StreamSeatUpdates"));
    call.extend(frame(DATA, END_STREAM, 3, &message));
    client.0.write_all(&call).await.unwrap();
    until(&mut client, |frame| frame.kind == DATA).await;
    drain(&server).await;
    until(&mut client, |frame| frame.kind == HEADERS && frame.flags & END_STREAM != 0).await;
}

/// Reads until a frame comes.
async fn until(client: &mut Frames, is_it: impl Fn(&Frame) -> bool) {
    while !is_it(&client.next().await.expect("the connection goes on")) {}
}

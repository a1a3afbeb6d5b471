//! Traces: what a collector hears of a call.

use std::collections::HashSet;

use holdfast::proto::{self, reservation_service_client::ReservationServiceClient};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::{net::TcpListener, process::Command};
use tonic::{Request, transport::Channel};

use crate::support::{
    EVENT, Stores,
    collector::{Collector, attribute},
    eventually, hold_request,
    process::Process,
    small_event,
};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traced<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("00-{TRACE_ID}-{PARENT}-{flags}");
    request.metadata_mut().insert("traceparent", header.parse().unwrap());
    request
}

async fn start(stores: &Stores, endpoint: &str, sampler: [&str; 2]) -> Process {
    let set = |command: &mut Command| {
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_TRACES_SAMPLER", sampler[0])
            .env("OTEL_TRACES_SAMPLER_ARG", sampler[1])
            .args(["--log", "warn"]);
    };
    let process = Process::start_with(stores, set).await;
    process.catalog.clone().create_event(small_event(EVENT)).await.unwrap();
    process
}

async fn hold(
    client: &mut ReservationServiceClient<Channel>,
    seat: &str,
    flags: &str,
) -> proto::Hold {
    let request = traced(hold_request("ann", &[seat]), flags);
    client.hold(request).await.unwrap().into_inner().hold.unwrap()
}

fn confirm_of(hold: &proto::Hold) -> proto::ConfirmRequest {
    proto::ConfirmRequest {
        event_id: hold.event_id.clone(),
        hold_id: hold.hold_id.clone(),
        holder_id: hold.holder_id.clone(),
        payment_reference: "pay-of-a-secret".into(),
    }
}

/// A span and its children, each as its name and those below it.
fn tree(spans: &[Span], parent: &str) -> Vec<String> {
    let mut below: Vec<&Span> =
        spans.iter().filter(|span| hex::encode(&span.parent_span_id) == parent).collect();
    below.sort_by_key(|span| span.start_time_unix_nano);
    let lines = |span: &Span| {
        let children = tree(spans, &hex::encode(&span.span_id));
        let children = children.into_iter().map(|line| format!("  {line}"));
        std::iter::once(span.name.clone()).chain(children).collect::<Vec<_>>()
    };
    below.into_iter().flat_map(lines).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_trace_goes_on_to_scripts_and_statements() {
    let (stores, collector) = (Stores::new().await, Collector::start().await);
    let process = start(&stores, &collector.url(), ["parentbased_always_off", ""]).await;
    let mut client = ReservationServiceClient::new(process.channel.clone());
    let unsampled = hold(&mut client, "B-1", "00").await;
    let held = hold(&mut client, "A-1", "01").await;
    client.confirm(traced(confirm_of(&held), "01")).await.unwrap();
    // Its failure has the reason, and the ids.
    let again = confirm_of(&proto::Hold { holder_id: "bob".into(), ..held.clone() });
    client.confirm(traced(again, "01")).await.unwrap_err();
    // What is queued at the end is told before it.
    process.stop().await;

    let spans = collector.of_trace(TRACE_ID);
    assert_eq!(collector.spans().len(), spans.len(), "nothing else was sampled");
    let told = tree(&spans, PARENT);
    let text = told.join("\n");
    for (line, below) in [
        ("holdfast.v1.ReservationService/Hold", "  flow hold"),
        ("  flow hold", "    wait hold"),
        ("    wait hold", "      together hold"),
        ("      together hold", "        redis hold"),
        ("holdfast.v1.ReservationService/Confirm", "  flow confirm"),
    ] {
        let at = told.iter().position(|told| told == line).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(told[at + 1], below, "{text}");
    }
    for line in
        ["    redis confirm", "    wait confirm", "      postgres confirm_new", "    redis finish"]
    {
        assert!(told.iter().any(|told| told == line), "{line} in\n{text}");
    }
    let calls: Vec<&Span> =
        spans.iter().filter(|span| hex::encode(&span.parent_span_id) == PARENT).collect();
    let codes: HashSet<_> =
        calls.iter().map(|span| attribute(span, "rpc.response.status_code").unwrap()).collect();
    assert_eq!(codes, HashSet::from(["OK".to_owned(), "NOT_FOUND".to_owned()]), "{text}");
    let failed = calls.iter().find(|span| attribute(span, "holdfast.reason").is_some()).unwrap();
    assert_eq!(attribute(failed, "holdfast.reason").unwrap(), "HOLD_NOT_FOUND");
    assert_eq!(attribute(failed, "holdfast.hold_id").unwrap(), held.hold_id);
    // No holder, no payment, no key.
    let all = format!("{spans:?}");
    for secret in ["ann", "bob", "pay-of-a-secret", &unsampled.hold_id] {
        assert!(!all.contains(&format!("\"{secret}")), "{secret} in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_made_together_link_to_each_other() {
    let (stores, collector) = (Stores::new().await, Collector::start().await);
    let process = start(&stores, &collector.url(), ["parentbased_always_off", ""]).await;
    let client = ReservationServiceClient::new(process.channel.clone());
    let seats = ('A'..='J').flat_map(|row| (1..=10).map(move |n| format!("{row}-{n}")));
    let holds = seats.map(|seat| {
        let mut client = client.clone();
        tokio::spawn(async move { hold(&mut client, &seat, "01").await })
    });
    for hold in holds.collect::<Vec<_>>() {
        hold.await.unwrap();
    }
    process.stop().await;
    let spans = collector.of_trace(TRACE_ID);
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let ids = |spans: &[&Span]| spans.iter().map(|s| s.span_id.clone()).collect::<HashSet<_>>();
    let (waits, together) = (named("wait hold"), named("together hold"));
    assert_eq!(waits.len(), 100);
    assert!(together.len() < 100, "some went together");
    let links = together.iter().flat_map(|span| &span.links).map(|link| link.span_id.clone());
    assert_eq!(links.collect::<HashSet<_>>(), ids(&waits), "each is linked to");
    assert_eq!(named("redis hold").len(), together.len(), "one script call each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_silent_harms_nobody() {
    // It takes connections, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let process = start(&Stores::new().await, &silent, ["always_on", ""]).await;
    let mut client = ReservationServiceClient::new(process.channel.clone());
    // Each leaves some ten spans: more than the queue has room for.
    for _ in 0..holdfast::limits::SPAN_QUEUE / 8 {
        let held = hold(&mut client, "A-1", "01").await;
        let release = proto::ReleaseRequest {
            event_id: held.event_id,
            hold_id: held.hold_id,
            holder_id: held.holder_id,
            ..Default::default()
        };
        client.release(release).await.unwrap();
    }
    // Where they come slowly they have room, until the exporter gives up on a batch.
    eventually("spans are dropped, and counted", async || {
        let page = process.metrics().await;
        let counts = page.lines().filter(|line| line.starts_with("holdfast_spans_dropped_total{"));
        counts.map(|line| line.ends_with(" 0")).any(|is_none| !is_none).then_some(())
    })
    .await;
    process.stop().await;
}

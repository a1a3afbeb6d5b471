//! `holdfast dev`, the binary: one command for all, and nothing left behind.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use holdfast::proto::{
    GetHoldRequest, GetSeatMapRequest, HoldState, SeatStatus,
    catalog_service_client::CatalogServiceClient,
    reservation_service_client::ReservationServiceClient,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use serde_json::{Value, json};

use crate::support::{
    eventually, hold_request,
    http::{Answer, get, send},
};

struct Dev {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
    http: Option<SocketAddr>,
}

impl Dev {
    async fn start(data_dir: &Path) -> Self {
        let mut process = command(data_dir).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut steps = Vec::new();
        let told = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let done = line.starts_with("Ctrl-C");
                steps.push(line);
                if done {
                    break;
                }
            }
        };
        timeout(Duration::from_secs(60), told).await.expect("it starts");
        let text = steps.join("\n");
        for step in ["redis", "postgres", "schema", "server", "demo event", "/Hold", "/ops"] {
            assert!(text.contains(step), "{step} is not told in\n{text}");
        }
        let addr = text.split("gRPC on ").nth(1).unwrap().split(',').next().unwrap();
        let http = text.split("HTTP on ").nth(1).unwrap().split_whitespace().next().unwrap();
        Self { process, lines, url: format!("http://{addr}"), http: http.parse().ok() }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    async fn ended(mut self) -> std::process::ExitStatus {
        let status = timeout(Duration::from_secs(10), self.process.wait()).await;
        let status = status.expect("within 10 s").unwrap();
        while self.lines.next_line().await.unwrap().is_some() {}
        status
    }
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command
        .args(["dev", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(data_dir)
        .kill_on_drop(true);
    command
}

/// Processes that have the directory in their command line.
fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.canonicalize().unwrap().display().to_string();
    let listed = std::process::Command::new("ps").args(["-A", "-ww", "-o", "pid=,args="]).output();
    String::from_utf8_lossy(&listed.unwrap().stdout)
        .lines()
        .filter(|line| line.contains(&dir) && !line.contains("holdfast dev"))
        .map(str::to_owned)
        .collect()
}

fn data_dir() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let data = dir.path().join("data");
    (dir, data)
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_stops_and_keeps_its_data() {
    let (_dir, data) = data_dir();
    let dev = Dev::start(&data).await;
    assert!(!processes_of(&data).is_empty());
    let mut client = ReservationServiceClient::connect(dev.url.clone()).await.unwrap();
    let mut request = hold_request("ann", &["parterre-left:1:1"]);
    request.event_id = "demo".into();
    let hold = client.hold(request).await.unwrap().into_inner().hold.unwrap();

    // A second one on the same data is told so, and does no harm.
    let second = command(&data).output().await.unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by another"), "{said}");

    dev.signal(Signal::SIGTERM);
    assert!(dev.ended().await.success());
    assert_eq!(processes_of(&data), Vec::<String>::new());

    let dev = Dev::start(&data).await;
    let mut client = ReservationServiceClient::connect(dev.url.clone()).await.unwrap();
    let get = GetHoldRequest { event_id: "demo".into(), hold_id: hold.hold_id.clone() };
    let again = client.get_hold(get).await.unwrap().into_inner().hold.unwrap();
    assert_eq!(again, hold);
    assert_eq!(again.state(), HoldState::Active);
    dev.signal(Signal::SIGINT);
    assert!(dev.ended().await.success());
    assert_eq!(processes_of(&data), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_while_it_starts_it_leaves_nothing_either() {
    for step in ["data directory", "redis", "postgres", "schema", "server"] {
        let (_dir, data) = data_dir();
        let mut process = command(&data).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        while !lines.next_line().await.unwrap().expect("it goes on").contains(step) {}
        let dev = Dev { process, lines, url: String::new(), http: None };
        dev.signal(Signal::SIGINT);
        assert!(dev.ended().await.success(), "after {step}");
        assert_eq!(processes_of(&data), Vec::<String>::new(), "after {step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_it_leaves_no_child_behind() {
    let (_dir, data) = data_dir();
    let dev = Dev::start(&data).await;
    CatalogServiceClient::connect(dev.url.clone()).await.unwrap();
    assert!(processes_of(&data).len() >= 2);
    dev.signal(Signal::SIGKILL);
    assert!(!dev.ended().await.success());
    eventually("the stores end", async || processes_of(&data).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_is_told() {
    let (_dir, data) = data_dir();
    let dev = Dev::start(&data).await;
    let redis = processes_of(&data)
        .into_iter()
        .find(|line| line.contains("redis-server") && !line.contains("sh -c"));
    let pid = redis.unwrap().split_whitespace().next().unwrap().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert!(!dev.ended().await.success());
    assert_eq!(processes_of(&data), Vec::<String>::new());
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn rush(http: SocketAddr, verb: &str, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"event_id": "demo"}).to_string();
    send(http, verb, "/demo/rush", headers, body.as_bytes()).await
}

fn is_running(answer: &Answer) -> bool {
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    told["running"].as_bool().unwrap()
}

/// Seats of the demo that are not free.
async fn taken(dev: &Dev) -> usize {
    let mut client = ReservationServiceClient::connect(dev.url.clone()).await.unwrap();
    let request = GetSeatMapRequest { event_id: "demo".into(), ..Default::default() };
    let map = client.get_seat_map(request).await.unwrap().into_inner();
    map.seats.iter().filter(|seat| seat.status() != SeatStatus::Available).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_is_begun_watched_and_ended_by_this_very_page() {
    let (_dir, data) = data_dir();
    let dev = Dev::start(&data).await;
    let http = dev.http.unwrap();
    let ours = format!("http://{http}");
    let (ours, theirs) = (("origin", ours.as_str()), ("origin", "https://elsewhere.example"));
    let told = get(http, "/page.json").await;
    assert_eq!(serde_json::from_slice::<Value>(&told.body).unwrap()["rush"], true);

    for (headers, code) in [
        (&[][..], "415"),
        (&[("content-type", "text/plain"), ours], "415"),
        (&[JSON, theirs], "403"),
        (&[JSON, ("origin", "null")], "403"),
    ] {
        let answer = rush(http, "POST", headers).await;
        assert_eq!(&answer.head[9..12], code, "{headers:?}: {answer:?}");
    }
    assert!(!is_running(&get(http, "/demo/rush").await));
    assert_eq!(taken(&dev).await, 0);
    // Another site's page asks before it sends JSON, and is not told that it may.
    let asks = [theirs, ("access-control-request-method", "POST")];
    let answer = rush(http, "OPTIONS", &asks).await;
    assert!(!answer.head.to_lowercase().contains("access-control-allow"), "{answer:?}");

    let answer = rush(http, "POST", &[JSON, ours]).await;
    assert!(answer.head.starts_with("HTTP/1.1 202") && is_running(&answer), "{answer:?}");
    let again = rush(http, "POST", &[JSON]).await;
    assert!(again.head.starts_with("HTTP/1.1 409"), "{again:?}");
    eventually("people come", async || (taken(&dev).await > 100).then_some(())).await;
    assert_eq!(&rush(http, "DELETE", &[theirs]).await.head[9..12], "403");
    assert!(is_running(&get(http, "/demo/rush").await));
    assert_eq!(&rush(http, "DELETE", &[ours]).await.head[9..12], "200");
    let told = eventually("it ends", async || {
        let told = get(http, "/demo/rush").await;
        (!is_running(&told)).then_some(told)
    })
    .await;
    assert!(told.text().contains("seats sold "), "{told:?}");

    // The next one ends with the server.
    let answer = rush(http, "POST", &[JSON]).await;
    assert!(answer.head.starts_with("HTTP/1.1 202"), "{answer:?}");
    let sale = format!("http://{}", dev.url.trim_start_matches("http://"));
    let running = || {
        let listed = std::process::Command::new("ps").args(["-A", "-ww", "-o", "args="]).output();
        let listed = String::from_utf8_lossy(&listed.unwrap().stdout).into_owned();
        listed.lines().any(|line| line.contains("load sale") && line.contains(&sale))
    };
    eventually("it runs", async || running().then_some(())).await;
    dev.signal(Signal::SIGKILL);
    assert!(!dev.ended().await.success());
    eventually("it ends, too", async || (!running()).then_some(())).await;
}

//! Hold and Confirm beside what a team would write in a week: `benches/peer/`.

use std::{fmt::Write as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::{
    net::TcpStream,
    process::Command,
    sync::Mutex,
    time::{Instant, sleep},
};
use tokio_postgres::NoTls;

use super::{
    events::{self, HOLDER, Place, confirm_bodies, places, seat_id},
    hold::{Called, call_of, hold},
    load::in_flight,
    options::Scale,
    results::Results,
    stage::{Stage, free_addr},
    wire::CONFIRM,
};

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer");
const REQUIREMENTS: &str = include_str!("../peer/requirements.txt");
const WORKERS: &str = "4";
const REDIS: u32 = 200;
const MANY: usize = 512;
const FEW: usize = 64;
const START: Duration = Duration::from_secs(30);

/// Rows `hold_to_peer` and `confirm_to_peer`.
pub async fn run(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    if Command::new("python3").arg("--version").output().await.is_err() {
        println!("  left out: there is no python3");
        return Ok(());
    }
    let server = stage.serve(0, &[]).await?;
    let addr = start(stage).await?;
    for round in 0..rounds {
        println!("  peer, round {}", round + 1);
        let name = format!("show-{round}");
        let event_id = events::create(&server, &name, scale.peer_calls).await?;
        let places = places(&[event_id], 0, scale.peer_calls);
        for (path, workers, row, unit) in [
            ("/holds", MANY, "hold_to_peer", "Hold, 512 in flight, beside the peer"),
            ("/confirms", FEW, "confirm_to_peer", "Confirm, 64 in flight, beside the peer"),
        ] {
            let call = peer_call(&addr, path, workers, &places).await?;
            stage.settle().await?;
            let theirs = in_flight(places.len(), workers, call).await?.rate;
            results.figure(&format!("FastAPI, 4 workers: {path}"), theirs, "calls/s");
            stage.settle().await?;
            let ours = match path {
                "/holds" => hold(&server, &places, workers).await?.rate,
                _ => {
                    let call = call_of(&server, CONFIRM, confirm_bodies(&places))?;
                    in_flight(places.len(), workers, call).await?.rate
                }
            };
            results.figure(unit, ours, "calls/s");
            results.ratio(row, ours / theirs)?;
        }
    }
    Ok(())
}

/// Starts the service; answers where it listens.
async fn start(stage: &mut Stage) -> anyhow::Result<String> {
    let python = python().await?;
    stage.postgres.create_database("peer").await?;
    let url = stage.postgres.url("peer");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(include_str!("../peer/schema.sql")).await?;
    let addr = free_addr()?;
    let (host, port) = addr.split_once(':').context("an address")?;
    let redis = stage.redis.url_of(REDIS).replace("redis+unix://", "unix://");
    let (postgres, redis) = (format!("PEER_POSTGRES={url}"), format!("PEER_REDIS={redis}"));
    let command = ["env", &postgres, &redis, "PYTHONDONTWRITEBYTECODE=1", &python, "-m", "uvicorn"];
    let options = ["app:app", "--app-dir", DIR, "--host", host, "--port", port];
    let more = ["--workers", WORKERS, "--no-access-log", "--log-level", "warning"];
    stage.spawn("peer", &[&command[..], &options, &more].concat()).await?;
    let deadline = Instant::now() + START;
    while let Err(error) = ask(&mut connect(&addr).await, "/health", Bytes::new()).await {
        ensure!(Instant::now() < deadline, "the peer does not answer: {error}");
        stage.is_alive()?;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(addr)
}

/// A Python with what the peer needs, installed once below `target/`.
async fn python() -> anyhow::Result<String> {
    let digest = hex::encode(&Sha256::digest(REQUIREMENTS)[..6]);
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let venv = target.join(format!("peer-{digest}"));
    let python = venv.join("bin/python").display().to_string();
    let done = venv.join("installed");
    if !done.exists() {
        println!("    installing the peer's packages");
        run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)).await?;
        let requirements = format!("{DIR}/requirements.txt");
        let install = ["-m", "pip", "install", "--quiet", "-r", &requirements];
        run_quietly(Command::new(&python).args(install)).await?;
        std::fs::write(done, "")?;
    }
    Ok(python)
}

async fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    let output = command.kill_on_drop(true).output().await.context("cannot run Python")?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(said, "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}");
    Ok(())
}

type Line = Result<SendRequest<Full<Bytes>>, anyhow::Error>;

async fn connect(addr: &str) -> Line {
    let tcp = TcpStream::connect(addr).await?;
    tcp.set_nodelay(true)?;
    let (send, connection) = handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);
    Ok(send)
}

/// A call, which must be answered OK.
async fn ask(line: &mut Line, path: &'static str, body: Bytes) -> anyhow::Result<()> {
    let line = line.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?;
    line.ready().await?;
    let request = Request::post(path)
        .header("host", "peer")
        .header("content-type", "application/json")
        .body(Full::new(body))?;
    let response = line.send_request(request).await?;
    let status = response.status();
    let said = response.into_body().collect().await?.to_bytes();
    ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&said));
    Ok(())
}

/// Calls by worker and number; each worker keeps a connection of its own, as
/// HTTP/1.1 has one call at a time.
async fn peer_call(
    addr: &str,
    path: &'static str,
    workers: usize,
    places: &[Place],
) -> anyhow::Result<impl Fn(usize, usize) -> Called + Clone + use<>> {
    let mut lines = Vec::new();
    for _ in 0..workers {
        lines.push(Mutex::new(connect(addr).await));
    }
    let body = |place: &Place| {
        serde_json::json!({
            "event_id": &*place.event_id,
            "seat_ids": [seat_id(place.seat)],
            "holder_id": HOLDER,
            "hold_id": place.hold_id.to_string(),
        })
    };
    let bodies: Vec<Bytes> = places.iter().map(|place| body(place).to_string().into()).collect();
    let (lines, bodies) = (Arc::new(lines), Arc::new(bodies));
    Ok(move |worker: usize, i: usize| -> Called {
        let (lines, bodies) = (lines.clone(), bodies.clone());
        Box::pin(async move {
            let mut line = lines[worker].lock().await;
            ask(&mut line, path, bodies[i].clone()).await
        })
    })
}

//! Two servers, each restarted in turn while they are under load: no call fails for who
//! calls again by the service config that comes with Holdfast.
//!
//! `make rolling-restart` does it five times, and prints the counts.

use std::{env, net::SocketAddr, path::Path, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::{Stores, eventually, http::get, redis_fleet::free_port};

/// How often each server is restarted, where it is not once.
const ROUNDS: &str = "HOLDFAST_ROLLING_ROUNDS";

/// `holdfast serve`, always at the same addresses.
struct Node {
    grpc: SocketAddr,
    http: SocketAddr,
    child: Child,
}

fn serve(stores: &Stores, grpc: SocketAddr, http: SocketAddr) -> Child {
    Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["serve", "--log", "error", "--grpc-addr", &grpc.to_string()])
        .args(["--http-addr", &http.to_string()])
        .env("HOLDFAST_POSTGRES_URL", &stores.postgres_url)
        .env("HOLDFAST_REDIS_URL", &stores.redis_url)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl Node {
    async fn start(stores: &Stores) -> Self {
        let [grpc, http] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let node = Self { grpc, http, child: serve(stores, grpc, http) };
        node.ready().await;
        node
    }

    async fn ready(&self) {
        eventually("it is ready", async || {
            tokio::net::TcpStream::connect(self.http).await.ok()?;
            let answer = get(self.http, "/readyz").await;
            answer.head.starts_with("HTTP/1.1 200").then_some(())
        })
        .await;
    }

    fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// As an operator does it, or a preStop hook.
    async fn restart(&mut self, stores: &Stores) {
        let drained = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["drain", "--wait", "--server", &self.url()])
            .output()
            .await
            .unwrap();
        assert!(drained.status.success(), "{drained:?}");
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed());
        kill(pid, Signal::SIGTERM).unwrap();
        assert!(self.child.wait().await.unwrap().success());
        self.child = serve(stores, self.grpc, self.http);
        self.ready().await;
        // The next one goes only when this one has its part of the work again.
        eventually("it is called again", async || {
            let page = get(self.http, "/metrics").await.text();
            page.contains("ReservationService/Hold").then_some(())
        })
        .await;
    }
}

fn load(nodes: &[Node; 2], args: &str) -> Child {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/service-config.json");
    let [first, second] = [nodes[0].url(), nodes[1].url()];
    Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .arg("load")
        .args(args.split(' '))
        .args(["--server", &first, "--server", &second, "--check", "--json", "--retry"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Ends a load, and answers what it told.
async fn end(load: Child) -> Value {
    // It may have come to its end by itself.
    if let Some(pid) = load.id() {
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT);
    }
    let output = load.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{why}");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_for_who_calls_again() {
    let rounds: usize = env::var(ROUNDS).map_or(1, |text| text.parse().unwrap());
    let stores = Stores::new().await;
    let mut nodes = [Node::start(&stores).await, Node::start(&stores).await];
    let calls = 1_500 * rounds;
    let loads = [
        load(&nodes, "hold --house 2000 --rate 150 --seconds 900"),
        load(&nodes, &format!("confirm --calls {calls} --seconds 900 --in-flight 2")),
    ];
    let postgres = stores.postgres().await;
    // What is to be sold is held first.
    for sql in ["SELECT FROM holds LIMIT 1", "SELECT FROM orders LIMIT 1"] {
        eventually(sql, async || postgres.query_opt(sql, &[]).await.unwrap().map(drop)).await;
    }
    for _ in 0..rounds {
        for node in &mut nodes {
            node.restart(&stores).await;
        }
    }
    let mut calls = 0;
    for load in loads {
        let told = end(load).await;
        println!(
            "{}: {} calls, {} well, refused {}, failed {}, called again {}, {} violations, \
             after {} restarts",
            told["scenario"],
            told["calls"],
            told["ok"],
            told["refusals"],
            told["errors"],
            told["called_again"],
            told["violations"],
            2 * rounds,
        );
        assert_eq!([&told["calls"], &told["violations"]], [&told["ok"], &Value::from(0)], "{told}");
        calls += told["calls"].as_u64().unwrap();
    }
    assert!(calls > 0);
}

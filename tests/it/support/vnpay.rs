//! VNPAY's side: the simulator of `examples/`, as a process.

use std::{env, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use holdfast::payments::VnpaySettings;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::http::{self, Answer};

const TMN_CODE: &str = "HOLDFAST";
const SECRET: &str = "a-secret-of-tests";
/// Of the merchant API.
pub const API_PATH: &str = "/merchant_webapi/api/transaction";

pub struct Simulator {
    /// Ends with it.
    _process: Child,
    pub addr: SocketAddr,
}

impl Simulator {
    /// Starts one that tells payments to `ipn_url`, and does not wait long between tries.
    pub async fn start(ipn_url: &str) -> Self {
        let mut process = Command::new(program())
            .args(["--listen", "127.0.0.1:0", "--tmn-code", TMN_CODE, "--hash-secret", SECRET])
            .args(["--ipn-url", ipn_url, "--ipn-pause-ms", "10"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the example is built: cargo build --example vnpay_simulator");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(Duration::from_secs(30), lines.next_line()).await.expect("it starts");
        let addr = line.unwrap().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        Self { _process: process, addr }
    }

    /// How a server is told of it.
    pub fn settings(&self) -> VnpaySettings {
        VnpaySettings {
            tmn_code: TMN_CODE.into(),
            hash_secret: SECRET.into(),
            pay_url: format!("http://{}/paymentv2/vpcpay.html", self.addr),
            api_url: format!("http://{}{API_PATH}", self.addr),
            public_url: "https://tickets.example".into(),
        }
    }

    /// Opens a payment's page, as a browser does.
    pub async fn open(&self, payment_url: &str) -> Answer {
        let path = payment_url.strip_prefix(&format!("http://{}", self.addr)).unwrap();
        http::get(self.addr, path).await
    }

    /// What it knows of a transaction, or its return URL (`REF/return`).
    pub async fn transaction(&self, path: &str) -> Value {
        json_of(&http::get(self.addr, &format!("/control/transactions/{path}")).await)
    }

    /// Has something happen, such as `REF/pay`.
    pub async fn act(&self, path: &str, body: &Value) -> Value {
        self.post(&format!("/control/transactions/{path}"), body).await
    }

    /// Changes its settings.
    pub async fn set(&self, changes: &Value) {
        self.post("/control/settings", changes).await;
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        json_of(&http::send(self.addr, "POST", path, &[], body.as_bytes()).await)
    }
}

fn json_of(answer: &Answer) -> Value {
    assert!(answer.head.starts_with("HTTP/1.1 200"), "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

/// Cargo builds examples beside the tests.
fn program() -> PathBuf {
    let tests = env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/vnpay_simulator")
}

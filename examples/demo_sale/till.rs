//! VNPAY's side: the simulator, as a process that scripts talk to.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{
    process::{Process, until},
    stage::program,
};

/// Where servers take what it tells.
pub const CALLBACK: &str = "/payments/vnpay/callback";
const TMN_CODE: &str = "HOLDFAST";
const SECRET: &str = "a-secret-of-this-demo";
/// It tells a payment again until a server has taken it, however often those are killed.
const IPN_TRIES: &str = "1000";
const IPN_PAUSE_MS: &str = "200";

pub struct Till {
    url: String,
    http: reqwest::Client,
}

impl Till {
    pub fn new(url: String, http: reqwest::Client) -> Self {
        Self { url, http }
    }

    /// How a server is told of it.
    pub fn settings(&self) -> Vec<String> {
        vec![
            format!("HOLDFAST_VNPAY_TMN_CODE={TMN_CODE}"),
            format!("HOLDFAST_VNPAY_HASH_SECRET={SECRET}"),
            format!("HOLDFAST_VNPAY_PAY_URL={}/paymentv2/vpcpay.html", self.url),
            format!("HOLDFAST_VNPAY_API_URL={}/merchant_webapi/api/transaction", self.url),
        ]
    }

    /// Starts it; it tells each of the callback addresses in turn.
    pub async fn start(&self, callbacks: &[String], log: &Path) -> anyhow::Result<Process> {
        let program = program("examples/vnpay_simulator")?.display().to_string();
        let listen = self.url.trim_start_matches("http://");
        let mut command = vec![&*program, "--listen", listen, "--tmn-code", TMN_CODE];
        command.extend(["--hash-secret", SECRET]);
        command.extend(["--ipn-tries", IPN_TRIES, "--ipn-pause-ms", IPN_PAUSE_MS]);
        command.extend(callbacks.iter().flat_map(|url| ["--ipn-url", url]));
        let process = Process::start(&[], &command, log)?;
        let ask = async || self.get("/control/settings").await.ok();
        until("VNPAY's side is there", Duration::from_secs(20), ask).await?;
        Ok(process)
    }

    /// Opens a payment's page, as a browser does; answers how the payment is called.
    pub async fn open(&self, payment_url: &str) -> anyhow::Result<String> {
        let answer = self.http.get(payment_url).send().await?;
        ensure!(answer.status().is_success(), "the page says {}", answer.text().await?);
        let txn_ref = payment_url.split(['?', '&']).find_map(|p| p.strip_prefix("vnp_TxnRef="));
        Ok(txn_ref.context("a payment URL names its payment")?.to_owned())
    }

    /// Pushes a button of the page; answers where the browser is sent.
    pub async fn choose(&self, txn_ref: &str, choice: &str) -> anyhow::Result<String> {
        let url = format!("{}/paymentv2/choice?txn_ref={txn_ref}&choice={choice}", self.url);
        location(&self.http.post(url).send().await?)
    }

    /// Has something happen, such as `pay`; answers what is known then.
    pub async fn act(&self, txn_ref: &str, verb: &str, body: &Value) -> anyhow::Result<Value> {
        self.post(&format!("/control/transactions/{txn_ref}/{verb}"), body).await
    }

    /// What it knows of a payment.
    pub async fn known(&self, txn_ref: &str) -> anyhow::Result<Value> {
        self.get(&format!("/control/transactions/{txn_ref}")).await
    }

    /// All that it knows.
    pub async fn books(&self) -> anyhow::Result<Vec<Value>> {
        let books = self.get("/control/transactions").await?;
        Ok(books.as_array().cloned().unwrap_or_default())
    }

    /// Where the buyer's browser goes after the page.
    pub async fn return_url(&self, txn_ref: &str) -> anyhow::Result<String> {
        let answer = self.get(&format!("/control/transactions/{txn_ref}/return")).await?;
        Ok(answer["url"].as_str().context("a return URL")?.to_owned())
    }

    /// Changes a setting for all.
    pub async fn set(&self, name: &str, value: bool) -> anyhow::Result<()> {
        self.post("/control/settings", &json!({ name: value })).await.map(|_| ())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        read(self.http.get(format!("{}{path}", self.url)).send().await?).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url)).body(body.to_string());
        read(request.send().await?).await
    }
}

/// Where an answer sends a browser.
pub fn location(answer: &reqwest::Response) -> anyhow::Result<String> {
    let location = answer.headers().get("location").context("no redirect")?;
    Ok(location.to_str()?.to_owned())
}

async fn read(answer: reqwest::Response) -> anyhow::Result<Value> {
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "VNPAY's side says {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

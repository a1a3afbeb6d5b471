//! What the simulator knows: transactions, and how the merchant answered.

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::sleep,
};

use crate::{
    Flags,
    sign::{now, signed_query},
};

/// How long a merchant may take to answer an IPN.
const IPN_TIMEOUT: Duration = Duration::from_secs(15);

/// What can be changed while it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where IPNs go: to each in turn.
    pub ipn_urls: Vec<String>,
    /// How often one is sent until it is answered 00 or 02. VNPAY: 10.
    pub ipn_tries: u32,
    /// How long it waits between them. VNPAY: 5 minutes.
    pub ipn_pause_ms: u64,
    /// The pay page and the merchant API answer 503.
    pub down: bool,
    /// The merchant API does what it is asked for, but its answers get lost: 504.
    pub lose_answers: bool,
    /// Refunds are refused for good: 95.
    pub refuse_refunds: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    Open,
    Paid,
    Failed,
}

/// An attempt to pay, since its page was opened.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "as in vnp_TransactionNo")]
pub struct Transaction {
    pub txn_ref: String,
    pub state: State,
    /// Hundredths of a dong.
    pub amount: u64,
    pub order_info: String,
    pub return_url: String,
    pub create_date: String,
    pub expire_date: String,
    /// The signature of its page's URL: one `vnp_TxnRef`, one request.
    pub request: String,
    pub response_code: String,
    /// `0` where nothing was paid.
    pub transaction_no: String,
    pub pay_date: String,
    pub ipns: Vec<Ipn>,
    pub asked: Vec<Asked>,
    pub refunds: Vec<Refund>,
}

/// An IPN, and how it was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Ipn {
    pub time: String,
    pub query: String,
    /// `None`: no answer.
    pub http_status: Option<u16>,
    pub rsp_code: Option<String>,
}

impl Ipn {
    pub fn is_done(&self) -> bool {
        matches!(self.rsp_code.as_deref(), Some("00" | "02"))
    }
}

/// A call of the merchant's, and how it was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    pub command: String,
    /// `vnp_ResponseCode`, or the HTTP status where there was none.
    pub code: String,
}

/// Money that was asked back.
#[derive(Debug, Clone, Serialize)]
pub struct Refund {
    pub request_id: String,
    /// 02: all of it. 03: a part.
    pub transaction_type: String,
    pub amount: u64,
    pub create_by: String,
    pub transaction_no: String,
}

/// What an IPN shall have wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wrong {
    /// Hundredths of a dong, instead of what was paid; signed as it should be.
    pub amount: Option<u64>,
    /// Signed by another secret.
    pub forged: bool,
}

pub struct Book {
    pub flags: Flags,
    settings: Mutex<Settings>,
    transactions: Mutex<BTreeMap<String, Transaction>>,
    /// Of calls to the merchant API.
    pub request_ids: Mutex<HashSet<String>>,
    numbers: Mutex<u64>,
    ipns_sent: AtomicUsize,
    client: reqwest::Client,
}

impl Book {
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        let settings = Settings {
            ipn_urls: flags.ipn_url.clone(),
            ipn_tries: flags.ipn_tries,
            ipn_pause_ms: flags.ipn_pause_ms,
            down: false,
            lose_answers: false,
            refuse_refunds: false,
        };
        Ok(Self {
            flags,
            settings: Mutex::new(settings),
            transactions: Mutex::default(),
            request_ids: Mutex::default(),
            numbers: Mutex::new(14_000_000),
            ipns_sent: AtomicUsize::default(),
            client: reqwest::Client::builder().no_proxy().timeout(IPN_TIMEOUT).build()?,
        })
    }

    pub async fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().await
    }

    pub async fn transactions(&self) -> MutexGuard<'_, BTreeMap<String, Transaction>> {
        self.transactions.lock().await
    }

    pub async fn find(&self, txn_ref: &str) -> Option<Transaction> {
        self.transactions.lock().await.get(txn_ref).cloned()
    }

    pub async fn new_number(&self) -> String {
        let mut numbers = self.numbers.lock().await;
        *numbers += 1;
        numbers.to_string()
    }

    /// Takes the money, or fails with a code. Money that was taken stays taken; what
    /// failed may be paid after all, as where a bank finds out later.
    pub async fn decide(&self, txn_ref: &str, code: &str) -> Option<Transaction> {
        let number = self.new_number().await;
        let mut transactions = self.transactions.lock().await;
        let found = transactions.get_mut(txn_ref)?;
        if found.state == State::Open || (found.state == State::Failed && code == "00") {
            found.pay_date = now();
            code.clone_into(&mut found.response_code);
            (found.state, found.transaction_no) = match code {
                "00" => (State::Paid, number),
                _ => (State::Failed, "0".to_owned()),
            };
        }
        Some(found.clone())
    }

    /// What the merchant is told, by IPN and by the browser that comes back.
    pub fn told(&self, of: &Transaction, wrong: Wrong) -> String {
        let status = match of.state {
            State::Open => "01",
            State::Paid => "00",
            State::Failed => "02",
        };
        let mut parameters: Vec<(String, String)> = [
            ("vnp_TmnCode", self.flags.tmn_code.clone()),
            ("vnp_TxnRef", of.txn_ref.clone()),
            ("vnp_Amount", wrong.amount.unwrap_or(of.amount).to_string()),
            ("vnp_OrderInfo", of.order_info.clone()),
            ("vnp_BankCode", "NCB".to_owned()),
            ("vnp_CardType", "ATM".to_owned()),
            ("vnp_PayDate", of.pay_date.clone()),
            ("vnp_ResponseCode", of.response_code.clone()),
            ("vnp_TransactionNo", of.transaction_no.clone()),
            ("vnp_TransactionStatus", status.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        if of.state == State::Paid {
            let number = format!("VNP{}", of.transaction_no);
            parameters.push(("vnp_BankTranNo".to_owned(), number));
        }
        signed_query(&self.flags.hash_secret, &parameters, wrong.forged)
    }

    /// Sends an IPN until it is answered 00 or 02, as often as is set; a wrong one once.
    pub async fn notify(&self, txn_ref: &str, wrong: Wrong) -> Option<Transaction> {
        let query = self.told(&self.find(txn_ref).await?, wrong);
        let tries = match wrong == Wrong::default() {
            true => self.settings().await.ipn_tries,
            false => 1,
        };
        for left in (0..tries).rev() {
            if self.send(txn_ref, &query).await.is_done() || left == 0 {
                break;
            }
            let pause = self.settings().await.ipn_pause_ms;
            sleep(Duration::from_millis(pause)).await;
        }
        self.find(txn_ref).await
    }

    /// Sends a query to the merchant once, and notes the answer.
    pub async fn send(&self, txn_ref: &str, query: &str) -> Ipn {
        let urls = self.settings().await.ipn_urls.clone();
        let at = self.ipns_sent.fetch_add(1, Ordering::Relaxed) % urls.len().max(1);
        let url = format!("{}?{query}", urls.get(at).map_or("", String::as_str));
        let (http_status, rsp_code) = match self.client.get(url).send().await {
            Err(_) => (None, None),
            Ok(answer) => {
                let status = answer.status().as_u16();
                let body = answer.bytes().await.unwrap_or_default();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                (Some(status), body["RspCode"].as_str().map(ToOwned::to_owned))
            }
        };
        let ipn = Ipn { time: now(), query: query.to_owned(), http_status, rsp_code };
        if let Some(found) = self.transactions.lock().await.get_mut(txn_ref) {
            found.ipns.push(ipn.clone());
        }
        ipn
    }
}

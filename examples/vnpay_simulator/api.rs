//! The merchant API: what became of a transaction, and money back.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::State as Part,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::{
    book::{Asked, Book, Refund, State, Transaction},
    sign::{hmac, is_time, now},
};

/// A JSON object of texts.
type Fields = Map<String, Value>;

const SIGNED_QUERY: &str = "vnp_RequestId vnp_Version vnp_Command vnp_TmnCode vnp_TxnRef \
    vnp_TransactionDate vnp_CreateDate vnp_IpAddr vnp_OrderInfo";
const SIGNED_REFUND: &str = "vnp_RequestId vnp_Version vnp_Command vnp_TmnCode \
    vnp_TransactionType vnp_TxnRef vnp_Amount vnp_TransactionNo vnp_TransactionDate \
    vnp_CreateBy vnp_CreateDate vnp_IpAddr vnp_OrderInfo";
const SIGNED_ANSWER: &str = "vnp_ResponseId vnp_Command vnp_ResponseCode vnp_Message \
    vnp_TmnCode vnp_TxnRef vnp_Amount vnp_BankCode vnp_PayDate vnp_TransactionNo \
    vnp_TransactionType vnp_TransactionStatus vnp_OrderInfo";
const SIGNED_QUERY_MORE: &str = " vnp_PromotionCode vnp_PromotionAmount";

pub async fn answer(Part(book): Part<Arc<Book>>, body: Bytes) -> Response {
    let Ok(asked) = serde_json::from_slice::<Fields>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if book.settings().await.down {
        note(&book, &asked, "503").await;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (code, of) = match judge(&book, &asked).await {
        Ok(transaction) => ("00", Some(transaction)),
        Err(code) => (code, None),
    };
    let told = told(&book, &asked, code, of.as_ref());
    if book.settings().await.lose_answers {
        note(&book, &asked, "504").await;
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    note(&book, &asked, code).await;
    axum::Json(told).into_response()
}

async fn note(book: &Book, asked: &Fields, code: &str) {
    if let Some(found) = book.transactions().await.get_mut(get(asked, "vnp_TxnRef")) {
        let command = get(asked, "vnp_Command").to_owned();
        found.asked.push(Asked { command, code: code.to_owned() });
    }
}

fn get<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn joined(fields: &Fields, names: &str) -> String {
    names.split(' ').map(|name| get(fields, name)).collect::<Vec<_>>().join("|")
}

/// Does what is asked for, or says with which code not.
async fn judge(book: &Book, asked: &Fields) -> Result<Transaction, &'static str> {
    let get = |name| get(asked, name);
    let is_refund = match get("vnp_Command") {
        "querydr" => false,
        "refund" => true,
        _ => return Err("03"),
    };
    // 1. Is it the merchant, and whole?
    let names = if is_refund { SIGNED_REFUND } else { SIGNED_QUERY };
    if get("vnp_SecureHash") != hmac(&book.flags.hash_secret, &joined(asked, names)) {
        return Err("97");
    }
    if get("vnp_TmnCode") != book.flags.tmn_code {
        return Err("02");
    }
    let is_id = (1..=32).contains(&get("vnp_RequestId").len());
    let are_times = is_time(get("vnp_TransactionDate")) && is_time(get("vnp_CreateDate"));
    let is_whole = names.split(' ').all(|name| !get(name).is_empty());
    if !is_id || !are_times || !is_whole || get("vnp_Version") != "2.1.0" {
        return Err("03");
    }
    // 2. A request id is good for once.
    if !book.request_ids.lock().await.insert(get("vnp_RequestId").to_owned()) {
        return Err("94");
    }
    // 3. A transaction is known by its name and the time that its page was given.
    let found = book.find(get("vnp_TxnRef")).await.ok_or("91")?;
    if found.create_date != get("vnp_TransactionDate") {
        return Err("91");
    }
    if is_refund { give_back(book, asked, found).await } else { Ok(found) }
}

async fn give_back(
    book: &Book,
    asked: &Fields,
    found: Transaction,
) -> Result<Transaction, &'static str> {
    if book.settings().await.refuse_refunds || found.state != State::Paid {
        return Err("95");
    }
    let amount: u64 = get(asked, "vnp_Amount").parse().map_err(|_| "03")?;
    let number = get(asked, "vnp_TransactionNo");
    let is_this = number == "0" || number == found.transaction_no;
    let transaction_no = book.new_number().await;
    let mut transactions = book.transactions().await;
    let found = transactions.get_mut(&found.txn_ref).ok_or("91")?;
    let before: u64 = found.refunds.iter().map(|refund| refund.amount).sum();
    let is_whole = get(asked, "vnp_TransactionType") == "02";
    match (get(asked, "vnp_TransactionType"), before) {
        _ if !is_this => return Err("91"),
        ("02", 0) if amount == found.amount => {}
        ("03", _) if amount > 0 && before + amount <= found.amount => {}
        // All of it was asked back before.
        ("02" | "03", _) if before == found.amount => return Err("94"),
        _ => return Err("95"),
    }
    let transaction_type = if is_whole { "02" } else { "03" }.to_owned();
    found.refunds.push(Refund {
        request_id: get(asked, "vnp_RequestId").to_owned(),
        transaction_type,
        amount,
        create_by: get(asked, "vnp_CreateBy").to_owned(),
        transaction_no,
    });
    Ok(found.clone())
}

/// The answer, signed. A refund is being worked on; a query tells of the last one.
fn told(book: &Book, asked: &Fields, code: &str, of: Option<&Transaction>) -> Fields {
    let is_query = get(asked, "vnp_Command") == "querydr";
    let mut fields: Fields = [
        ("vnp_ResponseId", format!("{}{}", now(), get(asked, "vnp_RequestId"))),
        ("vnp_Command", get(asked, "vnp_Command").to_owned()),
        ("vnp_ResponseCode", code.to_owned()),
        ("vnp_Message", if code == "00" { "Success" } else { "No" }.to_owned()),
        ("vnp_TmnCode", get(asked, "vnp_TmnCode").to_owned()),
        ("vnp_TxnRef", get(asked, "vnp_TxnRef").to_owned()),
        ("vnp_OrderInfo", get(asked, "vnp_OrderInfo").to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .into_iter()
    .collect();
    if let Some(of) = of {
        let status = match of.state {
            State::Open => "01",
            State::Paid => "00",
            State::Failed => "02",
        };
        let (kind, status, number, amount) = match of.refunds.last() {
            Some(last) => (&*last.transaction_type, "05", &last.transaction_no, last.amount),
            None => ("01", status, &of.transaction_no, of.amount),
        };
        for (name, value) in [
            ("vnp_Amount", amount.to_string()),
            ("vnp_BankCode", "NCB".to_owned()),
            ("vnp_PayDate", of.pay_date.clone()),
            ("vnp_TransactionNo", number.clone()),
            ("vnp_TransactionType", kind.to_owned()),
            ("vnp_TransactionStatus", status.to_owned()),
        ] {
            fields.insert(name.to_owned(), value.into());
        }
    }
    let names = match is_query {
        true => format!("{SIGNED_ANSWER}{SIGNED_QUERY_MORE}"),
        false => SIGNED_ANSWER.to_owned(),
    };
    let signature = hmac(&book.flags.hash_secret, &joined(&fields, &names));
    fields.insert("vnp_SecureHash".to_owned(), signature.into());
    fields
}

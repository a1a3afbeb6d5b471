//! VNPAY's merchant API: what it knows of a payment, and money back.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use reqwest::{Client, Response, header::CONTENT_TYPE, redirect::Policy};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Fields, HASH, SOME_IP, Signer, VERSION, Vnpay, date, hundredths, txn_ref};
use crate::{
    domain::{Payment, Refund},
    limits::{MAX_PROVIDER_ANSWER_BYTES, PROVIDER_CALL_TIMEOUT, PROVIDER_CONNECT_TIMEOUT},
    payments::{Error, Reversed, SetupError, Standing},
    telemetry,
};

/// The fields of an answer, as they are signed; what is not there is empty.
const SIGNED_ANSWER: [&str; 13] = [
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
];
/// What an answer to a query is signed with beyond that.
const SIGNED_PROMOTION: [&str; 2] = ["vnp_PromotionCode", "vnp_PromotionAmount"];

/// `vnp_TransactionType`: a payment, all of it given back, a part given back.
const PAYMENT: &str = "01";
const WHOLE: &str = "02";
const PART: &str = "03";

pub(super) struct Api {
    tmn_code: String,
    signer: Signer,
    url: String,
    client: Client,
}

impl Api {
    pub(super) fn new(tmn_code: &str, signer: Signer, url: &str) -> Result<Self, SetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .connect_timeout(PROVIDER_CONNECT_TIMEOUT)
            .timeout(PROVIDER_CALL_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            // Its servers hang up at their own time; a call is rare.
            .pool_idle_timeout(Duration::from_secs(1))
            .build()?;
        Ok(Self { tmn_code: tmn_code.to_owned(), signer, url: url.to_owned(), client })
    }

    /// Sends fields, signed in the order in which they stand, and reads the answer, if
    /// it is VNPAY's.
    async fn call<const N: usize>(&self, fields: [(&str, &str); N]) -> Result<Fields, Error> {
        let sent = |name| fields.iter().find(|&&(sent, _)| sent == name).map(|&(_, value)| value);
        let signature = self.signer.sign(&fields.map(|(_, value)| value).join("|"));
        let mut body: Map<String, Value> =
            fields.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
        body.insert(HASH.to_owned(), signature.into());
        let mut span = telemetry::outward("vnpay");
        span.note("holdfast.command", || sent("vnp_Command").unwrap_or_default().to_owned());
        let mut request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .body(Value::Object(body).to_string());
        if let Some((name, value)) = span.outgoing() {
            request = request.header(name, value);
        }
        let answer = span.of(request.send().await).map_err(failed)?;
        let bytes = read(answer).await?;
        let answer = fields_of(&bytes).ok_or_else(|| unknown("its answer is no object"))?;
        self.check(&answer, sent)?;
        Ok(answer)
    }

    /// Whether an answer is VNPAY's, and to what was asked.
    fn check<'a>(
        &self,
        answer: &Fields,
        sent: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<(), Error> {
        let mut signed = SIGNED_ANSWER.to_vec();
        if sent("vnp_Command") == Some("querydr") {
            signed.extend(SIGNED_PROMOTION);
        }
        let values: Vec<&str> =
            signed.into_iter().map(|name| answer.get(name).unwrap_or_default()).collect();
        let signature = answer.get(HASH).unwrap_or_default();
        if !self.signer.is_signature(signature, &values.join("|")) {
            let code = answer.get("vnp_ResponseCode").unwrap_or("none");
            return Err(unknown(&format!("its answer is not signed; its code is {code}")));
        }
        for name in ["vnp_Command", "vnp_TmnCode", "vnp_TxnRef"] {
            if answer.get(name) != sent(name) {
                return Err(unknown(&format!("its answer has another {name}")));
            }
        }
        Ok(())
    }

    /// Asks for a payment's state.
    async fn query(&self, payment: &Payment) -> Result<Fields, Error> {
        self.call([
            ("vnp_RequestId", &Uuid::now_v7().simple().to_string()),
            ("vnp_Version", VERSION),
            ("vnp_Command", "querydr"),
            ("vnp_TmnCode", &self.tmn_code),
            ("vnp_TxnRef", &txn_ref(payment.payment_id)),
            ("vnp_TransactionDate", &date(payment.begin_time)),
            ("vnp_CreateDate", &date(OffsetDateTime::now_utc())),
            ("vnp_IpAddr", SOME_IP),
            ("vnp_OrderInfo", "Query"),
        ])
        .await
    }

    /// Asks for money back, by a request id that VNPAY takes once a day.
    async fn refund(&self, id: Uuid, payment: &Payment, refund: &Refund) -> Result<Fields, Error> {
        let actor: String =
            refund.actor.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let info = format!("Refund of order {}", payment.order_id.0.simple());
        self.call([
            ("vnp_RequestId", &id.simple().to_string()),
            ("vnp_Version", VERSION),
            ("vnp_Command", "refund"),
            ("vnp_TmnCode", &self.tmn_code),
            ("vnp_TransactionType", kind(payment, refund)),
            ("vnp_TxnRef", &txn_ref(payment.payment_id)),
            ("vnp_Amount", &hundredths(refund.amount)),
            ("vnp_TransactionNo", payment.provider_reference.as_deref().unwrap_or("0")),
            ("vnp_TransactionDate", &date(payment.begin_time)),
            ("vnp_CreateBy", if actor.is_empty() { "holdfast" } else { &actor }),
            ("vnp_CreateDate", &date(OffsetDateTime::now_utc())),
            ("vnp_IpAddr", SOME_IP),
            ("vnp_OrderInfo", &info),
        ])
        .await
    }
}

impl Vnpay {
    /// See [`super::Provider::query`].
    pub(super) async fn ask_standing(&self, payment: &Payment) -> Result<Standing, Error> {
        let answer = self.api.query(payment).await.map_err(|error| match error {
            Error::Unknown(why) => Error::Later(why),
            other => other,
        })?;
        let code = answer.get("vnp_ResponseCode").unwrap_or_default();
        let is_payment =
            answer.get("vnp_TransactionType").is_none_or(|kind| kind.is_empty() || kind == PAYMENT);
        match code {
            "00" if is_payment => self
                .standing(&answer, code)
                .map_err(|field| Error::Later(format!("its answer lacks {field}"))),
            // It was paid, and then given back by hand: for a person to see to.
            "00" => Err(Error::Refused("it was given back".to_owned())),
            "91" => Ok(Standing::Unknown),
            code => Err(refused(code)),
        }
    }

    /// See [`super::Provider::refund`].
    pub(super) async fn give_back(
        &self,
        payment: &Payment,
        refund: &Refund,
        repeated: bool,
    ) -> Result<Reversed, Error> {
        // For a day VNPAY knows a request again by its id. After that, a part whose answer
        // was lost could be given back twice: only where nothing was, it is asked for.
        let is_known = !repeated || kind(payment, refund) == WHOLE || is_today(refund.create_time);
        if !is_known && !is_untouched(&self.api.query(payment).await?) {
            return Err(Error::Refused("its answer was lost, on another day".to_owned()));
        }
        let answer = self.api.refund(refund.refund_id.0, payment, refund).await?;
        if answer.get("vnp_ResponseCode") != Some("94") {
            return reversed(&answer);
        }
        // VNPAY has that request, or another one for the payment: which?
        let state = self.api.query(payment).await?;
        if is_given_back(&state, payment, refund, repeated) {
            return Ok(Reversed { reference: None });
        }
        // Where nothing was given back, the request that had its id was refused; so
        // another one is no second one.
        if !is_untouched(&state) {
            return Err(under_way());
        }
        let answer = self.api.refund(Uuid::now_v7(), payment, refund).await?;
        match answer.get("vnp_ResponseCode") {
            Some("94") => Err(under_way()),
            _ => reversed(&answer),
        }
    }
}

/// Whether VNPAY has the money, and was asked for none of it.
fn is_untouched(state: &Fields) -> bool {
    let fields = ["vnp_ResponseCode", "vnp_TransactionStatus", "vnp_TransactionType"];
    fields.map(|name| state.get(name).unwrap_or_default()) == ["00", "00", PAYMENT]
}

/// Whether VNPAY has this refund: all was given back, by whomever; or a part, and we
/// have asked for one before and lost the answer.
fn is_given_back(state: &Fields, payment: &Payment, refund: &Refund, repeated: bool) -> bool {
    let done = state.get("vnp_TransactionType").unwrap_or_default();
    // 00: given back. 05: VNPAY works on it. 06: it has asked the bank.
    let is_accepted = matches!(state.get("vnp_TransactionStatus"), Some("00" | "05" | "06"));
    let is_this = done == kind(payment, refund) && (done == WHOLE || repeated);
    state.get("vnp_ResponseCode") == Some("00") && is_accepted && is_this
}

/// What an answer to a refund comes to.
fn reversed(answer: &Fields) -> Result<Reversed, Error> {
    match answer.get("vnp_ResponseCode").unwrap_or_default() {
        "00" => {
            let reference = answer.get("vnp_TransactionNo").map(ToOwned::to_owned);
            Ok(Reversed { reference })
        }
        "99" => Err(unknown("it answers 99")),
        code => Err(refused(code)),
    }
}

fn under_way() -> Error {
    Error::Later("another refund of it is under way".to_owned())
}

fn kind(payment: &Payment, refund: &Refund) -> &'static str {
    if refund.amount == payment.amount { WHOLE } else { PART }
}

/// Whether that is the day that it is in Vietnam.
fn is_today(time: OffsetDateTime) -> bool {
    date(time).get(..8) == date(OffsetDateTime::now_utc()).get(..8)
}

/// A code that is a no. What our settings are to blame for (02: terminal, 97: secret)
/// and what is for a moment (94: too often, 99: anything) may be a yes later.
fn refused(code: &str) -> Error {
    match code {
        "" | "02" | "94" | "97" | "99" => Error::Later(format!("it answers {code}")),
        _ => Error::Refused(code.to_owned()),
    }
}

fn unknown(why: &str) -> Error {
    Error::Unknown(why.to_owned())
}

/// A call that was not answered. Where there was no connection, nothing was asked.
fn failed(error: reqwest::Error) -> Error {
    let (is_connect, error) = (error.is_connect(), error.without_url());
    // What lies deepest says why: a certificate, a name, a port.
    let mut deepest: &dyn StdError = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let why = deepest.to_string();
    if is_connect { Error::Later(why) } else { Error::Unknown(why) }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Error> {
    let status = answer.status();
    if !status.is_success() {
        return Err(unknown(&format!("it answers HTTP {}", status.as_u16())));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + piece.len() > MAX_PROVIDER_ANSWER_BYTES {
            return Err(unknown("its answer is too long"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// An object of texts and numbers, all as text; null is as good as nothing.
fn fields_of(bytes: &[u8]) -> Option<Fields> {
    let object: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let mut fields = Fields::default();
    for (name, value) in object {
        match value {
            Value::String(text) => fields.0.insert(name, text),
            Value::Number(number) => fields.0.insert(name, number.to_string()),
            Value::Null => None,
            _ => return None,
        };
    }
    Some(fields)
}

/// Trusts whom the system trusts.
fn tls() -> Result<rustls::ClientConfig, SetupError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

//! VNPAY, version 2.1.0 of its protocol.
//!
//! Sources: VNPAY's "Hướng dẫn tích hợp Cổng thanh toán" (pay, IPN, return URL) and
//! "API querydr, refund", both at <https://sandbox.vnpayment.vn/apis/docs/>.

mod api;
mod sign;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use time::{OffsetDateTime, UtcOffset};

use self::{
    api::Api,
    sign::{Signer, query_text},
};
use super::{
    Answer, Charge, Error, Forged, Notice, Provider, RETURN_PATH, Reply, Reversed, SetupError,
    Standing,
};
use crate::{
    domain::{Currency, Money, Payment, PaymentId, PaymentReference, Refund},
    limits::{MAX_CALLBACK_PARAMETERS, VNPAY_DONG},
};

/// Its name in the contract.
pub const VNPAY: &str = "vnpay";

const VERSION: &str = "2.1.0";
const HASH: &str = "vnp_SecureHash";
const HASH_TYPE: &str = "vnp_SecureHashType";
const MICROS_PER_DONG: i64 = 1_000_000;
/// `vnp_Amount` is in hundredths of a dong.
const MICROS_PER_HUNDREDTH: i64 = 10_000;
/// For a browser whose address is not known, and for calls of our own: VNPAY wants
/// one, and does nothing with it.
const SOME_IP: &str = "127.0.0.1";

/// Who the merchant is, and where VNPAY is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `vnp_TmnCode`.
    pub tmn_code: String,
    /// `vnp_HashSecret`.
    pub hash_secret: SecretString,
    /// The page where buyers pay.
    pub pay_url: String,
    /// The merchant API: query and refund.
    pub api_url: String,
    /// Where browsers reach this server's HTTP port.
    pub public_url: String,
}

pub(super) struct Vnpay {
    tmn_code: String,
    signer: Signer,
    pay_url: String,
    return_url: String,
    dong: Currency,
    api: Api,
}

impl Vnpay {
    pub(super) fn new(settings: &Settings) -> Result<Self, SetupError> {
        let Settings { tmn_code, hash_secret, pay_url, api_url, public_url } = settings;
        if hash_secret.expose_secret().is_empty() {
            return Err(SetupError::NoSecret);
        }
        let is_code = |code: &str| code.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(1..=16).contains(&tmn_code.len()) || !is_code(tmn_code) {
            return Err(SetupError::TerminalCode);
        }
        for (setting, url) in [
            ("HOLDFAST_VNPAY_PAY_URL", pay_url),
            ("HOLDFAST_VNPAY_API_URL", api_url),
            ("HOLDFAST_PUBLIC_URL", public_url),
        ] {
            let is_http = reqwest::Url::parse(url)
                .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
            if !is_http {
                return Err(SetupError::Url(setting));
            }
        }
        let signer = Signer::new(hash_secret.expose_secret());
        let path = RETURN_PATH.replace("{provider}", VNPAY);
        Ok(Self {
            tmn_code: tmn_code.clone(),
            signer: signer.clone(),
            pay_url: pay_url.clone(),
            return_url: format!("{}{path}", public_url.trim_end_matches('/')),
            dong: "VND".parse().expect("three capital letters"),
            api: Api::new(tmn_code, signer, api_url)?,
        })
    }

    /// From hundredths of a dong, in decimal digits.
    fn amount(&self, text: &str) -> Option<Money> {
        let is_digits = (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let hundredths: i64 = text.parse().ok().filter(|_| is_digits)?;
        let micros = hundredths.checked_mul(MICROS_PER_HUNDREDTH)?;
        Some(Money { currency: self.dong, micros })
    }

    /// What the fields of a callback, or of an answer to a query, come to.
    ///
    /// `Err` names the one that is missing or malformed.
    fn standing(&self, fields: &Fields, code: &str) -> Result<Standing, &'static str> {
        let status = fields.get("vnp_TransactionStatus").ok_or("vnp_TransactionStatus")?;
        Ok(match (code, status) {
            ("00", "00") => {
                let amount = fields.get("vnp_Amount").and_then(|text| self.amount(text));
                let number = fields.get("vnp_TransactionNo").filter(|&number| number != "0");
                let reference = number.and_then(|number| number.parse::<PaymentReference>().ok());
                Standing::Paid {
                    amount: amount.ok_or("vnp_Amount")?,
                    reference: reference.ok_or("vnp_TransactionNo")?,
                }
            }
            // 01: not finished. 07: the money was taken, and VNPAY or the merchant still
            // looks whether it was the buyer's own.
            (_, "01" | "07") | ("07", _) => Standing::Open,
            ("00", status) => Standing::Failed { code: status.to_owned() },
            (code, _) => Standing::Failed { code: code.to_owned() },
        })
    }
}

/// Fields of a callback or an answer, each there once.
#[derive(Debug, Default)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[async_trait]
impl Provider for Vnpay {
    fn name(&self) -> &'static str {
        VNPAY
    }

    fn has_page(&self) -> bool {
        true
    }

    fn refuses(&self, amount: Money) -> Option<String> {
        let dong = amount.micros / MICROS_PER_DONG;
        let is_whole = amount.micros % MICROS_PER_DONG == 0;
        match amount.currency == self.dong && is_whole && VNPAY_DONG.contains(&dong) {
            true => None,
            false => Some(format!(
                "vnpay takes whole dong (VND), from {} to below {}",
                VNPAY_DONG.start, VNPAY_DONG.end
            )),
        }
    }

    fn payment_url(&self, charge: &Charge<'_>) -> Option<String> {
        let Charge { payment, expire_time, client_ip, language } = charge;
        let is_vietnamese =
            language.split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case("vi"));
        let (locale, pay) = match is_vietnamese {
            true => ("vn", "Thanh toan don hang"),
            false => ("en", "Payment of order"),
        };
        // Letters, digits and spaces: it has to look the same in every bank's app.
        let info = format!("{pay} {}", payment.order_id.0.simple());
        let parameters = [
            ("vnp_Version", VERSION),
            ("vnp_Command", "pay"),
            ("vnp_TmnCode", &self.tmn_code),
            ("vnp_Amount", &hundredths(payment.amount)),
            ("vnp_CurrCode", "VND"),
            ("vnp_TxnRef", &txn_ref(payment.payment_id)),
            ("vnp_OrderInfo", &info),
            ("vnp_OrderType", "other"),
            ("vnp_Locale", locale),
            ("vnp_ReturnUrl", &self.return_url),
            ("vnp_IpAddr", &client_ip.map_or_else(|| SOME_IP.to_owned(), |ip| ip.to_string())),
            ("vnp_CreateDate", &date(payment.begin_time)),
            ("vnp_ExpireDate", &date(*expire_time)),
        ];
        let query = query_text(parameters);
        let signature = self.signer.sign(&query);
        Some(format!("{}?{query}&{HASH}={signature}", self.pay_url))
    }

    fn verify(&self, parameters: &[(String, String)]) -> Result<Notice, Forged> {
        // 1. Each parameter once: who reads the first and who reads the last must agree.
        let mut fields = Fields::default();
        for (name, value) in parameters {
            if fields.0.insert(name.clone(), value.clone()).is_some() {
                return Err(Forged::Shape);
            }
        }
        if parameters.len() > MAX_CALLBACK_PARAMETERS {
            return Err(Forged::Shape);
        }
        // 2. Signed by our secret, for our terminal.
        let signature = fields.get(HASH).ok_or(Forged::Signature)?;
        let text = query_text(fields.0.iter().filter_map(|(name, value)| {
            let is_signed = name.starts_with("vnp_") && name != HASH && name != HASH_TYPE;
            is_signed.then_some((&**name, &**value))
        }));
        if !self.signer.is_signature(signature, &text) {
            return Err(Forged::Signature);
        }
        if fields.get("vnp_TmnCode") != Some(&self.tmn_code) {
            return Err(Forged::Malformed("vnp_TmnCode"));
        }
        // 3. What it says.
        let payment_id = fields.get("vnp_TxnRef").ok_or(Forged::Malformed("vnp_TxnRef"))?;
        let code = fields.get("vnp_ResponseCode").ok_or(Forged::Malformed("vnp_ResponseCode"))?;
        let standing = self.standing(&fields, code).map_err(Forged::Malformed)?;
        Ok(Notice { payment_id: payment_of(payment_id), standing })
    }

    /// As VNPAY wants it: codes in the body, which end its tries (00, 02) or do not.
    fn answer(&self, answer: Answer) -> Reply {
        let (status, code, message) = match answer {
            Answer::Settled => (200, "00", "Confirm Success"),
            Answer::UnknownPayment => (200, "01", "Order not found"),
            Answer::Already => (200, "02", "Order already confirmed"),
            Answer::WrongAmount => (200, "04", "Invalid amount"),
            Answer::Forged => (200, "97", "Invalid signature"),
            Answer::Later => (503, "99", "Try again later"),
        };
        let body = serde_json::json!({ "RspCode": code, "Message": message }).to_string();
        Reply { status, content_type: "application/json", body }
    }

    async fn query(&self, payment: &Payment) -> Result<Standing, Error> {
        self.ask_standing(payment).await
    }

    async fn refund(
        &self,
        payment: &Payment,
        refund: &Refund,
        repeated: bool,
    ) -> Result<Reversed, Error> {
        self.give_back(payment, refund, repeated).await
    }
}

/// `vnp_TxnRef`: 32 hexadecimal digits.
fn txn_ref(payment_id: PaymentId) -> String {
    payment_id.0.simple().to_string()
}

/// From `vnp_TxnRef`; one id, one text.
fn payment_of(text: &str) -> Option<PaymentId> {
    let id = PaymentId(uuid::Uuid::try_parse(text).ok()?);
    (txn_ref(id) == text).then_some(id)
}

fn hundredths(amount: Money) -> String {
    (amount.micros / MICROS_PER_HUNDREDTH).to_string()
}

/// `yyyyMMddHHmmss` at GMT+7.
fn date(time: OffsetDateTime) -> String {
    let there = UtcOffset::from_hms(7, 0, 0).expect("an offset below a day");
    let time = time.to_offset(there);
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

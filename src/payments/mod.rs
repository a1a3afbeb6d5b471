//! The tills: who takes money, and gives it back.
//!
//! [`Provider`] is all that the rest of the program knows of them;
//! `docs/PAYMENTS.md` says how each is set up.

mod manual;
mod vnpay;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::domain::{Money, Payment, PaymentId, PaymentReference, Refund};

pub use manual::MANUAL;
pub use vnpay::{Settings as VnpaySettings, VNPAY};

/// Where a provider calls back, below the server's public URL.
pub const CALLBACK_PATH: &str = "/payments/{provider}/callback";
/// Where a provider sends the buyer's browser back to.
pub const RETURN_PATH: &str = "/payments/{provider}/return";

/// The parameters of a query text, as [`Provider::verify`] reads them.
pub fn parameters(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Who takes money, and gives it back.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its name in the contract.
    fn name(&self) -> &'static str;

    /// Whether it has a page where buyers pay.
    fn has_page(&self) -> bool;

    /// Why it does not take such an amount, for the caller; `None` where it does.
    fn refuses(&self, amount: Money) -> Option<String>;

    /// Where the buyer pays; `None` where that is nowhere. The same for the same charge.
    fn payment_url(&self, charge: &Charge<'_>) -> Option<String>;

    /// What a callback says, or a browser that comes back, if it is the provider's word.
    fn verify(&self, parameters: &[(String, String)]) -> Result<Notice, Forged>;

    /// How a callback is answered, by what became of it.
    fn answer(&self, answer: Answer) -> Reply;

    /// What it knows of a payment.
    ///
    /// # Errors
    /// Never [`Error::Unknown`]: asking changes nothing.
    async fn query(&self, payment: &Payment) -> Result<Standing, Error>;

    /// Gives back all of a payment, or a part. May be asked again with the same refund;
    /// `repeated` says that the outcome of the last try is not known: it ended in
    /// [`Error::Unknown`], or in nothing at all. After any other error it is `false`.
    ///
    /// Refunds of one payment are to be asked for one after the other.
    async fn refund(
        &self,
        payment: &Payment,
        refund: &Refund,
        repeated: bool,
    ) -> Result<Reversed, Error>;
}

/// An attempt to pay, for the page where it is paid.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    pub payment: &'a Payment,
    /// Until when the page takes it.
    pub expire_time: OffsetDateTime,
    /// Of the buyer's browser, where it is known.
    pub client_ip: Option<IpAddr>,
    /// A BCP 47 tag, such as `vi` or `vi-VN`; may be empty.
    pub language: &'a str,
}

/// What a provider says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which payment; `None` where what it names is none of ours.
    pub payment_id: Option<PaymentId>,
    /// Never [`Standing::Unknown`].
    pub standing: Standing,
}

/// What a provider knows of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has the money.
    Paid {
        amount: Money,
        /// Its own id of the payment.
        reference: PaymentReference,
    },
    /// It does not have the money, and may still get it.
    Open,
    /// It came to nothing; the code is the provider's own.
    Failed { code: String },
    /// It has not heard of it: nobody has opened its page.
    Unknown,
}

/// What became of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its outcome is written down.
    Settled,
    /// The same outcome was written down before.
    Already,
    /// There is no such payment.
    UnknownPayment,
    /// Another amount than was asked for.
    WrongAmount,
    /// It is not the provider's word.
    Forged,
    /// Its outcome could not be written down: come again.
    Later,
}

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

/// Money that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversed {
    /// The provider's own id of that, where it tells one.
    pub reference: Option<String>,
}

/// Why a callback is not the provider's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("it has too many parameters, or one of them twice")]
    Shape,
    #[error("it is not signed, or by another secret")]
    Signature,
    #[error("it is signed, but {0} is missing or malformed")]
    Malformed(&'static str),
    #[error("there is no such callback")]
    Unheard,
}

/// Why a provider was asked in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was done. Asking again may help.
    #[error("{0}")]
    Later(String),
    /// It may have been done. Asking again tells.
    #[error("it is not known whether it was done: {0}")]
    Unknown(String),
    /// Nothing was done, nor will be, or only a person can tell. A code, or why.
    #[error("refused: {0}")]
    Refused(String),
}

/// Why the settings are none.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the secret of VNPAY is empty")]
    NoSecret,
    #[error("VNPAY's terminal code must be 1 to 16 letters and digits")]
    TerminalCode,
    #[error("{0} must be an http or https URL")]
    Url(&'static str),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// The providers that this server has, by name.
pub struct Providers(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Providers {
    /// `manual`, and `vnpay` where it is set up.
    pub fn new(vnpay: Option<&VnpaySettings>) -> Result<Self, SetupError> {
        let mut all: Vec<Arc<dyn Provider>> = vec![Arc::new(manual::Manual)];
        if let Some(settings) = vnpay {
            all.push(Arc::new(vnpay::Vnpay::new(settings)?));
        }
        Ok(Self(all.into_iter().map(|provider| (provider.name(), provider)).collect()))
    }

    pub fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        self.0.get(name).cloned()
    }

    /// In the alphabet's order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

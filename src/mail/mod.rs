//! The room of e-mail: what a buyer is written, and how it is handed over.
//!
//! It knows nothing of deliveries: it is asked to send a letter, and answers whether a
//! mail server took it. Nobody's address or name is logged or told on.

mod compose;
mod language;
mod qr;
mod templates;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{self, PoolConfig},
};
use secrecy::{ExposeSecret, SecretString};
use time::UtcOffset;
use tokio::time::timeout;

use crate::{
    domain::{Letter, Undelivered},
    limits::{MAIL_TIMEOUT, MAILS_AT_ONCE},
    telemetry,
};
use templates::Templates;

/// How to send mail.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `smtp://`, or `smtps://` for TLS from the first byte, with user, password, host
    /// and port; `?tls=required` or `?tls=opportunistic` for STARTTLS.
    pub url: SecretString,
    /// Such as `The House <tickets@house.example>`.
    pub from: String,
    /// By which times are told.
    pub utc_offset: UtcOffset,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("HOLDFAST_SMTP_URL cannot be used")]
    Url(#[source] smtp::Error),
    #[error("HOLDFAST_MAIL_FROM is no address, such as `The House <tickets@house.example>`")]
    From(#[source] lettre::address::AddressError),
}

/// The way to a mail server.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    utc_offset: UtcOffset,
    templates: Templates,
}

impl Mailer {
    /// Takes the settings; connects when first used.
    ///
    /// # Errors
    /// Where one of them cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url.expose_secret())
                .map_err(Error::Url)?
                .timeout(Some(MAIL_TIMEOUT))
                .pool_config(PoolConfig::new().max_size(u32::try_from(MAILS_AT_ONCE).unwrap_or(1)))
                .build();
        Ok(Self {
            transport,
            from: settings.from.parse().map_err(Error::From)?,
            utc_offset: settings.utc_offset,
            templates: Templates::new(),
        })
    }

    /// Hands a letter over to the mail server: once it has taken it, it is sent.
    ///
    /// # Errors
    /// Whether it is worth another try, and why.
    pub async fn send(&self, letter: &Letter) -> Result<(), Undelivered> {
        let message = compose::message(letter, &self.from, self.utc_offset, &self.templates)?;
        let _span = telemetry::outward("mail");
        match timeout(MAIL_TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(undelivered(&error)),
            Err(_) => Err(Undelivered::for_now("the mail server did not answer in time")),
        }
    }
}

/// What a server answers may quote the address, so only its code is told on.
fn undelivered(error: &smtp::Error) -> Undelivered {
    let Some(code) = error.status() else {
        let why = match error {
            _ if error.is_timeout() => "the mail server did not answer in time",
            _ if error.is_tls() => "no TLS with the mail server",
            _ => "the mail server is out of reach",
        };
        return Undelivered::for_now(why);
    };
    let code = code.to_string();
    // About us, not about the letter: whoever runs the servers mends it.
    let is_of_our_login = ["530", "534", "535", "538"].contains(&code.as_str());
    let why = format!("the mail server answered {code}");
    match error.is_permanent() && !is_of_our_login {
        true => Undelivered::for_good(why),
        false => Undelivered::for_now(why),
    }
}

//! The room of webhooks: how a URL is called, and its calls are signed.
//!
//! Calls follow the Standard Webhooks convention (standardwebhooks.com): the headers
//! `webhook-id`, the same for every telling of one event; `webhook-timestamp`, seconds
//! of when it is sent; and `webhook-signature`, `v1,` and the base64 of the HMAC-SHA256
//! over `id.timestamp.body`. A secret is told as `whsec_` and its base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use sha2::Sha256;
use std::sync::Arc;
use time::OffsetDateTime;

use crate::{
    domain::{Undelivered, Webhook},
    limits::{WEBHOOK_ANSWER_BYTES, WEBHOOK_SECRET_BYTES, WEBHOOK_TIMEOUT},
    telemetry,
};

/// No client for calls could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("TLS cannot be used")]
    Tls(#[source] rustls::Error),
    #[error("there is no client for webhooks")]
    Client(#[source] reqwest::Error),
}

/// Calls webhooks.
pub struct Caller {
    client: Client,
}

impl Caller {
    /// Trusts whom the system trusts.
    ///
    /// # Errors
    /// Where no client can be made of that.
    pub fn new() -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(WEBHOOK_TIMEOUT)
            // Where it leads to was never asked for.
            .redirect(Policy::none())
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::Client)?;
        Ok(Self { client })
    }

    /// Calls a webhook: done once it answers 2xx.
    ///
    /// # Errors
    /// Whether it is worth another try, and why.
    pub async fn call(
        &self,
        webhook: &Webhook,
        message_id: &str,
        body: String,
    ) -> Result<(), Undelivered> {
        let timestamp = OffsetDateTime::now_utc().unix_timestamp();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let own = [
            ("webhook-id", message_id.to_owned()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature(&webhook.secret, message_id, timestamp, &body)),
        ];
        for (name, value) in own {
            let value = HeaderValue::from_str(&value);
            headers.insert(name, value.map_err(|_| Undelivered::for_good("no header"))?);
        }
        let mut span = telemetry::outward("webhook");
        if let Some((name, value)) = span.outgoing() {
            let value = HeaderValue::from_str(&value);
            headers.insert(name, value.map_err(|_| Undelivered::for_good("no header"))?);
        }
        let sent = self.client.post(&webhook.url).headers(headers).body(body).send().await;
        let answer = span.of(sent).map_err(|error| failed(&error))?;
        let status = answer.status();
        span.set("http.response.status_code", i64::from(status.as_u16()));
        drain(answer).await;
        match status {
            status if status.is_success() => Ok(()),
            // By the convention: it shall not be called any more.
            StatusCode::GONE => Err(Undelivered::for_good("it answered 410")),
            status => Err(Undelivered::for_now(format!("it answered {}", status.as_u16()))),
        }
    }
}

/// A new secret.
///
/// # Errors
/// Where the system has no randomness.
pub fn new_secret() -> Result<Vec<u8>, getrandom::Error> {
    let mut secret = vec![0; WEBHOOK_SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// A secret as whoever verifies calls is given it.
pub fn printed_secret(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// Whether a webhook can have this URL.
pub fn is_url(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| {
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        // What is secret in a URL ends in logs: the signature says who calls.
        is_http && url.username().is_empty() && url.password().is_none()
    })
}

fn signature(secret: &[u8], message_id: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    for part in [message_id, ".", &timestamp.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Reads what comes with an answer, for the connection to serve again; not for long.
async fn drain(mut answer: Response) {
    let mut left = WEBHOOK_ANSWER_BYTES;
    while let Ok(Some(chunk)) = answer.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}

/// The error itself would tell the URL.
fn failed(error: &reqwest::Error) -> Undelivered {
    let why = match error {
        _ if error.is_timeout() => "it did not answer in time",
        _ if error.is_connect() => "it is out of reach",
        _ => "the call broke off",
    };
    Undelivered::for_now(why)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://house.example/hook?a=1", true)]
    #[case("http://127.0.0.1:8080", true)]
    #[case("ftp://house.example", false)]
    #[case("https://user:secret@house.example", false)]
    #[case("/hook", false)]
    #[case("", false)]
    fn urls_of_webhooks(#[case] url: &str, #[case] good: bool) {
        assert_eq!(is_url(url), good);
    }

    /// The example of the Standard Webhooks specification's own test suite.
    #[test]
    fn signs_as_the_convention_has_it() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let signed = signature(&secret, id, timestamp, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}

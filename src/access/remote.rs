//! The keys of a URL.

use std::sync::{
    Arc, Weak,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
    },
};

use arc_swap::ArcSwapOption;
use reqwest::{Client, Url, redirect::Policy};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, sleep, timeout},
};

use super::{
    Error,
    keys::{KeySet, Unusable},
};
use crate::{
    limits::{JWKS_PAUSE, JWKS_PERIOD, JWKS_TIMEOUT, MAX_JWKS_BYTES, MAX_KEY_WAITERS},
    reload::Why,
    telemetry,
};

/// Keys that a URL tells. What it told last is good while it is away.
pub struct Remote {
    url: Url,
    /// The URL as logs have it.
    shown: String,
    client: Client,
    keys: ArcSwapOption<KeySet>,
    /// Of the answer that they are made of.
    digest: Mutex<Option<[u8; 32]>>,
    /// Whether it answered when it was asked last.
    is_there: AtomicBool,
    /// When a call last made us ask.
    asked: Mutex<Option<Instant>>,
    /// Places of the calls that wait for it.
    waiters: Arc<Semaphore>,
}

impl Remote {
    pub fn new(url: Url) -> Result<Self, Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(JWKS_TIMEOUT)
            // Where it leads to was never said to be trusted.
            .redirect(Policy::none())
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            shown: shown(&url),
            url,
            client,
            keys: ArcSwapOption::empty(),
            digest: Mutex::default(),
            is_there: AtomicBool::new(false),
            asked: Mutex::default(),
            waiters: Arc::new(Semaphore::new(MAX_KEY_WAITERS)),
        })
    }

    /// What it told last.
    pub fn now(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Asks again and again, as long as anybody has it.
    pub async fn keep(this: Weak<Self>) {
        loop {
            let Some(remote) = this.upgrade() else { return };
            let is_good = remote.ask().await;
            drop(remote);
            sleep(if is_good { JWKS_PERIOD } else { JWKS_PAUSE }).await;
        }
    }

    /// Asks for a key that is not known, unless another call made us ask just now; waits
    /// for that, `JWKS_TIMEOUT` at most. Whether the URL has told: a key that is not known
    /// then does not exist. Else it may, as where too many calls wait already.
    pub async fn look(self: &Arc<Self>) -> bool {
        // Who only wants to know what was just told takes nobody's place.
        if self.asked.try_lock().is_ok_and(|asked| is_recent(*asked)) {
            return self.is_there.load(Acquire);
        }
        let Ok(place) = self.waiters.clone().try_acquire_owned() else { return false };
        let this = self.clone();
        // Who made us ask may go away meanwhile; others wait for it, too.
        let asking = tokio::spawn(async move {
            let _place = place;
            let mut asked = this.asked.lock().await;
            if !is_recent(*asked) {
                this.ask().await;
                *asked = Some(Instant::now());
            }
            this.is_there.load(Acquire)
        });
        matches!(timeout(JWKS_TIMEOUT, asking).await, Ok(Ok(true)))
    }

    async fn ask(&self) -> bool {
        let mut digest = self.digest.lock().await;
        let told = self.fetch().await.and_then(|text| {
            let new: [u8; 32] = Sha256::digest(&text).into();
            if *digest == Some(new) {
                return Ok(None);
            }
            Ok(Some((KeySet::parse(&text)?, new)))
        });
        let is_there = match told {
            Ok(None) => true,
            Ok(Some((keys, new))) => {
                tracing::info!(keys = keys.count(), "the keys of tokens were read");
                *digest = Some(new);
                self.keys.store(Some(Arc::new(keys)));
                telemetry::reloaded("token keys", true);
                true
            }
            Err(error) => {
                let (error, url) = (&*error, &self.shown);
                tracing::error!(error, url, "the keys of tokens cannot be read");
                telemetry::reloaded("token keys", false);
                false
            }
        };
        self.is_there.store(is_there, Release);
        is_there
    }

    async fn fetch(&self) -> Result<Vec<u8>, Why> {
        let mut answer =
            self.client.get(self.url.clone()).send().await.map_err(reqwest::Error::without_url)?;
        if answer.status() != 200 {
            return Err(Unusable::Status(answer.status().as_u16()).into());
        }
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if text.len() + piece.len() > MAX_JWKS_BYTES {
                return Err(Unusable::TooLong.into());
            }
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }
}

fn is_recent(asked: Option<Instant>) -> bool {
    asked.is_some_and(|last| last.elapsed() < JWKS_PAUSE)
}

/// Without the query, which may have a secret.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

//! The keys that tokens are verified with: of a file, or of a URL.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use reqwest::Url;
use serde_json::Value;

use super::{Error, remote::Remote};
use crate::{
    limits::{MAX_JWKS_BYTES, MAX_JWT_KEYS, MAX_KEYS_TRIED, MIN_SECRET_BYTES},
    reload::{Reloaded, Why},
};

/// Where keys are.
#[derive(Debug, Clone)]
pub enum Source {
    File(PathBuf),
    Url(Url),
}

/// The keys of a source, as it has them now.
pub enum Keys {
    File(Arc<Reloaded<KeySet>>),
    Url(Arc<Remote>),
}

/// Keys that came together.
pub struct KeySet {
    /// Of this set: another set, even of the same keys, has another one.
    pub number: u64,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    /// The only one that it may be used with.
    algorithm: Option<Algorithm>,
    curve: Option<EllipticCurve>,
    decoding: DecodingKey,
}

/// Text that is no keys.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("it has no key that tokens can be verified with")]
    NoKey,
    #[error("it has more than {MAX_JWT_KEYS} keys")]
    TooMany,
    #[error("it has a private key, which nobody but who signs should have")]
    Private,
    #[error("the answer is longer than {MAX_JWKS_BYTES} bytes")]
    TooLong,
    #[error("the URL answers {0}")]
    Status(u16),
}

impl Source {
    /// A file's path, or a URL that keys may be asked for at.
    ///
    /// # Errors
    /// Where a URL is not safe to ask at: whoever changes the answer is every caller. And
    /// where it has a user or a password, which would be told to whoever lists settings.
    pub fn new(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).ok();
        if url.is_none() && !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        url.filter(is_safe).map(Self::Url).ok_or(Error::Url)
    }
}

fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let is_kept = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    is_kept && url.username().is_empty() && url.password().is_none()
}

impl Keys {
    /// Reads a file, and again whenever it changes; or asks at a URL again and again.
    ///
    /// # Errors
    /// Where the file cannot be used. A URL need not answer yet.
    pub fn of(source: Source) -> Result<Self, Error> {
        match source {
            Source::File(path) => {
                let keys =
                    Reloaded::new("token keys", vec![path], |texts| KeySet::parse(&texts[0]))?;
                let keys = Arc::new(keys);
                tokio::spawn(Reloaded::keep(Arc::downgrade(&keys)));
                Ok(Self::File(keys))
            }
            Source::Url(url) => {
                let remote = Arc::new(Remote::new(url)?);
                tokio::spawn(Remote::keep(Arc::downgrade(&remote)));
                Ok(Self::Url(remote))
            }
        }
    }

    /// The keys; none where the URL has not answered since the server began.
    pub fn now(&self) -> Option<Arc<KeySet>> {
        match self {
            Self::File(keys) => Some(Arc::clone(&keys.now())),
            Self::Url(remote) => remote.now(),
        }
    }
}

impl KeySet {
    /// A JWK set, or public keys as PEM.
    pub fn parse(text: &[u8]) -> Result<Self, Why> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let text = std::str::from_utf8(text)?;
        let keys = if text.trim_start().starts_with('{') { of_jwks(text)? } else { of_pem(text)? };
        match keys.len() {
            0 => Err(Unusable::NoKey.into()),
            count if count > MAX_JWT_KEYS => Err(Unusable::TooMany.into()),
            _ => Ok(Self { number: NUMBERS.fetch_add(1, Relaxed), keys }),
        }
    }

    /// How many they are; none is no set.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The keys that a token with such a header may be verified with, `MAX_KEYS_TRIED` at
    /// most; first those that it names.
    pub fn of_header(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> impl Iterator<Item = &DecodingKey> {
        let is_named = move |key: &&Key| id.is_some() && key.id.as_deref() == id;
        let may_be_meant = move |key: &&Key| id.is_none() || key.id.is_none();
        let named = self.keys.iter().filter(is_named);
        named
            .chain(self.keys.iter().filter(may_be_meant))
            .filter(move |key| key.fits(algorithm))
            .take(MAX_KEYS_TRIED)
            .map(|key| &key.decoding)
    }

    /// Whether a key with this id may be among them.
    pub fn knows(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref().is_none_or(|own| own == id))
    }
}

impl Key {
    /// Its kind says with which algorithms it may be used: a public key is never the
    /// secret of another kind.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let is_its_curve = match (&self.curve, algorithm) {
            (Some(curve), Algorithm::ES256) => *curve == EllipticCurve::P256,
            (Some(curve), Algorithm::ES384) => *curve == EllipticCurve::P384,
            _ => true,
        };
        self.decoding.family() == algorithm.family()
            && self.algorithm.is_none_or(|only| only == algorithm)
            && is_its_curve
    }

    /// `None` for what is no key that signatures are verified with.
    fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let is_for_signatures =
            common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
                && common
                    .key_operations
                    .as_ref()
                    .is_none_or(|used| used.contains(&KeyOperations::Verify));
        let algorithm = match common.key_algorithm {
            None => None,
            Some(named) => Some(named.to_string().parse().ok()?),
        };
        let curve = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(key) => Some(key.curve.clone()),
            _ => None,
        };
        let key = DecodingKey::from_jwk(jwk).ok().filter(|_| is_for_signatures)?;
        // A secret that can be guessed is none.
        let is_long = key.family() != AlgorithmFamily::Hmac
            || key.try_get_as_bytes().is_ok_and(|secret| secret.len() >= MIN_SECRET_BYTES);
        is_long.then(|| Self { id: common.key_id.clone(), algorithm, curve, decoding: key })
    }
}

/// A key of a kind that is not known here says nothing of the others.
fn of_jwks(text: &str) -> Result<Vec<Key>, Why> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let Set { keys } = serde_json::from_str(text)?;
    let known = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(known.filter_map(|jwk| Key::of_jwk(&jwk)).collect())
}

fn of_pem(text: &str) -> Result<Vec<Key>, Why> {
    if text.contains("PRIVATE KEY") {
        return Err(Unusable::Private.into());
    }
    let blocks = text.match_indices("-----BEGIN ").map(|(at, _)| {
        let block = &text[at..];
        block.match_indices("-----").nth(3).map_or(block, |(end, _)| &block[..end + 5]).as_bytes()
    });
    let key = |pem| {
        let key = DecodingKey::from_ec_pem(pem)
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .or_else(|_| DecodingKey::from_rsa_pem(pem))?;
        Ok(Key { id: None, algorithm: None, curve: None, decoding: key })
    };
    blocks.map(key).collect()
}

//! Tokens: JWTs that somebody else has signed.

use std::sync::Arc;

pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{Validation, decode, decode_header};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::{
    Error, No, claims,
    claims::Claims,
    keys::{KeySet, Keys, Source},
    now,
};
use crate::{
    domain::{Caller, Refusal},
    limits::{MAX_TOKEN_BYTES, MAX_TOKENS_KEPT},
};

/// Which tokens are taken.
#[derive(Debug, Clone)]
pub struct Settings {
    pub keys: Source,
    pub algorithms: Vec<Algorithm>,
    pub audience: String,
    pub issuer: Option<String>,
    pub leeway_s: u64,
    pub roles_claim: String,
}

/// Verifies tokens, and remembers those that it has.
pub struct Tokens {
    settings: Settings,
    keys: Keys,
    /// By a digest: a token that is kept is a key that can be stolen.
    verified: Cache<[u8; 32], Verified>,
}

#[derive(Clone)]
struct Verified {
    /// `None` where it names no role.
    caller: Option<Arc<Caller>>,
    /// Seconds since 1970.
    until_s: u64,
    /// The set of keys that it was verified with.
    keys: u64,
}

impl Tokens {
    /// # Errors
    /// Where the file of keys cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let keys = Keys::of(settings.keys.clone())?;
        Ok(Self { settings, keys, verified: Cache::new(MAX_TOKENS_KEPT) })
    }

    /// Who brings this `authorization`, and until when that is good.
    pub fn caller(&self, authorization: &[u8]) -> Result<(Option<Arc<Caller>>, u64), No> {
        let token = token_of(authorization).ok_or_else(|| refused("it is no bearer token"))?;
        let keys = self.keys.now().ok_or(No::KeysAway)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let found = self
            .verified
            .get(&digest)
            .filter(|found| found.keys == keys.number && now().as_secs() <= found.until_s);
        let found = match found {
            Some(found) => found,
            None => {
                let verified = self.verify(token, &keys)?;
                self.verified.insert(digest, verified.clone());
                verified
            }
        };
        Ok((found.caller, found.until_s))
    }

    /// Asks for the keys anew. Whether they were told.
    pub async fn look(&self) -> bool {
        match &self.keys {
            Keys::Url(remote) => remote.look().await,
            Keys::File(_) => true,
        }
    }

    fn verify(&self, token: &[u8], keys: &KeySet) -> Result<Verified, No> {
        let set = &self.settings;
        let header = decode_header(token).map_err(|_| refused("its header cannot be read"))?;
        if !set.algorithms.contains(&header.alg) {
            return Err(refused("its algorithm is none of those that are taken"));
        }
        // Nothing that it could name there is understood here (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(refused("it names what has to be understood"));
        }
        let id = header.kid.as_deref();
        if id.is_some_and(|id| !keys.knows(id)) {
            return Err(match self.keys {
                Keys::File(_) => refused("its key is not known"),
                Keys::Url(_) => No::KeyUnknown,
            });
        }
        let validation = self.validation(header.alg);
        let mut why = refused("none of the keys fits");
        for key in keys.of_header(header.alg, id) {
            match decode::<Claims>(token, key, &validation) {
                Ok(decoded) => return Ok(self.verified(&decoded.claims, keys)),
                Err(error) => {
                    // Its text names a check, or a claim that is missing.
                    why = refused(&error.to_string());
                }
            }
        }
        Err(why)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let set = &self.settings;
        let mut validation = Validation::new(algorithm);
        validation.leeway = set.leeway_s;
        validation.validate_nbf = true;
        validation.set_audience(&[&set.audience]);
        match &set.issuer {
            None => validation.set_required_spec_claims(&["exp", "aud"]),
            Some(issuer) => {
                validation.set_issuer(&[issuer]);
                validation.set_required_spec_claims(&["exp", "aud", "iss"]);
            }
        }
        validation
    }

    fn verified(&self, claims: &Claims, keys: &KeySet) -> Verified {
        // It is there: that was checked.
        let exp_s = claims.get("exp").and_then(|exp| match exp.as_u64() {
            Some(exp_s) => Some(exp_s),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float saturates"
            )]
            None => exp.as_f64().map(|exp_s| exp_s as u64),
        });
        Verified {
            caller: claims::caller(claims, &self.settings.roles_claim),
            until_s: exp_s.unwrap_or_default().saturating_add(self.settings.leeway_s),
            keys: keys.number,
        }
    }
}

/// What stands after the scheme, which is written in any case (RFC 9110, 11.1).
fn token_of(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let is_good = scheme.eq_ignore_ascii_case(b"bearer ") && token.len() <= MAX_TOKEN_BYTES;
    is_good.then(|| token.trim_ascii())
}

/// Which check failed is for the log: who tries keys is not told.
fn refused(why: &str) -> No {
    tracing::debug!(why, "a token is not taken");
    Refusal::Unauthenticated.into()
}

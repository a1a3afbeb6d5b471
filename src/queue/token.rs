//! What places and admissions are known by: signed by the server, and kept by clients.
//!
//! A token is the base64 of what it says and of an HMAC-SHA256 over that, its kind and its
//! event. A place's says the holder and the number, so that the place can be put back
//! where it was if Redis forgets it; an admission's says until when it is good, and is
//! signed over its holder, so that Hold checks it without asking anybody.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::{
    domain::{EventId, HolderId},
    limits::{MIN_QUEUE_KEY_BYTES, QUEUE_KEY_BYTES},
};

/// A key that is too short to sign with.
#[derive(Debug, thiserror::Error)]
#[error("a key must have at least {MIN_QUEUE_KEY_BYTES} bytes")]
pub struct ShortKey;

/// What tokens are signed with. All servers have the same.
#[derive(Debug)]
pub struct Key(SecretSlice<u8>);

const MAC_BYTES: usize = 32;
const NUMBER_BYTES: usize = 8;
const PLACE: &[u8] = b"place";
const ADMISSION: &[u8] = b"admission";

/// A new key's bytes.
///
/// # Errors
/// Where the system has no randomness.
pub fn new_secret() -> Result<Vec<u8>, getrandom::Error> {
    let mut secret = vec![0; QUEUE_KEY_BYTES];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

impl Key {
    /// From its bytes.
    ///
    /// # Errors
    /// Where they are too few.
    pub fn new(secret: impl Into<SecretSlice<u8>>) -> Result<Self, ShortKey> {
        let secret = secret.into();
        let is_long = secret.expose_secret().len() >= MIN_QUEUE_KEY_BYTES;
        if is_long { Ok(Self(secret)) } else { Err(ShortKey) }
    }

    /// Says which place is whose.
    pub fn place_token(&self, event_id: &EventId, holder: &HolderId, number: u64) -> String {
        let said = [&number.to_be_bytes(), holder.as_str().as_bytes()].concat();
        self.signed(said, &[PLACE, event_id.as_str().as_bytes()])
    }

    /// The holder and the number that a place's token says; `None` where it was not made
    /// for this event by one of our servers.
    pub fn place(&self, event_id: &EventId, token: &str) -> Option<(HolderId, u64)> {
        let said = self.verified(token, &[PLACE, event_id.as_str().as_bytes()])?;
        let (number, holder) = said.split_first_chunk::<NUMBER_BYTES>()?;
        let holder = str::from_utf8(holder).ok()?.parse().ok()?;
        Some((holder, u64::from_be_bytes(*number)))
    }

    /// Lets a holder make holds until then, in ms of Unix time.
    pub fn admission_token(&self, event_id: &EventId, holder: &HolderId, until_ms: u64) -> String {
        self.signed(until_ms.to_be_bytes().to_vec(), &admission(event_id, holder))
    }

    /// Until when an admission's token is good, in ms of Unix time; `None` where it was not
    /// made for this holder and event by one of our servers.
    pub fn admission(
        &self,
        event_id: &EventId,
        holder: &HolderId,
        token: &str,
    ) -> Option<Duration> {
        let said = self.verified(token, &admission(event_id, holder))?;
        Some(Duration::from_millis(u64::from_be_bytes(said.try_into().ok()?)))
    }

    fn signed(&self, mut said: Vec<u8>, about: &[&[u8]]) -> String {
        let mac = self.mac(&said, about).finalize().into_bytes();
        said.extend_from_slice(&mac);
        BASE64.encode(said)
    }

    /// What a token says, where it is signed by this key; compared in constant time.
    fn verified(&self, token: &str, about: &[&[u8]]) -> Option<Vec<u8>> {
        let mut said = BASE64.decode(token).ok()?;
        let mac = said.split_off(said.len().checked_sub(MAC_BYTES)?);
        self.mac(&said, about).verify_slice(&mac).ok()?;
        Some(said)
    }

    fn mac(&self, said: &[u8], about: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .expect("HMAC takes a key of any length");
        // Ids have no zeros: what is signed can be read in one way only.
        for part in about {
            mac.update(part);
            mac.update(&[0]);
        }
        mac.update(said);
        mac
    }
}

fn admission<'a>(event_id: &'a EventId, holder: &'a HolderId) -> [&'a [u8]; 3] {
    [ADMISSION, event_id.as_str().as_bytes(), holder.as_str().as_bytes()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_ID_CHARS, MAX_QUEUE_TOKEN_CHARS};

    fn key(byte: u8) -> Key {
        Key::new(vec![byte; MIN_QUEUE_KEY_BYTES]).unwrap()
    }

    #[test]
    fn says_what_it_was_made_for_and_nothing_else() {
        let [event, other] = ["event", "other"].map(|id| id.parse::<EventId>().unwrap());
        let [ann, bob] = ["ann", "bob"].map(|id| id.parse::<HolderId>().unwrap());
        let place = key(1).place_token(&event, &ann, 1 << 52);
        assert_eq!(key(1).place(&event, &place), Some((ann.clone(), 1 << 52)));
        assert_eq!(key(1).place(&other, &place), None);
        assert_eq!(key(2).place(&event, &place), None);
        assert_eq!(key(1).admission(&event, &ann, &place), None);

        let admission = key(1).admission_token(&event, &ann, 5_000);
        let until = Some(Duration::from_secs(5));
        assert_eq!(key(1).admission(&event, &ann, &admission), until);
        assert_eq!(key(1).admission(&event, &bob, &admission), None);
        assert_eq!(key(1).admission(&other, &ann, &admission), None);
        assert_eq!(key(2).admission(&event, &ann, &admission), None);
        for bad in ["", "AAAA", "not base64!"] {
            assert_eq!(key(1).admission(&event, &ann, bad), None);
            assert_eq!(key(1).place(&event, bad), None);
        }
        // Each of its bits counts.
        let bytes = BASE64.decode(&admission).unwrap();
        for bit in 0..8 * bytes.len() {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key(1).admission(&event, &ann, &BASE64.encode(forged)), None);
        }
    }

    #[test]
    fn the_longest_is_as_long_as_the_contract_says() {
        let longest = "x".repeat(MAX_ID_CHARS);
        let (event, holder) = (longest.parse().unwrap(), longest.parse().unwrap());
        assert!(key(1).place_token(&event, &holder, u64::MAX).len() <= MAX_QUEUE_TOKEN_CHARS);
    }

    #[test]
    fn a_key_is_long_and_not_shown() {
        assert!(Key::new(vec![1; MIN_QUEUE_KEY_BYTES - 1]).is_err());
        assert!(!format!("{:?}", key(77)).contains("77"));
    }
}

//! A point of an event's history, and its printable form, the resume token.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::EventId;

/// The fencing token from Redis into Postgres: each time an event's state in
/// Redis is built anew it is one higher, from 1 up.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of an event after `seq` changes in this epoch. As
/// `<epoch>-<seq>` it is the id of the change's entry in the event's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    pub epoch: Epoch,
    pub seq: u64,
}

/// The token was not made by this service for this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a token of this event's stream")]
pub struct TokenError;

impl Position {
    /// The opaque token by which a client resumes after this position.
    pub fn token(self, event_id: &EventId) -> String {
        format!("{self}-{}", self.seal(event_id))
    }

    /// Reads a token back.
    ///
    /// # Errors
    /// [`TokenError`] where it is malformed, or another event's: a position of
    /// another event would silently skip changes of this one.
    pub fn from_token(token: &str, event_id: &EventId) -> Result<Self, TokenError> {
        let (position, seal) = token.rsplit_once('-').ok_or(TokenError)?;
        let position = Self::parse(position).ok_or(TokenError)?;
        if position.seal(event_id) == seal { Ok(position) } else { Err(TokenError) }
    }

    /// Reads `<epoch>-<seq>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.split_once('-')?;
        Some(Self { epoch: Epoch(epoch.parse().ok()?), seq: seq.parse().ok()? })
    }

    fn seal(self, event_id: &EventId) -> String {
        let digest = Sha256::digest(format!("{event_id} {self}"));
        hex::encode(&digest[..4])
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_event_only() {
        let (demo, other) = ("demo".parse().unwrap(), "other".parse().unwrap());
        let position = Position { epoch: Epoch(3), seq: 42 };
        let token = position.token(&demo);
        assert_eq!(Position::from_token(&token, &demo), Ok(position));
        assert_eq!(Position::from_token(&token, &other), Err(TokenError));
        for forged in ["", "3-42", "3-43-00000000", "x-y-z", &token[1..], &format!("{token}0")] {
            assert_eq!(Position::from_token(forged, &demo), Err(TokenError), "{forged}");
        }
    }
}

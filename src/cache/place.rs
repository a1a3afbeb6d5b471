//! Where an answer is kept, and every key that the caches have in Redis.
//!
//! - `hf:{<scope>}:generation`, a hash: `generation`, a name that was never used before,
//!   and the `incarnation` of Redis that it was made in. Absent, it is made anew by
//!   whoever looks. The scope is an event, or `~catalog`, which no event is called.
//! - `hf:{~catalog}:home`, `hf:{~catalog}:search:<place>`, `hf:{<event>}:detail`, hashes:
//!   `of`, the generation and what was asked; `body`, the answer, packed.
//! - The same names and `:lease`: who fills the place.
//!
//! All of them end by a time to live.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{
    domain::EventId,
    limits::{DETAIL_KEPT, HOME_KEPT, SEARCH_KEPT, SEARCH_PLACES},
    telemetry::CacheName,
};

/// The scope of what every event is a part of.
const CATALOG: &str = "~catalog";

/// One answer's place.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) cache: CacheName,
    /// All keys of a scope share it as their hash tag.
    pub(super) scope: String,
    entry: String,
    /// Of the answers that may be in this place, which.
    pub(super) what: String,
}

impl Place {
    /// Of a search; `asked` is all that its answer depends on.
    pub fn search(asked: &str) -> Self {
        let digest = Sha256::digest(asked);
        let number = u16::from_be_bytes([digest[0], digest[1]]) % SEARCH_PLACES;
        Self {
            cache: CacheName::Search,
            scope: CATALOG.into(),
            entry: key(CATALOG, &format!("search:{number}")),
            what: hex::encode(&digest[..16]),
        }
    }

    /// Of the first events of all.
    pub fn home() -> Self {
        let (scope, entry) = (CATALOG.into(), key(CATALOG, "home"));
        Self { cache: CacheName::Home, scope, entry, what: String::new() }
    }

    /// Of an event and its chart.
    pub fn detail(event_id: &EventId) -> Self {
        let (scope, entry) = (event_id.to_string(), key(event_id.as_str(), "detail"));
        Self { cache: CacheName::Detail, scope, entry, what: String::new() }
    }

    /// The keys in the order in which scripts get them: generation, entry, lease.
    pub(super) fn keys(&self) -> [String; 3] {
        [key(&self.scope, "generation"), self.entry.clone(), format!("{}:lease", self.entry)]
    }

    /// What this server calls it.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.entry, self.what)
    }

    /// How long an answer is kept here.
    pub(super) fn kept(&self) -> Duration {
        match self.cache {
            CacheName::Search => SEARCH_KEPT,
            CacheName::Home => HOME_KEPT,
            CacheName::Detail => DETAIL_KEPT,
        }
    }
}

/// What a change of an event makes void: scopes, each with the keys to delete there.
pub(super) fn of_change(event_id: &EventId) -> [(String, Vec<String>); 2] {
    let event = event_id.to_string();
    let of_event = ["generation", "detail"].map(|name| key(&event, name)).into();
    let of_catalog = ["generation", "home"].map(|name| key(CATALOG, name)).into();
    [(event, of_event), (CATALOG.into(), of_catalog)]
}

fn key(scope: &str, name: &str) -> String {
    format!("hf:{{{scope}}}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_is_called_as_the_catalogue() {
        assert!(CATALOG.parse::<EventId>().is_err());
    }

    #[test]
    fn keys_of_a_place_share_a_slot() {
        let event_id: EventId = "demo".parse().unwrap();
        assert!(Place::detail(&event_id).keys().iter().all(|key| key.starts_with("hf:{demo}:")));
        let (one, two) = (Place::search("one"), Place::search("two"));
        assert!(one.keys().iter().all(|key| key.starts_with("hf:{~catalog}:")));
        assert_ne!(one.what, two.what);
    }
}

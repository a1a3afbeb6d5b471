//! Who watches an event now, in Redis: over all servers, and each viewer once.

use std::sync::Arc;

use crate::redis::Links;

/// Who watches what.
pub struct Presence {
    links: Arc<Links>,
}

impl Presence {
    pub fn new(links: Arc<Links>) -> Self {
        Self { links }
    }
}

//! What many ask for and few change, kept in Redis in front of Postgres. A Redis that
//! is away makes an answer slower, never wrong.

use std::sync::Arc;

use crate::redis::Links;

/// What is kept for all servers.
pub struct Cache {
    links: Arc<Links>,
}

impl Cache {
    pub fn new(links: Arc<Links>) -> Self {
        Self { links }
    }
}

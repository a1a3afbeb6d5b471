//! The waiting room before an event's sale, in Redis: places in the order in which they
//! were taken, and how far they were let in.

use std::sync::Arc;

use crate::redis::Links;

/// The queues before events' sales.
pub struct Queue {
    links: Arc<Links>,
}

impl Queue {
    pub fn new(links: Arc<Links>) -> Self {
        Self { links }
    }
}

//! Whether the stores can be reached, and trusted.

use std::time::Duration;

use tokio::{join, time::timeout};

use super::Flows;
use crate::limits::HEALTH_PROBE_TIMEOUT;

impl Flows {
    /// What Redis and Postgres say; an error is a text for the operator.
    pub async fn probe(&self) -> (Result<(), String>, Result<(), String>) {
        let cache = timeout(HEALTH_PROBE_TIMEOUT, self.cache.probe());
        let (redis, postgres, _) =
            join!(in_time(self.holds.probe()), in_time(self.ledger.probe()), cache);
        (redis, postgres)
    }
}

async fn in_time(probe: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    const LIMIT: Duration = HEALTH_PROBE_TIMEOUT;
    timeout(LIMIT, probe).await.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")))
}

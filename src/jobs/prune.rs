//! Every minute: what nobody needs any more is forgotten.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "prune",
    cron: "30 * * * * *",
    period: Duration::from_secs(60),
    run: |flows| Box::pin(async move { flows.prune().await }),
};

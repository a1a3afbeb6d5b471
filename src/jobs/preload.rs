//! Every second: what a sale needs when it opens is made ready.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "preload",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| Box::pin(async move { flows.preload().await }),
};

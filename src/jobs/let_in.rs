//! Every second: queues move on, also where nobody streams.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "let_in",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| Box::pin(async move { flows.let_in_everywhere().await }),
};

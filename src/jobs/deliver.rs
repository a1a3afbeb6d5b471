//! Every second: mails and calls of webhooks that are due are tried.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "deliver",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| Box::pin(async move { flows.deliver().await }),
};

//! Every ten seconds: providers are asked for payments that nobody tells of.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "ask_providers",
    cron: "*/10 * * * * *",
    period: Duration::from_secs(10),
    run: |flows| Box::pin(async move { flows.ask_providers().await }),
};

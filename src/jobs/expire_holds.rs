//! Every second: holds that run out go back on sale.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "expire_holds",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| Box::pin(async move { flows.expire_all_holds().await }),
};

//! Every second: orders whose time is up are paid after all, or cancelled.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "cancel_stale_orders",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| Box::pin(async move { flows.cancel_stale_orders().await.map(|_| ()) }),
};

//! Every second: what was committed is numbered, and whoever wants it is to be told.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "publish_order_events",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| Box::pin(async move { flows.publish_order_events().await }),
};

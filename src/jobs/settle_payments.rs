//! Every two seconds: payments that were left half-way are brought to their end.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "settle_payments",
    cron: "*/2 * * * * *",
    period: Duration::from_secs(2),
    run: |flows| Box::pin(async move { flows.settle_payments().await.map(|_| ()) }),
};

//! Every second: what is freed is offered to who waits for it.

use std::time::Duration;

use super::Job;

pub(super) const JOB: Job = Job {
    name: "offer_seats",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| Box::pin(async move { flows.offer_all_seats().await }),
};

//! Every second: providers are asked to give money back.

use std::time::Duration;

use super::Job;
use crate::telemetry;

pub(super) const JOB: Job = Job {
    name: "give_back",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| {
        Box::pin(async move {
            let given = flows.give_back().await;
            for (state, count) in flows.open_refunds().await? {
                telemetry::open_refunds(state, count);
            }
            given.map(|_| ())
        })
    },
};

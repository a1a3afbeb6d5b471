//! Every ten seconds: how many wait, and how many have an offer.

use std::time::Duration;

use super::Job;
use crate::telemetry;

pub(super) const JOB: Job = Job {
    name: "measure_waiting_lists",
    cron: "*/10 * * * * *",
    period: Duration::from_secs(10),
    run: |flows| {
        Box::pin(async move {
            let (waiting, offered) = flows.count_waiting().await?;
            telemetry::waiting("waiting", waiting);
            telemetry::waiting("offered", offered);
            Ok(())
        })
    },
};

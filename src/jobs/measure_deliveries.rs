//! Every ten seconds: how much is on its way, and what was given up.

use std::time::Duration;

use super::Job;
use crate::telemetry;

pub(super) const JOB: Job = Job {
    name: "measure_deliveries",
    cron: "*/10 * * * * *",
    period: Duration::from_secs(10),
    run: |flows| {
        Box::pin(async move {
            let counts = flows.measure_deliveries().await?;
            telemetry::unpublished(counts.unpublished);
            telemetry::deliveries("mail", counts.mails_due, counts.mails_dead);
            telemetry::deliveries("webhook", counts.calls_due, counts.calls_dead);
            Ok(())
        })
    },
};

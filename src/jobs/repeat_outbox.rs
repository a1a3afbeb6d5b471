//! Every second: what Redis was not told after a commit, it is told again.

use std::time::Duration;

use super::Job;
use crate::telemetry;

pub(super) const JOB: Job = Job {
    name: "repeat_outbox",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| {
        Box::pin(async move {
            telemetry::outbox_repeated(flows.repeat_outbox().await?);
            Ok(())
        })
    },
};

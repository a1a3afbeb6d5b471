//! Every second: Postgres follows the logs.

use std::time::Duration;

use super::Job;
use crate::telemetry;

pub(super) const JOB: Job = Job {
    name: "journal_holds",
    cron: "* * * * * *",
    period: Duration::from_secs(1),
    run: |flows| {
        Box::pin(async move {
            let journaled = flows.journal_all_holds().await;
            telemetry::journal_run(journaled.as_ref().ok().map(|(_, oldest)| *oldest));
            telemetry::journaled(journaled?.0);
            Ok(())
        })
    },
};

//! Every minute: the stores are compared, and what differs is told.

use std::time::Duration;

use super::Job;
use crate::telemetry;

pub(super) const JOB: Job = Job {
    name: "reconcile",
    cron: "10 * * * * *",
    period: Duration::from_secs(60),
    run: |flows| {
        Box::pin(async move {
            let (audited, trouble) = flows.reconcile().await?;
            telemetry::reconciled(audited.len());
            for event in audited {
                let event_id = event.event_id;
                for difference in event.differences.iter().filter(|found| found.counts()) {
                    tracing::warn!(%event_id, kind = difference.kind(), "{difference}");
                    telemetry::reconcile_difference(difference.kind());
                }
            }
            trouble?;
            telemetry::reconciled_now();
            Ok(())
        })
    },
};

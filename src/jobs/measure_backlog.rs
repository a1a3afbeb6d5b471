//! Every ten seconds: what Redis is to be told of yet, and what is not paid.

use std::time::Duration;

use super::Job;
use crate::telemetry;

pub(super) const JOB: Job = Job {
    name: "measure_backlog",
    cron: "*/10 * * * * *",
    period: Duration::from_secs(10),
    run: |flows| {
        Box::pin(async move {
            let found = flows.backlog().await?;
            telemetry::outbox(found.outbox, found.outbox_age);
            let payments = (found.payments_begun, found.payments_unsettled);
            telemetry::checkout(found.orders_pending, payments.0, payments.1);
            Ok(())
        })
    },
};

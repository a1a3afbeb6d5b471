//! Room 7, the clockwork: one table of jobs, run by cron.
//!
//! Every server runs all of them: each is safe with any number of servers, and
//! nothing waits for one to have run. The scheduler is watched: where it stops
//! firing, health says so and it is started anew.

mod ask_providers;
mod cancel_stale_orders;
mod deliver;
mod expire_holds;
mod give_back;
mod journal_holds;
mod let_in;
mod measure_backlog;
mod measure_deliveries;
mod measure_waiting_lists;
mod offer_seats;
mod preload;
mod prune;
mod publish_order_events;
mod reconcile;
mod repeat_outbox;
mod scheduler;
mod settle_payments;

pub use scheduler::Jobs;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::flow::{Error, Flows};

/// A flow and when it runs.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    /// Seconds, minutes, hours, day of month, month, day of week.
    cron: &'static str,
    /// From one run to the next, as `cron` has it.
    period: Duration,
    run: fn(Arc<Flows>) -> BoxFuture<'static, Result<(), Error>>,
}

const TABLE: [Job; 17] = [
    expire_holds::JOB,
    journal_holds::JOB,
    repeat_outbox::JOB,
    cancel_stale_orders::JOB,
    settle_payments::JOB,
    ask_providers::JOB,
    give_back::JOB,
    publish_order_events::JOB,
    deliver::JOB,
    let_in::JOB,
    measure_backlog::JOB,
    measure_deliveries::JOB,
    preload::JOB,
    offer_seats::JOB,
    measure_waiting_lists::JOB,
    prune::JOB,
    reconcile::JOB,
];

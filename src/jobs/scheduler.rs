//! Runs the table, and watches that it runs.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, interval, timeout},
};
use tokio_cron_scheduler::{Job as CronJob, JobScheduler, JobSchedulerError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Job, TABLE};
use crate::{
    domain::audit::Difference,
    flow::Flows,
    health::Health,
    limits::{HEALTH_PERIOD, JOB_RUN_TIMEOUT, JOB_STALLED},
    telemetry,
};

/// The jobs of one server.
pub struct Jobs {
    stop: CancellationToken,
    keeper: JoinHandle<()>,
    tasks: TaskTracker,
}

/// One job, and how it fares.
struct Runner {
    job: Job,
    flows: Arc<Flows>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// One run at a time.
    turn: Mutex<()>,
    /// One more may wait; others are skipped.
    waiting: AtomicBool,
    /// When the last run ended, whichever way.
    beat: std::sync::Mutex<Instant>,
}

impl Jobs {
    /// Starts all jobs.
    pub fn start(flows: &Arc<Flows>, health: Arc<Health>) -> Self {
        telemetry::reconcile_kinds(&Difference::KINDS);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let runners = TABLE.map(|job| {
            Arc::new(Runner {
                job,
                flows: flows.clone(),
                stop: stop.clone(),
                tasks: tasks.clone(),
                turn: Mutex::new(()),
                waiting: AtomicBool::new(false),
                beat: std::sync::Mutex::new(Instant::now()),
            })
        });
        let keeper = tokio::spawn(keep_running(runners.to_vec(), health, stop.clone()));
        Self { stop, keeper, tasks }
    }

    /// Starts no more runs, and waits for those under way.
    pub async fn stop(self) {
        self.stop.cancel();
        // It ends the scheduler, which then fires no more.
        let _ = self.keeper.await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Keeps a scheduler going until `stop`; a new one where a job has stalled.
async fn keep_running(runners: Vec<Arc<Runner>>, health: Arc<Health>, stop: CancellationToken) {
    let mut scheduler = start_scheduler(&runners).await;
    let mut look = interval(HEALTH_PERIOD);
    while stop.run_until_cancelled(look.tick()).await.is_some() {
        let stalled: Vec<_> = runners.iter().filter(|runner| runner.is_stalled()).collect();
        let names: Vec<_> = stalled.iter().map(|runner| runner.job.name).collect();
        health.update(|report| {
            report.jobs = match names.is_empty() {
                true => Ok(()),
                false => Err(format!("stalled: {}", names.join(", "))),
            };
        });
        // A run under way is ended by its own time-out.
        if stalled.iter().any(|runner| runner.turn.try_lock().is_ok()) {
            tracing::warn!(
                jobs = names.join(", "),
                "jobs have stalled; the scheduler is restarted"
            );
            telemetry::job_scheduler_restarted();
            end_scheduler(scheduler).await;
            for runner in stalled {
                runner.beat();
            }
            scheduler = start_scheduler(&runners).await;
        }
    }
    end_scheduler(scheduler).await;
}

/// A scheduler with the whole table; `None` where it does not start: then all
/// jobs stall, and it is tried again.
async fn start_scheduler(runners: &[Arc<Runner>]) -> Option<JobScheduler> {
    let start = async {
        let scheduler = JobScheduler::new().await?;
        for runner in runners {
            let runner = runner.clone();
            let job = CronJob::new_async(runner.job.cron, move |_, _| {
                let runner = runner.clone();
                Box::pin(
                    async move { runner.tasks.clone().spawn(runner.run()).await.unwrap_or(()) },
                )
            })?;
            scheduler.add(job).await?;
        }
        scheduler.start().await?;
        Ok::<_, JobSchedulerError>(scheduler)
    };
    start.await.inspect_err(|error| tracing::error!(%error, "job scheduler does not start")).ok()
}

async fn end_scheduler(scheduler: Option<JobScheduler>) {
    if let Some(mut scheduler) = scheduler
        && let Err(error) = scheduler.shutdown().await
    {
        tracing::debug!(%error, "job scheduler does not end");
    }
}

impl Runner {
    async fn run(self: Arc<Self>) {
        if self.waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let turn = self.turn.lock().await;
        self.waiting.store(false, Ordering::Release);
        if self.stop.is_cancelled() {
            return;
        }
        let (name, begun) = (self.job.name, Instant::now());
        let run = timeout(JOB_RUN_TIMEOUT, (self.job.run)(self.flows.clone()));
        let result = match telemetry::in_job(name, run).await {
            Ok(Ok(())) => "ok",
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(job = name, %error, cause, "job failed; it runs again");
                "failed"
            }
            Err(_) => {
                tracing::warn!(job = name, "job took too long; it runs again");
                "timeout"
            }
        };
        telemetry::job_run(name, result, begun.elapsed());
        self.beat();
        drop(turn);
    }

    fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_stalled(&self) -> bool {
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.elapsed() > self.job.period + JOB_STALLED
    }
}

//! How this server is, for every door to tell.

use tokio::sync::watch;

/// What each part says; an error is a text for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub redis: Result<(), String>,
    pub postgres: Result<(), String>,
    /// Jobs that have stalled. They are restarted; calls do not need them.
    pub jobs: Result<(), String>,
    /// Whether this server is going away.
    pub draining: bool,
}

impl Default for Report {
    fn default() -> Self {
        let unknown = || Err("not probed yet".to_owned());
        Self { redis: unknown(), postgres: unknown(), jobs: Ok(()), draining: false }
    }
}

impl Report {
    /// Whether calls should come here.
    pub fn is_ready(&self) -> bool {
        self.redis.is_ok() && self.postgres.is_ok() && !self.draining
    }
}

/// The latest report.
#[derive(Debug, Default)]
pub struct Health {
    report: watch::Sender<Report>,
}

impl Health {
    /// The report as it is now.
    pub fn report(&self) -> Report {
        self.report.borrow().clone()
    }

    /// Changes the report, and tells those who watch where that made a
    /// difference.
    pub fn update(&self, change: impl FnOnce(&mut Report)) {
        self.report.send_if_modified(|report| {
            let before = report.clone();
            change(report);
            *report != before
        });
    }

    /// Follows the report.
    pub fn watch(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }
}

//! `make bench-scale`: what work costs as there is more of it.

mod events_loaded;
mod holders;
mod open_holds;
mod picture;
mod seats;
mod series;
mod subscribers;

use anyhow::{Context as _, ensure};
use tokio::{process::Command, time::Instant};

use super::stage::Stage;

pub use events_loaded::run as events_loaded;
pub use holders::run as holders;
pub use open_holds::run as open_holds;
pub use picture::draw;
pub use seats::run as seats;
pub use series::Series;
pub use subscribers::run as subscribers;

/// Runs the operator's command, which must find nothing; answers how many seconds
/// it took.
async fn audit(stage: &Stage, database: u32) -> anyhow::Result<f64> {
    let (postgres, redis) = stage.urls(database);
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["audit", "--postgres-url", &postgres, "--redis-url", &redis])
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run the audit")?;
    let took = begun.elapsed().as_secs_f64();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(took)
}

//! `holdfast audit`, run on the stores under test.

use std::process::Stdio;

use tokio::{process::Command, sync::OnceCell};

use crate::stage::Stage;

const PROGRAM: &str = env!("CARGO_BIN_EXE_holdfast");

/// What it finds wrong with an event: the lines that it printed.
pub async fn differences(stage: &Stage, event_id: &str) -> anyhow::Result<Vec<String>> {
    if !is_there().await {
        return Ok(Vec::new());
    }
    let output = Command::new(PROGRAM)
        .args(["audit", "--event", event_id])
        .env("HOLDFAST_POSTGRES_URL", stage.postgres.direct_url())
        .env("HOLDFAST_REDIS_URL", stage.redis.url(0))
        .env("HOLDFAST_LOG", "error")
        .output()
        .await?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let printed = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect())
}

/// Whether this program has the command.
async fn is_there() -> bool {
    static IS_THERE: OnceCell<bool> = OnceCell::const_new();
    let ask = async || {
        let mut help = Command::new(PROGRAM);
        help.args(["audit", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
        help.status().await.is_ok_and(|status| status.success())
    };
    *IS_THERE.get_or_init(ask).await
}

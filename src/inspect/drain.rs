//! `holdfast drain`: sends a server away.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    client,
    config::DrainOptions,
    limits::DRAIN_LOOK,
    proto::{DrainRequest, operator_service_client::OperatorServiceClient},
};

/// Whether the server drains, and has come to rest where that is waited for.
///
/// # Errors
/// Where it cannot be asked.
pub async fn drain(options: &DrainOptions) -> anyhow::Result<bool> {
    let DrainOptions { server, wait, timeout, client } = options;
    let until = Instant::now() + Duration::from_secs((*timeout).into());
    let mut has_answered = false;
    loop {
        // A new connection each time: the last one was asked to go.
        let asked = async {
            let connection = client::connect(server, client, |endpoint| endpoint).await?;
            let mut operator = OperatorServiceClient::new(connection);
            anyhow::Ok(operator.drain(DrainRequest {}).await?.into_inner().calls_in_flight)
        };
        let left = match timeout_at(until, asked).await {
            Err(_) if has_answered => return Ok(false),
            told => told.context("no answer in time").and_then(|left| left),
        };
        let left = left.with_context(|| format!("cannot drain {server}"))?;
        has_answered = true;
        println!("draining: {left} call(s) in flight");
        if !wait || left == 0 {
            return Ok(true);
        }
        if Instant::now() + DRAIN_LOOK >= until {
            return Ok(false);
        }
        sleep(DRAIN_LOOK).await;
    }
}

//! Very many paid orders while the servers are killed, again and again.

mod buyer;
mod found;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::Semaphore, time::sleep};

use crate::{chart, process::until, report::Line, stage::Stage};

const EVENT: &str = "demo-kill";
/// One server is killed so long, at random, after the next buyers came.
const CALM_MS: std::ops::Range<u64> = 50..600;
/// How long what the last kill left may take: leases have to run out.
const PATIENCE: Duration = Duration::from_secs(150);

/// `count` buyers, a part of them before each of `kills`; answers how that ended.
pub async fn play(stage: &Arc<Stage>, count: usize, kills: usize) -> anyhow::Result<Line> {
    let units = i32::try_from(count)?;
    let watch = stage.create_event(chart::of_rows(EVENT, count.div_ceil(10), units)).await?;
    let begun = Instant::now();
    let may_come = Semaphore::new(0);
    let mut buying: FuturesUnordered<_> = (0..count)
        .map(async |n| {
            let _one = may_come.acquire().await?;
            buyer::buy(stage, n).await
        })
        .collect();
    let buyers = async {
        let mut bought = Vec::new();
        while let Some(result) = buying.next().await {
            bought.push(result);
        }
        bought
    };
    let (bought, killed) = tokio::join!(buyers, kill(stage, &may_come, count, kills));
    killed?;
    let took_s = begun.elapsed().as_secs_f32();
    let mut wrong: Vec<String> = Vec::new();
    let mut paid = Vec::new();
    for result in bought {
        match result {
            Ok(bought) => paid.extend(bought),
            Err(error) => wrong.push(format!("a buyer gave up: {error:#}")),
        }
    }
    let rest = until("nothing is left to do", PATIENCE, async || found::rest(stage).await).await;
    wrong.extend(rest.err().map(|error| format!("{error:#}")));
    let found = found::look(stage, &watch, &paid).await?;
    wrong.extend(found.wrong);
    let done = format!(
        "{count} buyers in {took_s:.0} s, one of two servers killed -9 and started {kills} times"
    );
    Ok(Line::summed_up("kill", done, found.summary, wrong))
}

async fn kill(
    stage: &Stage,
    may_come: &Semaphore,
    count: usize,
    kills: usize,
) -> anyhow::Result<()> {
    let each = count / kills.max(1);
    for _ in 0..kills {
        may_come.add_permits(each);
        sleep(Duration::from_millis(fastrand::u64(CALM_MS))).await;
        let server = &stage.servers[fastrand::usize(..2)];
        server.kill().await?;
        server.start(&stage.http).await?;
    }
    may_come.add_permits(count);
    Ok(())
}

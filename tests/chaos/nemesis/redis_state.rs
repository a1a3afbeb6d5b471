//! Blows to what a single Redis keeps: rolled back, emptied, without room on
//! its disk, in another time.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use rand::{Rng, rngs::StdRng};
use redis::streams::StreamRangeReply;
use tokio::{process::Command, time::sleep};

use super::{Harm, Scene};
use crate::{logbook::key, process::until, stage::Stage};

/// How much is forgotten, in ms.
const ROLLED_BACK_MS: std::ops::Range<u64> = 300..3_000;
const FULL_MS: std::ops::Range<u64> = 800..3_000;
const SKEWED_MS: std::ops::Range<u64> = 1_500..4_000;
/// The most that a clock goes wrong, in s.
const SKEW_S: i32 = 4;
const MEND_PATIENCE: Duration = Duration::from_secs(10);

/// Puts back what Redis had on disk a while ago.
pub async fn roll_back(scene: &Scene, random: &mut StdRng) -> anyhow::Result<Harm> {
    let node = &scene.stage.redis.nodes[0];
    let (live, copy) = (node.dir.join("appendonlydir"), node.dir.join("copy"));
    let forgotten = Duration::from_millis(random.random_range(ROLLED_BACK_MS));
    copy_dir(&live, &copy).await?;
    sleep(forgotten).await;
    scene.book.read_all(node, &scene.floor.shows()).await?;
    node.kill().await?;
    copy_dir(&copy, &live).await?;
    node.start().await?;
    let detail = format!("its append-only files of {forgotten:?} before were put back");
    Ok(Harm::new(&node.name, detail).losing_redis(true))
}

async fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        tokio::fs::remove_dir_all(to).await?;
    }
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status().await?;
    anyhow::ensure!(status.success(), "cp of {}: {status}", from.display());
    Ok(())
}

/// Empties Redis, and reads all logs in the same transaction.
pub async fn flush(scene: &Scene) -> anyhow::Result<Harm> {
    let node = &scene.stage.redis.nodes[0];
    flush_node(scene, node).await?;
    Ok(Harm::new(&node.name, "FLUSHALL").losing_redis(true))
}

/// As [`flush`].
pub async fn flush_node(scene: &Scene, node: &crate::stores::Node) -> anyhow::Result<()> {
    let shows = scene.floor.shows();
    let mut all = redis::pipe();
    all.atomic();
    for show in &shows {
        all.cmd("XRANGE").arg(key(&show.event_id, "log")).arg("-").arg("+");
    }
    all.cmd("FLUSHALL").ignore();
    let mut redis = node.connect().await?;
    let logs: Vec<StreamRangeReply> = all.query_async(&mut redis).await?;
    for (show, log) in shows.iter().zip(logs) {
        scene.book.note(show, &log.ids)?;
    }
    Ok(())
}

/// Its append-only file cannot grow; it refuses changes until it can.
pub async fn fill_disk(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let node = &stage.redis.nodes[0];
    let full = Duration::from_millis(random.random_range(FULL_MS));
    node.fill_disk(true).await?;
    sleep(full).await;
    node.fill_disk(false).await?;
    let mended = async || {
        let status = node.info("persistence", "aof_last_write_status").await;
        (status.ok()? == "ok").then_some(())
    };
    until("Redis writes again", MEND_PATIENCE, mended).await?;
    Ok(Harm::new(&node.name, format!("no file grows for {full:?}")))
}

/// Its clock jumps, and jumps back.
pub async fn skew_clock(stage: &Stage, random: &mut StdRng) -> anyhow::Result<Harm> {
    let node = &stage.redis.nodes[0];
    let seconds = [-SKEW_S, -1, 1, SKEW_S][random.random_range(0..4)];
    let skewed = Duration::from_millis(random.random_range(SKEWED_MS));
    node.skew_clock(seconds)?;
    let shows = shows_skew(node, seconds).await;
    sleep(skewed).await;
    node.skew_clock(0)?;
    shows.with_context(|| format!("{} keeps its time", node.name))?;
    shows_skew(node, 0).await?;
    Ok(Harm::new(&node.name, format!("its clock was {seconds:+} s wrong for {skewed:?}")))
}

async fn shows_skew(node: &crate::stores::Node, seconds: i32) -> anyhow::Result<()> {
    let shows = async || {
        let mut redis = node.connect().await.ok()?;
        let (there, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.ok()?;
        let here = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
        let here = i64::try_from(here.as_secs()).ok()?;
        ((there - here - i64::from(seconds)).abs() <= 1).then_some(())
    };
    until("Redis' clock follows", MEND_PATIENCE, shows).await
}

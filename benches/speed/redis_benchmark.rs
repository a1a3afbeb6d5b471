//! Redis' own benchmark, for comparison: a plain SET, and the very hold script.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use anyhow::{Context as _, ensure};
use holdfast::{
    domain::{EventId, HoldId},
    holds::Holds,
    limits::MAX_EXPIRED_SCANNED_PER_HOLD,
};
use serde::Serialize;
use tokio::process::Command;

use super::{
    events::load_raw,
    options::Scale,
    results::Results,
    stage::{RAW, Stage},
};

/// What the script is sent, where redis-benchmark puts a random number of twelve
/// digits in each call: texts where there are numbers otherwise, which Redis
/// takes as well.
#[derive(Serialize)]
struct Request {
    epoch: u64,
    holds: [Asked; 1],
    scan: usize,
}

#[derive(Serialize)]
struct Asked {
    hold_id: &'static str,
    holder: &'static str,
    fingerprint: &'static str,
    ttl_ms: Option<u64>,
    seats: [&'static str; 1],
    areas: [u32; 0],
    revision: u64,
}

const RANDOM: &str = "__rand_int__";
const HOLD_ID: &str = "00000000000000000000__rand_int__";

pub async fn run(
    stage: &Stage,
    raw: &Holds,
    scale: Scale,
    results: &mut Results,
) -> anyhow::Result<()> {
    let key = format!("speed:{RANDOM}");
    let set = benchmark(stage, scale, ["SET", &key, "x"].map(OsString::from).to_vec()).await?;
    results.figure("redis-benchmark SET, 512 clients", set, "calls/s");
    let event_id: EventId = format!("redis-benchmark-{}", HoldId::new_v7()).parse()?;
    load_raw(raw, event_id.as_str(), scale.holds).await?;
    let call = evalsha(stage, raw, &event_id).await?;
    let rate = benchmark(stage, scale, call).await?;
    results.figure("redis-benchmark EVALSHA of the hold script, 512 clients", rate, "calls/s");
    // Every call made a hold: the hash has its entry of no name beside them, and a
    // random number may have come twice.
    let mut redis = stage.redis_connection(RAW).await?;
    let held: usize =
        redis::cmd("HLEN").arg(key_of(&event_id, "holds")).query_async(&mut redis).await?;
    ensure!(held > scale.holds * 9 / 10, "redis-benchmark made {held} holds");
    Ok(())
}

fn key_of(event_id: &EventId, kind: &str) -> String {
    format!("hf:{{{event_id}}}:{kind}")
}

/// The call of the script, which Redis must have from its servers already: so it
/// is the very same.
async fn evalsha(stage: &Stage, raw: &Holds, event_id: &EventId) -> anyhow::Result<Vec<OsString>> {
    let (hash, keys) = Holds::hold_script(event_id);
    let mut redis = stage.redis_connection(RAW).await?;
    let known: Vec<bool> =
        redis::cmd("SCRIPT").arg("EXISTS").arg(&hash).query_async(&mut redis).await?;
    ensure!(known == [true], "Redis does not have this script from a server");
    let asked = Asked {
        hold_id: HOLD_ID,
        holder: "ann",
        fingerprint: "0123456789abcdef",
        ttl_ms: None,
        seats: [RANDOM],
        areas: [],
        revision: 1,
    };
    let request = Request { epoch: 1, holds: [asked], scan: MAX_EXPIRED_SCANNED_PER_HOLD };
    let mut call: Vec<OsString> =
        vec!["EVALSHA".into(), hash.into(), keys.len().to_string().into()];
    call.extend(keys.map(OsString::from));
    call.push(OsString::from_vec(rmp_serde::to_vec_named(&request)?));
    call.push(raw.incarnation(event_id).await?.0.into());
    Ok(call)
}

/// Answers calls a second.
async fn benchmark(stage: &Stage, scale: Scale, call: Vec<OsString>) -> anyhow::Result<f64> {
    let socket = stage.redis.url().replace("redis+unix://", "");
    let (database, calls) = (RAW.to_string(), scale.holds.to_string());
    let output = Command::new("redis-benchmark")
        .args(["-s", &socket, "--dbnum", &database, "-c", "512", "-n", &calls])
        .args(["-r", "1000000000", "--csv"])
        .args(call)
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run redis-benchmark")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && complaint.is_empty(), "{said}{complaint}");
    // The name, which may have anything in it, calls a second, and six latencies.
    let rate = said.trim().rsplit("\",\"").nth(6);
    rate.and_then(|rate| rate.parse().ok()).context(said.clone())
}

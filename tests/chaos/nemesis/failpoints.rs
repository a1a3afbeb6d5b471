//! Failpoints: a server that dies, waits or breaks its connection at a chosen
//! await.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use serde::Deserialize;

use super::{Harm, Scene, redis_state};
use crate::{http, options::Topology, process::until, servers::Server, stage::Stage};

/// How long a failpoint waits for its moment.
const PATIENCE: Duration = Duration::from_secs(6);
const SLEEP_MS: std::ops::Range<u64> = 100..4_000;

/// Fires no more times.
const DISARMED: &str = "0*drop";

/// Failpoints of what the run's clients do not ask for.
const ELSEWHERE: [&str; 8] =
    ["order:", "cancel:", "payment:", "stale:", "refund:", "force_", "operate:", "reassign:"];

/// As a server lists it.
#[derive(Debug, Deserialize)]
struct Point {
    fired: u64,
}

/// How often each failpoint of the program was tried, and fired.
#[derive(Default)]
pub struct Points {
    counts: Mutex<BTreeMap<String, (u32, u32)>>,
}

impl Points {
    /// Learns the failpoints of the program; answers whether it has any.
    pub async fn learn(&self, stage: &Stage) -> bool {
        let listed = list(stage.http_ports[0]).await.unwrap_or_default();
        let is_ours = |name: &String| !ELSEWHERE.iter().any(|part| name.starts_with(part));
        for name in listed.into_keys().filter(is_ours) {
            self.lock().entry(name).or_default();
        }
        !self.lock().is_empty()
    }

    /// Each with how often it was tried, and fired.
    pub fn counts(&self) -> Vec<(String, u32, u32)> {
        let counts = self.lock();
        counts.iter().map(|(name, &(tried, fired))| (name.clone(), tried, fired)).collect()
    }

    /// One of those that were tried least.
    fn draw(&self, random: &mut StdRng) -> Option<String> {
        let mut counts = self.lock();
        let least = counts.values().map(|&(tried, _)| tried).min()?;
        let names: Vec<&String> =
            counts.iter().filter(|(_, c)| c.0 == least).map(|(name, _)| name).collect();
        let name = (*names.choose(random)?).clone();
        counts.entry(name.clone()).or_default().0 += 1;
        Some(name)
    }

    fn note_fired(&self, name: &str) {
        self.lock().entry(name.to_owned()).or_default().1 += 1;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (u32, u32)>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn list(http_port: u16) -> anyhow::Result<BTreeMap<String, Point>> {
    let (status, body) = http::ask(http_port, "GET", "/failpoints", "").await?;
    anyhow::ensure!(status == 200, "GET /failpoints: {status}");
    Ok(serde_json::from_str(&body)?)
}

/// Arms a failpoint at both servers, since either may come by, and waits until
/// it has fired at one; `None` where it did not.
pub async fn fire(scene: &Scene, random: &mut StdRng) -> anyhow::Result<Option<Harm>> {
    let Some(name) = scene.points.draw(random) else { return Ok(None) };
    let action = match random.random_range(0..3) {
        0 => "abort".to_owned(),
        1 => format!("sleep {}", random.random_range(SLEEP_MS)),
        _ => "drop".to_owned(),
    };
    let mut servers = Vec::new();
    for server in &scene.stage.servers {
        servers.push(server.lock().await);
    }
    let mut armed = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let before = fired(server, &name).await;
        let is_armed = set(server, &name, &format!("1*{action}")).await;
        // A server that is away now has no failpoints.
        armed.extend(before.filter(|_| is_armed).map(|before| (index, before)));
    }
    let loses_redis = provoke(scene, &name).await?;
    let fired_at = async || {
        for &(index, before) in &armed {
            let server = &servers[index];
            if server.has_ended() || fired(server, &name).await.is_some_and(|n| n > before) {
                return Some(index);
            }
        }
        None
    };
    let patience = if armed.is_empty() { Duration::ZERO } else { PATIENCE };
    let fired_at = until("it fires", patience, fired_at).await.ok();
    if fired_at.is_some() {
        scene.points.note_fired(&name);
    }
    for mut server in servers {
        set(&server, &name, DISARMED).await;
        server.start().await?;
    }
    let target = fired_at.map_or("redis".to_owned(), |index| format!("server {index}"));
    let harm = Harm::new(target, format!("{name}: {action}"));
    Ok((fired_at.is_some() || loses_redis).then(|| harm.losing_redis(loses_redis)))
}

/// Arms a failpoint, or disarms it; answers whether that was heard.
async fn set(server: &Server, name: &str, action: &str) -> bool {
    let path = format!("/failpoints/{name}");
    let answer = http::ask(server.http_port, "PUT", &path, action).await;
    answer.is_ok_and(|(status, _)| (200..300).contains(&status))
}

/// How often it has fired in this life of a server.
async fn fired(server: &Server, name: &str) -> Option<u64> {
    Some(list(server.http_port).await.ok()?.get(name)?.fired)
}

/// Makes happen what seldom happens by itself; answers whether that emptied
/// Redis.
async fn provoke(scene: &Scene, name: &str) -> anyhow::Result<bool> {
    let is_of_a_load = ["load:", "recover:", "rebuild:"].iter().any(|part| name.starts_with(part));
    let flushes = is_of_a_load && scene.stage.redis.topology == Topology::Single;
    if flushes {
        // A Redis that is away now is emptied another time.
        let flushed = redis_state::flush_node(scene, &scene.stage.redis.nodes[0]).await;
        return Ok(flushed.is_ok());
    }
    Ok(false)
}

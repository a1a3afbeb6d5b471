//! Three masters of a Redis Cluster, for one run.

use std::{fs, time::Duration};

use anyhow::ensure;
use redis::{FromRedisValue, cmd};
use tokio::time::{Instant, sleep};

use super::stage::{Stage, free_addr};

const PATIENCE: Duration = Duration::from_secs(30);
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

pub struct Cluster {
    /// How servers reach it.
    pub url: String,
    pub pids: Vec<u32>,
}

/// Starts them, with the settings of the single Redis that others are measured on.
pub async fn start(stage: &mut Stage) -> anyhow::Result<Cluster> {
    let mut cluster = Cluster { url: String::new(), pids: Vec::new() };
    let mut masters: Vec<(String, String)> = Vec::new();
    for i in 0..SLOTS.len() {
        let name = format!("cluster-{i}");
        let dir = stage.path(&name);
        fs::create_dir_all(&dir)?;
        let (port, bus) = (port()?, port()?);
        let dir = dir.display().to_string();
        let mut command = vec!["redis-server", "--bind", "127.0.0.1", "--dir", &dir];
        command.extend(["--port", &port, "--cluster-port", &bus, "--cluster-enabled", "yes"]);
        command.extend(["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]);
        cluster.pids.push(stage.spawn(&name, &command).await?);
        masters.push((port, bus));
    }
    let deadline = Instant::now() + PATIENCE;
    for ((port, _), (first, last)) in masters.iter().zip(SLOTS) {
        while ask::<String>(port, &["PING"]).await.is_err() {
            ensure!(Instant::now() < deadline, "a master of the Cluster does not answer");
            sleep(Duration::from_millis(20)).await;
        }
        let slots = ["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()];
        let () = ask(port, &slots).await?;
        let () = ask(port, &["CLUSTER", "SET-CONFIG-EPOCH", &(first + 1).to_string()]).await?;
    }
    for (port, bus) in &masters[1..] {
        let () = ask(&masters[0].0, &["CLUSTER", "MEET", "127.0.0.1", port, bus]).await?;
    }
    for (port, _) in &masters {
        loop {
            let info: String = ask(port, &["CLUSTER", "INFO"]).await?;
            if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") {
                break;
            }
            ensure!(Instant::now() < deadline, "the Cluster does not come about: {info}");
            sleep(Duration::from_millis(50)).await;
        }
    }
    cluster.url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", masters[0].0, masters[1].0);
    Ok(cluster)
}

async fn ask<T: FromRedisValue>(port: &str, command: &[&str]) -> anyhow::Result<T> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    Ok(cmd(command[0]).arg(&command[1..]).query_async(&mut redis).await?)
}

fn port() -> anyhow::Result<String> {
    let addr = free_addr()?;
    Ok(addr.rsplit_once(':').map_or(addr.clone(), |(_, port)| port.to_owned()))
}

//! A master, its replica, and three Sentinels who watch them. All know each
//! node by its link.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{sync::Mutex, time::Instant};

use super::{
    Node,
    redis::{DURABLE, behind},
};
use crate::{
    process::until,
    proxy::{Proxy, Target},
    servers::free_ports,
};

const SERVICE: &str = "main";
const NODES: usize = 2;
const SENTINELS: usize = 3;
/// Silence after which a Sentinel calls a master dead.
const DOWN_AFTER_MS: &str = "1500";
const FAILOVER_TIMEOUT_MS: &str = "5000";
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long what a Sentinel told is believed.
const BELIEVED: Duration = Duration::from_millis(200);

pub struct Sentinels {
    nodes: Vec<Node>,
    links: Vec<Proxy>,
    /// The master's number, as it was told last.
    told: Mutex<Option<(Instant, usize)>>,
}

impl Sentinels {
    /// Starts the nodes, which it answers with their links, and the Sentinels.
    pub async fn start(home: &Path) -> Result<(Vec<Node>, Vec<Proxy>, Self)> {
        let ports: [u16; NODES] = free_ports()?;
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        for (index, port) in ports.into_iter().enumerate() {
            let link = Proxy::start(Target::Port(port)).await?;
            let announced = link.port.to_string();
            links.push(link);
            let master = format!("127.0.0.1 {}", links[0].port);
            let mut settings = DURABLE.to_vec();
            settings.extend([
                ("replica-announce-ip", "127.0.0.1"),
                ("replica-announce-port", &announced),
                ("repl-diskless-sync-delay", "0"),
            ]);
            if index > 0 {
                settings.push(("replicaof", &master));
            }
            let node = Node::server(home, &format!("redis-{index}"), port, &settings)?;
            node.start().await?;
            nodes.push(node);
        }
        let follows = async || {
            let link = nodes[1].info("replication", "master_link_status").await;
            (link.ok()? == "up").then_some(())
        };
        until("the replica follows", START_PATIENCE, follows).await?;
        let sentinels = Self::watch(home, links[0].port).await?;
        let sees_all = async || sentinels.sees_all().await.ok()?.then_some(());
        until("the Sentinels know each other", START_PATIENCE, sees_all).await?;
        Ok((nodes, links, sentinels))
    }

    async fn watch(home: &Path, master: u16) -> Result<Self> {
        let ports: [u16; SENTINELS] = free_ports()?;
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        let monitor = format!("monitor {SERVICE} 127.0.0.1 {master} 2");
        let down_after = format!("down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}");
        let failover = format!("failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}");
        for (index, port) in ports.into_iter().enumerate() {
            let settings =
                [&monitor, &down_after, &failover].map(|value| ("sentinel", value.as_str()));
            let node = Node::sentinel(home, &format!("sentinel-{index}"), port, &settings)?;
            node.start().await?;
            nodes.push(node);
            links.push(Proxy::start(Target::Port(port)).await?);
        }
        Ok(Self { nodes, links, told: Mutex::default() })
    }

    /// Whether each Sentinel knows the replica and the other Sentinels.
    async fn sees_all(&self) -> Result<bool> {
        let expected = format!("slaves={},sentinels={SENTINELS}", NODES - 1);
        for node in &self.nodes {
            let info = node.info("sentinel", "master0").await?;
            if !info.ends_with(&expected) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub fn url(&self) -> String {
        let sentinels = self.links.iter().map(|link| format!("127.0.0.1:{}", link.port));
        format!("redis+sentinel://{}/{SERVICE}", sentinels.collect::<Vec<_>>().join(","))
    }

    /// The number of the master among the nodes behind `links`.
    pub async fn master(&self, links: &[Proxy]) -> Result<usize> {
        let mut told = self.told.lock().await;
        if let Some((at, master)) = *told
            && at.elapsed() < BELIEVED
        {
            return Ok(master);
        }
        for node in &self.nodes {
            let Ok(mut connection) = node.connect().await else { continue };
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(SERVICE);
            let Ok((_, port)) = ask.query_async::<(String, u16)>(&mut connection).await else {
                continue;
            };
            let master = behind(links, port).context("a master that is none of ours")?;
            *told = Some((Instant::now(), master));
            return Ok(master);
        }
        anyhow::bail!("no Sentinel answers")
    }

    /// Asks that the replica takes over.
    pub async fn ask_to_fail_over(&self) -> Result<()> {
        let mut connection = self.nodes[0].connect().await?;
        // One that is at it already says no.
        let _ =
            redis::cmd("SENTINEL").arg("FAILOVER").arg(SERVICE).exec_async(&mut connection).await;
        Ok(())
    }

    pub async fn kill(&self) -> Result<()> {
        for node in &self.nodes {
            node.kill().await?;
        }
        Ok(())
    }
}

//! Redis, as it is deployed.

use std::{path::Path, time::Duration};

use anyhow::Result;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::{
    Node,
    cluster::{self, Cluster},
    sentinel::Sentinels,
};
use crate::{
    options::Topology,
    proxy::{Proxy, Target},
    servers::free_ports,
};

/// All nodes of Redis, and the ways to them.
pub struct RedisStore {
    pub topology: Topology,
    pub nodes: Vec<Node>,
    /// Single: one a server. Otherwise one a node, for servers and nodes alike.
    pub links: Vec<Proxy>,
    guide: Guide,
}

/// Who tells where an event's state is.
enum Guide {
    /// There is only one place.
    Nobody,
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl RedisStore {
    pub async fn start(home: &Path, topology: Topology) -> Result<Self> {
        let (nodes, links, guide) = match topology {
            Topology::Single => {
                let [port] = free_ports()?;
                let node = Node::server(home, "redis", port, &DURABLE)?;
                node.start().await?;
                // One a server, so that one alone can be broken.
                let target = || Proxy::start(Target::Port(port));
                (vec![node], vec![target().await?, target().await?], Guide::Nobody)
            }
            Topology::Sentinel => {
                let (nodes, links, sentinels) = Sentinels::start(home).await?;
                (nodes, links, Guide::Sentinels(sentinels))
            }
            Topology::Cluster => {
                let (nodes, links, cluster) = Cluster::start(home).await?;
                (nodes, links, Guide::Cluster(cluster))
            }
        };
        Ok(Self { topology, nodes, links, guide })
    }

    /// How a server reaches it, through the links.
    pub fn url(&self, server: usize) -> String {
        match &self.guide {
            Guide::Nobody => format!("redis://127.0.0.1:{}", self.links[server].port),
            Guide::Sentinels(sentinels) => sentinels.url(),
            Guide::Cluster(_) => {
                let nodes = self.links.iter().map(|link| format!("127.0.0.1:{}", link.port));
                format!("redis+cluster://{}", nodes.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The node that has an event's state now.
    pub async fn owner(&self, event_id: &str) -> Result<&Node> {
        Ok(&self.nodes[self.owner_index(event_id).await?])
    }

    /// As [`Self::owner`], its number.
    pub async fn owner_index(&self, event_id: &str) -> Result<usize> {
        match &self.guide {
            Guide::Nobody => Ok(0),
            Guide::Sentinels(sentinels) => sentinels.master(&self.links).await,
            Guide::Cluster(cluster) => cluster.owner(&self.nodes, &self.links, event_id).await,
        }
    }

    /// The masters, by their numbers.
    pub async fn masters(&self) -> Result<Vec<usize>> {
        match &self.guide {
            Guide::Nobody => Ok(vec![0]),
            Guide::Sentinels(sentinels) => Ok(vec![sentinels.master(&self.links).await?]),
            Guide::Cluster(cluster) => cluster.masters(&self.nodes, &self.links).await,
        }
    }

    /// The number of a link that is in use: replicas have little to do.
    pub async fn busy_link(&self, random: &mut StdRng) -> usize {
        let busy = match self.guide {
            Guide::Nobody => Vec::new(),
            Guide::Sentinels(_) | Guide::Cluster(_) => self.masters().await.unwrap_or_default(),
        };
        busy.choose(random).copied().unwrap_or_else(|| random.random_range(0..self.links.len()))
    }

    /// Whether a node follows another one, and keeps up.
    pub async fn follows(&self, index: usize) -> bool {
        let link = self.nodes[index].info("replication", "master_link_status").await;
        link.is_ok_and(|link| link == "up")
    }

    /// Asks that a replica takes over from a master.
    pub async fn ask_to_fail_over(&self, master: usize) -> Result<()> {
        match &self.guide {
            Guide::Nobody => Ok(()),
            Guide::Sentinels(sentinels) => sentinels.ask_to_fail_over().await,
            Guide::Cluster(_) => {
                let port = self.links[master].port.to_string();
                for node in &self.nodes {
                    let follows = node.info("replication", "master_port").await;
                    if follows.is_ok_and(|follows| follows == port) {
                        // One that lags too far behind says no.
                        let _ = cluster::cluster(node, &["FAILOVER"]).await;
                    }
                }
                Ok(())
            }
        }
    }

    /// Moves an event's slot with all its keys; answers how many there were.
    pub async fn move_slot(
        &self,
        from: usize,
        to: usize,
        event_id: &str,
        between_keys: Duration,
    ) -> Result<usize> {
        cluster::move_slot(&self.nodes, &self.links, (from, to), event_id, between_keys).await
    }

    /// Ends all of it without a word.
    pub async fn kill(&self) -> Result<()> {
        if let Guide::Sentinels(sentinels) = &self.guide {
            sentinels.kill().await?;
        }
        for node in &self.nodes {
            node.kill().await?;
        }
        Ok(())
    }
}

/// How every node keeps what it has.
pub const DURABLE: [(&str, &str); 4] = [
    ("appendonly", "yes"),
    ("appendfsync", "everysec"),
    ("save", "\"\""),
    ("maxmemory-policy", "noeviction"),
];

/// The number of the node behind a link.
pub fn behind(links: &[Proxy], port: u16) -> Option<usize> {
    links.iter().position(|link| link.port == port)
}

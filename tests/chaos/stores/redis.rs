//! Redis, as it is deployed.

use std::path::Path;

use super::Node;
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
}

impl RedisStore {
    pub async fn start(home: &Path, topology: Topology) -> anyhow::Result<Self> {
        match topology {
            Topology::Single => Self::single(home).await,
            Topology::Sentinel | Topology::Cluster => anyhow::bail!("not yet"),
        }
    }

    async fn single(home: &Path) -> anyhow::Result<Self> {
        let [port] = free_ports()?;
        let node = Node::new(home, "redis", port, &durable())?;
        node.start().await?;
        let links =
            vec![Proxy::start(Target::Port(port)).await?, Proxy::start(Target::Port(port)).await?];
        Ok(Self { topology: Topology::Single, nodes: vec![node], links })
    }

    /// How a server reaches it, through the links.
    pub fn url(&self, server: usize) -> String {
        format!("redis://127.0.0.1:{}", self.links[server].port)
    }

    /// The node that has an event's state now.
    #[expect(clippy::unused_async, reason = "where there are more nodes, it asks")]
    pub async fn owner(&self, _event_id: &str) -> anyhow::Result<&Node> {
        Ok(&self.nodes[0])
    }
}

/// How every node of Redis keeps what it has.
fn durable() -> Vec<String> {
    [
        ["--appendonly", "yes"],
        ["--appendfsync", "everysec"],
        ["--save", ""],
        ["--maxmemory-policy", "noeviction"],
    ]
    .concat()
    .into_iter()
    .map(str::to_owned)
    .collect()
}

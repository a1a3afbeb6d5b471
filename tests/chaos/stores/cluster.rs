//! A Cluster of three masters, each with a replica. All know each node by its
//! link.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use redis::{FromRedisValue as _, Value};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    Node,
    redis::{DURABLE, behind},
};
use crate::{
    process::until,
    proxy::{Proxy, Target},
    servers::free_ports,
};

const NODES: usize = 6;
const MASTERS: usize = 3;
const SLOTS: u32 = 16_384;
/// Silence after which a node is called dead.
const NODE_TIMEOUT_MS: &str = "1500";
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long what a node told is believed.
const BELIEVED: Duration = Duration::from_millis(200);

#[derive(Default)]
pub struct Cluster {
    told: Mutex<Told>,
}

/// What the nodes told last.
#[derive(Default)]
struct Told {
    slots: HashMap<String, u16>,
    owners: Option<(Instant, Vec<Owned>)>,
}

/// First slot, last slot, and the master's number.
type Owned = (u16, u16, usize);

impl Cluster {
    /// Starts the nodes, which it answers with their links.
    pub async fn start(home: &Path) -> Result<(Vec<Node>, Vec<Proxy>, Self)> {
        let (ports, buses): ([u16; NODES], [u16; NODES]) = (free_ports()?, free_ports()?);
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        for (index, (port, bus)) in ports.into_iter().zip(buses).enumerate() {
            let link = Proxy::start(Target::Port(port)).await?;
            let (announced, bus) = (link.port.to_string(), bus.to_string());
            links.push(link);
            let mut settings = DURABLE.to_vec();
            settings.extend([
                ("cluster-enabled", "yes"),
                ("cluster-config-file", "nodes.conf"),
                ("cluster-node-timeout", NODE_TIMEOUT_MS),
                ("cluster-require-full-coverage", "no"),
                ("cluster-port", &bus),
                ("cluster-announce-ip", "127.0.0.1"),
                ("cluster-announce-port", &announced),
                ("cluster-announce-bus-port", &bus),
                ("repl-diskless-sync-delay", "0"),
            ]);
            let node = Node::server(home, &format!("redis-{index}"), port, &settings)?;
            node.start().await?;
            nodes.push(node);
        }
        join(&nodes, &links, &buses).await?;
        Ok((nodes, links, Self::default()))
    }

    /// The number of the master that has an event's slot.
    pub async fn owner(&self, nodes: &[Node], links: &[Proxy], event_id: &str) -> Result<usize> {
        let mut told = self.told.lock().await;
        let slot = match told.slots.get(event_id) {
            Some(&slot) => slot,
            None => {
                let slot = ask(nodes, &["KEYSLOT", event_id]).await?;
                let slot = u16::from_redis_value(slot)?;
                told.slots.insert(event_id.to_owned(), slot);
                slot
            }
        };
        let owners = told.owners(nodes, links).await?;
        let owner = owners.iter().find(|(first, last, _)| (first..=last).contains(&&slot));
        Ok(owner.context("nobody has the slot")?.2)
    }

    /// The numbers of all masters that have slots.
    pub async fn masters(&self, nodes: &[Node], links: &[Proxy]) -> Result<Vec<usize>> {
        let mut told = self.told.lock().await;
        let owners = told.owners(nodes, links).await?.iter().map(|&(_, _, owner)| owner);
        Ok(owners.collect::<BTreeSet<_>>().into_iter().collect())
    }
}

impl Told {
    async fn owners(&mut self, nodes: &[Node], links: &[Proxy]) -> Result<&[Owned]> {
        let is_fresh = |(at, _): &(Instant, _)| at.elapsed() < BELIEVED;
        if !self.owners.as_ref().is_some_and(is_fresh) {
            let slots = ask(nodes, &["SLOTS"]).await?;
            self.owners = Some((Instant::now(), owners(slots, links)?));
        }
        Ok(self.owners.as_ref().map(|(_, owners)| owners.as_slice()).unwrap_or_default())
    }
}

/// Asks any node that answers.
async fn ask(nodes: &[Node], arguments: &[&str]) -> Result<Value> {
    for node in nodes {
        let Ok(mut connection) = node.connect().await else { continue };
        let mut ask = redis::cmd("CLUSTER");
        if let Ok(value) = ask.arg(arguments).query_async(&mut connection).await {
            return Ok(value);
        }
    }
    anyhow::bail!("no node answers")
}

fn owners(slots: Value, links: &[Proxy]) -> Result<Vec<Owned>> {
    let ranges = Vec::<Vec<Value>>::from_redis_value(slots)?;
    let owner = |range: Vec<Value>| {
        let [first, last, master, ..] =
            <[Value; 3]>::try_from(range.into_iter().take(3).collect::<Vec<_>>())
                .ok()
                .context("a range without a master")?;
        let master = Vec::<Value>::from_redis_value(master)?;
        let port = master.into_iter().nth(1).context("a master without a port")?;
        let master = behind(links, u16::from_redis_value(port)?);
        let master = master.context("a master that is none of ours")?;
        Ok((u16::from_redis_value(first)?, u16::from_redis_value(last)?, master))
    };
    ranges.into_iter().map(owner).collect()
}

/// Makes one Cluster of new nodes.
async fn join(nodes: &[Node], links: &[Proxy], buses: &[u16]) -> Result<()> {
    let share = SLOTS.div_ceil(u32::try_from(MASTERS)?);
    for (index, node) in (0..).zip(&nodes[..MASTERS]) {
        let (first, end) = (index * share, ((index + 1) * share).min(SLOTS));
        let (first, last) = (first.to_string(), (end - 1).to_string());
        cluster(node, &["ADDSLOTSRANGE", &first, &last]).await?;
        cluster(node, &["SET-CONFIG-EPOCH", &(index + 1).to_string()]).await?;
    }
    for (link, bus) in links.iter().zip(buses).skip(1) {
        let meet = ["MEET", "127.0.0.1", &link.port.to_string(), &bus.to_string()];
        cluster(&nodes[0], &meet).await?;
    }
    let knows_all = async || {
        for node in nodes {
            let known = cluster_info(node, "cluster_known_nodes").await?;
            if known != NODES.to_string() {
                return None;
            }
        }
        Some(())
    };
    until("the nodes know each other", START_PATIENCE, knows_all).await?;
    for (replica, master) in nodes[MASTERS..].iter().zip(nodes) {
        let id = my_id(master).await?;
        let follows = async || cluster(replica, &["REPLICATE", &id]).await.ok().map(|_| ());
        until("a replica knows its master", START_PATIENCE, follows).await?;
    }
    for node in nodes {
        until("a node is well", START_PATIENCE, async || is_well(node).await.then_some(())).await?;
    }
    Ok(())
}

/// Whether a node knows who has every slot, and, if it is a replica, follows.
async fn is_well(node: &Node) -> bool {
    let state = cluster_info(node, "cluster_state").await;
    let link = node.info("replication", "master_link_status").await;
    state.is_some_and(|state| state == "ok") && link.map_or(true, |link| link == "up")
}

async fn cluster_info(node: &Node, field: &str) -> Option<String> {
    let info = String::from_redis_value(cluster(node, &["INFO"]).await.ok()?).ok()?;
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned())
}

async fn my_id(node: &Node) -> Result<String> {
    Ok(String::from_redis_value(cluster(node, &["MYID"]).await?)?)
}

/// A command of the Cluster's, to one node.
pub async fn cluster(node: &Node, arguments: &[&str]) -> Result<Value> {
    let mut connection = node.connect().await?;
    Ok(redis::cmd("CLUSTER").arg(arguments).query_async(&mut connection).await?)
}

/// Moves an event's slot, with all that is in it, to another master; keys go
/// one by one, so that in between an event is in two places.
pub async fn move_slot(
    nodes: &[Node],
    links: &[Proxy],
    (from, to): (usize, usize),
    event_id: &str,
    between_keys: Duration,
) -> Result<usize> {
    let (source, target) = (&nodes[from], &nodes[to]);
    let slot = u16::from_redis_value(cluster(source, &["KEYSLOT", event_id]).await?)?.to_string();
    let (source_id, target_id) = (my_id(source).await?, my_id(target).await?);
    cluster(target, &["SETSLOT", &slot, "IMPORTING", &source_id]).await?;
    cluster(source, &["SETSLOT", &slot, "MIGRATING", &target_id]).await?;
    let mut moved = 0;
    loop {
        let keys = cluster(source, &["GETKEYSINSLOT", &slot, "1"]).await?;
        let keys = Vec::<String>::from_redis_value(keys)?;
        let Some(key) = keys.first() else { break };
        let mut connection = source.connect().await?;
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(links[to].port).arg(key).arg(0).arg(5_000);
        migrate.exec_async(&mut connection).await?;
        moved += 1;
        sleep(between_keys).await;
    }
    for node in [target, source].into_iter().chain(nodes) {
        // A replica learns it from its master.
        let _ = cluster(node, &["SETSLOT", &slot, "NODE", &target_id]).await;
    }
    Ok(moved)
}

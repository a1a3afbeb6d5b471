//! Which Redis server has which events now, and who is asked about it.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use deadpool_redis::redis::{
    Client, ConnectionInfo, InfoDict, RedisError, Value, cmd, from_redis_value, pipe,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    Error,
    deployment::{Address, Deployment, Kind},
    node::{self, Node},
};
use crate::limits::REDIS_CONNECT_TIMEOUT;

const SLOTS: u16 = 16_384;
/// In place of a server: none has the slot.
const NOBODY: u16 = u16::MAX;

/// The servers that have the events now, by hash slot.
#[derive(Clone, Default)]
struct Map {
    masters: Vec<Arc<Node>>,
    /// Of each slot, which of `masters` has it; empty where one has all.
    by_slot: Vec<u16>,
}

/// What somebody who was asked knows.
struct View {
    /// The highest is the latest: first whether the Cluster is well in their
    /// eyes, then the epoch of its configuration.
    rank: (bool, u64),
    /// First slot, last slot, and who has them.
    ranges: Vec<(u16, u16, Address)>,
}

/// The one notion of where an event is. Single servers never change; Sentinel
/// and Cluster are asked again each second, and whenever a server fails.
pub(super) struct Routes {
    deployment: Deployment,
    map: RwLock<Map>,
    looking: Mutex<Looking>,
}

#[derive(Default)]
struct Looking {
    /// When the last look that has ended was begun.
    begun: Option<Instant>,
    /// Of the view that was adopted last.
    rank: (bool, u64),
    failed: bool,
}

impl Routes {
    pub(super) fn new(url: &str) -> Result<Self, Error> {
        let deployment = Deployment::parse(url).map_err(Error::Url)?;
        let mut map = Map::default();
        if deployment.kind == Kind::Single {
            for server in &deployment.seeds {
                map.masters.push(Node::new(server.clone()).map_err(Error::Url)?);
            }
        }
        Ok(Self { deployment, map: RwLock::new(map), looking: Mutex::default() })
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.deployment.kind
    }

    /// The server that has an event, as far as we know.
    pub(super) fn known(&self, key: &str) -> Option<Arc<Node>> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        if map.by_slot.is_empty() {
            return map.masters.first().cloned();
        }
        let owner = map.by_slot[usize::from(slot_of(key))];
        map.masters.get(usize::from(owner)).cloned()
    }

    /// The server that has an event; asks where that is not known.
    pub(super) async fn node(&self, key: &str) -> Result<Arc<Node>, Error> {
        if let Some(node) = self.known(key) {
            return Ok(node);
        }
        self.look().await?;
        self.known(key).ok_or_else(|| Error::unreachable("no Redis has the event's slot"))
    }

    /// All servers that have events.
    pub(super) fn masters(&self) -> Vec<Arc<Node>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner).masters.clone()
    }

    /// How many slots no server has.
    pub(super) fn slots_without_a_server(&self) -> usize {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        map.by_slot.iter().filter(|&&owner| owner == NOBODY).count()
    }

    /// Asks who has what now. Those who wait for their turn meanwhile take the
    /// answer for theirs.
    pub(super) async fn look(&self) -> Result<(), Error> {
        if self.deployment.kind == Kind::Single {
            return Ok(());
        }
        let asked = Instant::now();
        let mut looking = self.looking.lock().await;
        if looking.begun.is_some_and(|begun| begun >= asked) {
            return Ok(());
        }
        let begun = Instant::now();
        let view = self.latest_view(looking.rank).await;
        looking.begun = Some(begun);
        if let Err(error) = &view
            && !looking.failed
        {
            tracing::warn!(%error, "nobody says which Redis has which events");
        }
        looking.failed = view.is_err();
        let view = view?;
        looking.rank = view.rank;
        self.adopt(&view)
    }

    /// Goes on with the server that a MOVED names; `false` where the error is
    /// none, or not of a Cluster.
    pub(super) fn follow(&self, from: &Node, error: &RedisError) -> Result<bool, Error> {
        let asked = from.address.as_ref().map_or("", |address| &address.host);
        let named = error.redirect_node();
        let Some((address, slot)) =
            named.and_then(|(text, slot)| Some((Address::parse(text, asked)?, slot)))
        else {
            return Ok(false);
        };
        if self.deployment.kind != Kind::Cluster || slot >= SLOTS {
            return Ok(false);
        }
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let owner = self.place_of(&address, &[], &mut map.masters)?;
        if let Some(known) = map.by_slot.get_mut(usize::from(slot)) {
            *known = owner;
        }
        Ok(true)
    }

    /// Takes a view over. Servers that stay keep their connections; the others'
    /// end with the calls under way.
    fn adopt(&self, view: &View) -> Result<(), Error> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Map::default();
        if self.deployment.kind == Kind::Cluster {
            new.by_slot = vec![NOBODY; usize::from(SLOTS)];
        }
        for (first, last, address) in &view.ranges {
            let owner = self.place_of(address, &map.masters, &mut new.masters)?;
            for slot in *first..=*last {
                if let Some(known) = new.by_slot.get_mut(usize::from(slot)) {
                    *known = owner;
                }
            }
        }
        if !same(&new.masters, &map.masters) {
            let text = |node: &Arc<Node>| node.to_string();
            let masters: Vec<_> = new.masters.iter().map(text).collect();
            tracing::info!(masters = masters.join(", "), "Redis servers that have the events");
        }
        *map = new;
        Ok(())
    }

    /// The place of a server in `masters`, where it is put if need be.
    fn place_of(
        &self,
        address: &Address,
        known: &[Arc<Node>],
        masters: &mut Vec<Arc<Node>>,
    ) -> Result<u16, Error> {
        let is_there = |node: &&Arc<Node>| node.address.as_ref() == Some(address);
        let place = match masters.iter().position(|node| is_there(&node)) {
            Some(place) => place,
            None => {
                let node = match known.iter().find(is_there) {
                    Some(node) => node.clone(),
                    None => Node::new(self.deployment.server_at(address)).map_err(Error::Url)?,
                };
                masters.push(node);
                masters.len() - 1
            }
        };
        Ok(u16::try_from(place).unwrap_or(NOBODY))
    }

    /// Asks all who may know, and believes the latest. More than half of them
    /// are enough where they agree: one that is out of reach holds up nobody. Fewer
    /// are not believed where they know less than what is `known`: they may be
    /// those that a failover has passed by.
    async fn latest_view(&self, known: (bool, u64)) -> Result<View, Error> {
        let mut asked: FuturesUnordered<_> =
            self.witnesses().into_iter().map(|witness| self.ask(witness)).collect();
        let enough = asked.len() / 2 + 1;
        let mut views: Vec<View> = Vec::new();
        let mut failed = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Err(error) => failed = Some(error),
                Ok(view) => {
                    views.push(view);
                    let agreed = views.iter().all(|view| view.rank == views[0].rank);
                    if views.len() >= enough && agreed {
                        break;
                    }
                }
            }
        }
        let are_enough = views.len() >= enough;
        let latest = views.into_iter().max_by_key(|view| view.rank);
        let latest = latest.filter(|view| are_enough || view.rank.1 >= known.1);
        latest.ok_or_else(|| failed.unwrap_or_else(|| Error::unreachable("nobody to ask")))
    }

    /// The sentinels; in a Cluster, its masters and the nodes that the URL names.
    fn witnesses(&self) -> Vec<ConnectionInfo> {
        let mut witnesses = self.deployment.seeds.clone();
        if self.deployment.kind == Kind::Cluster {
            let masters = self.masters();
            let known = masters.iter().filter_map(|node| node.address.as_ref());
            witnesses.extend(known.map(|address| self.deployment.server_at(address)));
        }
        let mut seen = HashSet::new();
        witnesses.retain(|witness| seen.insert(Address::of(witness)));
        witnesses
    }

    async fn ask(&self, witness: ConnectionInfo) -> Result<View, Error> {
        let ask = async {
            match &self.deployment.kind {
                Kind::Sentinel(service) => ask_sentinel(witness, service).await,
                _ => ask_node(witness).await,
            }
        };
        let answer = timeout(REDIS_CONNECT_TIMEOUT, ask).await;
        answer.map_err(Error::unreachable)?.map_err(Error::unreachable)
    }
}

/// Which slot of a Cluster an event's keys are in: its id is their hash tag.
fn slot_of(event_id: &str) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(event_id.as_bytes()) % SLOTS
}

fn same(a: &[Arc<Node>], b: &[Arc<Node>]) -> bool {
    a.len() == b.len() && a.iter().all(|node| b.iter().any(|other| Arc::ptr_eq(node, other)))
}

async fn ask_sentinel(witness: ConnectionInfo, service: &str) -> Result<View, RedisError> {
    let client = Client::open(witness)?;
    let mut connection = node::connect(&client, REDIS_CONNECT_TIMEOUT).await?;
    // Both: in mid-failover, the first one names the new master already, under
    // the epoch that the second one tells.
    let (address, fields): (Option<(String, u16)>, Vec<String>) = pipe()
        .add_command(cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service).to_owned())
        .add_command(cmd("SENTINEL").arg("MASTER").arg(service).to_owned())
        .query_async(&mut connection)
        .await?;
    let epoch = fields.iter().skip_while(|name| *name != "config-epoch").nth(1);
    let epoch = epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
    let ranges =
        address.map(|(host, port)| (0, SLOTS - 1, Address { host, port })).into_iter().collect();
    Ok(View { rank: (true, epoch), ranges })
}

async fn ask_node(witness: ConnectionInfo) -> Result<View, RedisError> {
    let asked = Address::of(&witness).map(|address| address.host).unwrap_or_default();
    let client = Client::open(witness)?;
    let mut connection = node::connect(&client, REDIS_CONNECT_TIMEOUT).await?;
    let (info, slots): (InfoDict, Vec<Vec<Value>>) = pipe()
        .add_command(cmd("CLUSTER").arg("INFO").to_owned())
        .add_command(cmd("CLUSTER").arg("SLOTS").to_owned())
        .query_async(&mut connection)
        .await?;
    let is_well = info.get::<String>("cluster_state").as_deref() == Some("ok");
    let epoch = info.get("cluster_current_epoch").unwrap_or_default();
    let ranges = slots.iter().map(|range| master_of(range, &asked)).collect::<Result<_, _>>()?;
    Ok(View { rank: (is_well, epoch), ranges })
}

/// First slot, last slot, and the first of the servers, which is the master. It
/// may say that it does not know its own host: then it is where we asked.
fn master_of(range: &[Value], asked: &str) -> Result<(u16, u16, Address), RedisError> {
    let [first, last, master, ..] = range else {
        return Err(
            (deadpool_redis::redis::ErrorKind::UnexpectedReturnType, "CLUSTER SLOTS").into()
        );
    };
    let (host, port): (Option<String>, u16) =
        match from_redis_value::<Vec<Value>>(master.clone())?.as_slice() {
            [host, port, ..] => (from_redis_value(host.clone())?, from_redis_value(port.clone())?),
            _ => (None, 0),
        };
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| asked.to_owned());
    Ok((from_redis_value(first.clone())?, from_redis_value(last.clone())?, Address { host, port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // As CLUSTER KEYSLOT answers for `hf:{demo}:meta` and so on.
        assert_eq!(slot_of("demo"), 903);
        assert_eq!(slot_of("123456789"), 0x31C3);
    }
}

//! Whether the servers are what they must be.

use deadpool_redis::redis::{InfoDict, cmd};
use futures_util::future::join_all;

use super::{
    Error, Links,
    deployment::Kind,
    node::{self, Node},
};

impl Links {
    /// Whether every Redis that has events serves, and can be trusted with
    /// holds. Also finds out which those are.
    ///
    /// # Errors
    /// A text for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        let routes = &self.routes;
        let looked = routes.look().await;
        let masters = routes.masters();
        if masters.is_empty() {
            let why = looked.err().map_or_else(String::new, |error| format!(": {}", told(&error)));
            return Err(format!("no master is known{why}"));
        }
        if let lost @ 1.. = routes.slots_without_a_server() {
            return Err(format!("{lost} slots of the Cluster have no master"));
        }
        let kind = routes.kind();
        for (master, fit) in
            masters.iter().zip(join_all(masters.iter().map(|node| is_fit(node, kind))).await)
        {
            fit.map_err(|why| match kind {
                Kind::Single => why,
                Kind::Sentinel(_) | Kind::Cluster => format!("{master}: {why}"),
            })?;
        }
        Ok(())
    }
}

/// Whether a server is what a master of this deployment must be.
async fn is_fit(node: &Node, kind: &Kind) -> Result<(), String> {
    let info = async {
        let mut connection = node.control().await?;
        let mut info = cmd("INFO");
        info.arg("server").arg("memory").arg("persistence").arg("replication");
        let info: InfoDict = info.query_async(&mut connection).await?;
        let state: InfoDict = match kind {
            Kind::Cluster => cmd("CLUSTER").arg("INFO").query_async(&mut connection).await?,
            Kind::Single | Kind::Sentinel(_) => InfoDict::new(""),
        };
        Ok::<_, Error>((info, state))
    };
    let (info, state) = info.await.map_err(|error| told(&error))?;
    let field = |name| info.get::<String>(name).unwrap_or_default();
    if field("role") != "master" {
        return Err("this Redis is a replica".into());
    }
    node.keep_links_of(&node::incarnation(&info));
    if field("loading") == "1" {
        return Err("Redis is loading its data".into());
    }
    if field("redis_mode") == "cluster" && *kind != Kind::Cluster {
        return Err("this Redis is a node of a Cluster; its URL begins with redis+cluster".into());
    }
    if field("aof_enabled") == "1" && field("aof_last_write_status") != "ok" {
        return Err("Redis cannot write its append-only file".into());
    }
    if let Some(state) = state.get::<String>("cluster_state").filter(|state| state != "ok") {
        return Err(format!("cluster_state is {state}"));
    }
    match field("maxmemory_policy").as_str() {
        "noeviction" => Ok(()),
        policy => Err(format!("maxmemory-policy is {policy}; it must be noeviction")),
    }
}

/// An error and its cause, for the operator.
fn told(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(" ({cause})"));
    format!("{error}{}", cause.unwrap_or_default())
}

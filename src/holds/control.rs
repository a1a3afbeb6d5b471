//! The control path: probes and upkeep.

use deadpool_redis::redis::{InfoDict, cmd};
use futures_util::future::join_all;

use super::{
    Error, Holds, Incarnation,
    deployment::Kind,
    keys,
    node::{self, Node},
};
use crate::domain::{Epoch, EventId, HoldRecord, Position};
use crate::limits::ENDED_HOLD_KEPT;

impl Holds {
    /// Whether every Redis that has events serves, and can be trusted with
    /// holds. Also finds out which those are.
    ///
    /// # Errors
    /// A text for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        let routes = &self.links.routes;
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

    /// The event's position now; `None` where Redis does not have it, or has
    /// it from another life.
    pub async fn position(&self, event_id: &EventId) -> Result<Option<Position>, Error> {
        let mut fields = cmd("HMGET");
        fields.arg(keys::meta(event_id)).arg("incarnation").arg("epoch").arg("seq");
        let ((built_in, epoch, seq), incarnation): ((Option<String>, _, _), _) =
            self.links.read(event_id.as_str(), &fields).await?;
        let is_of_this_life =
            built_in == Some(incarnation.0) || cfg!(feature = "mutant-no-incarnation-check");
        let position = Option::zip(epoch, seq).filter(|_| is_of_this_life);
        Ok(position.map(|(epoch, seq)| Position { epoch: Epoch(epoch), seq }))
    }

    /// Redis' clock, by which the event's holds run out: ms since 1970.
    pub async fn clock_ms(&self, event_id: &EventId) -> Result<i64, Error> {
        let ((seconds, micros), _): ((i64, i64), _) =
            self.links.read(event_id.as_str(), &cmd("TIME")).await?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// The life of Redis that the event's calls go to from now on.
    pub async fn incarnation(&self, event_id: &EventId) -> Result<Incarnation, Error> {
        self.links.incarnation(event_id.as_str()).await
    }

    /// Forgets holds that ended longer than [`ENDED_HOLD_KEPT`] ago; answers
    /// how many.
    pub async fn forget_ended_holds(&self, event_id: &EventId) -> Result<usize, Error> {
        let key = event_id.as_str();
        let (seconds, _micros): (i64, i64) = self.links.query(key, &cmd("TIME")).await?;
        let kept_ms = i64::try_from(ENDED_HOLD_KEPT.as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = seconds * 1_000 - kept_ms;
        let (mut cursor, mut forgotten) = (0_u64, 0);
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(keys::holds(event_id)).arg(cursor).arg("COUNT").arg(500);
            let (next, page): (u64, Vec<(String, Vec<u8>)>) = self.links.query(key, &scan).await?;
            let mut forget = cmd("HDEL");
            forget.arg(keys::holds(event_id));
            let mut old = 0;
            // Without the entry of no name, which every key has.
            for (hold_id, packed) in page.iter().filter(|(hold_id, _)| !hold_id.is_empty()) {
                let record: HoldRecord = rmp_serde::from_slice(packed).map_err(Error::corrupt)?;
                if record.ended_ms != 0 && record.ended_ms < oldest_ms {
                    forget.arg(hold_id);
                    old += 1;
                }
            }
            if old > 0 {
                let () = self.links.query(key, &forget).await?;
            }
            forgotten += old;
            cursor = next;
            if cursor == 0 {
                return Ok(forgotten);
            }
        }
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

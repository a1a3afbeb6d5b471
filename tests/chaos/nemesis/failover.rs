//! Another node of Redis takes over, or takes a slot over.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::sleep;

use super::{Harm, Scene};
use crate::{
    options::Topology,
    process::until,
    proxy::{Way, Who},
};

/// How long the replicas hear nothing before their master goes, in ms.
const STALLED_MS: std::ops::Range<u64> = 200..1_500;
/// Between two keys of a slot that moves.
const BETWEEN_KEYS_MS: std::ops::Range<u64> = 0..60;
const TAKE_OVER_PATIENCE: Duration = Duration::from_secs(20);
const RETURN_PATIENCE: Duration = Duration::from_secs(30);

/// How a master goes.
#[derive(Debug, Clone, Copy)]
enum Going {
    /// kill -9, while its replicas hear nothing from it.
    Killed,
    /// SIGSTOP, while its replicas hear nothing from it: it comes back and does
    /// not know yet.
    Paused,
    /// As it is asked to.
    Asked,
}

/// The master of an event goes, and its replica takes over; `None` where that
/// did not come to pass.
pub async fn fail_over(scene: &Scene, random: &mut StdRng) -> anyhow::Result<Option<Harm>> {
    let stage = &scene.stage;
    let Some(show) = scene.floor.on_sale().choose(random).cloned() else { return Ok(None) };
    let Ok(old) = stage.redis.owner_index(&show.event_id).await else { return Ok(None) };
    let goings = [Going::Killed, Going::Killed, Going::Paused, Going::Asked];
    let going = goings[random.random_range(0..goings.len())];
    let stalled = Duration::from_millis(random.random_range(STALLED_MS));
    let (node, link) = (&stage.redis.nodes[old], &stage.redis.links[old]);
    match going {
        Going::Asked => stage.redis.ask_to_fail_over(old).await?,
        Going::Killed | Going::Paused => {
            link.stall(Some((Way::Down, Who::Replicas)));
            sleep(stalled).await;
            // A node that does not answer now has no more to tell.
            let _ = scene.book.read_all(node, &scene.floor.shows()).await;
            match going {
                Going::Killed => node.kill().await?,
                _ => node.signal(Signal::SIGSTOP).await,
            }
            // What was kept back must not arrive any more.
            link.reset();
            link.stall(None);
        }
    }
    let is_other = async || {
        let owner = stage.redis.owner_index(&show.event_id).await.ok()?;
        (owner != old).then_some(owner)
    };
    let new = until("another master", TAKE_OVER_PATIENCE, is_other).await;
    node.signal(Signal::SIGCONT).await;
    node.start().await?;
    let is_back = async || stage.redis.follows(old).await.then_some(());
    // Unless it became master again meanwhile.
    let _ = until("the old master follows", RETURN_PATIENCE, is_back).await;
    let Ok(new) = new else { return Ok(None) };
    let new = &stage.redis.nodes[new].name;
    let detail = match going {
        Going::Asked => format!("asked to; {new} took over"),
        going => format!("{going:?}, replicas stalled for {stalled:?} before; {new} took over"),
    };
    // Sentinel asks no master to wait: what it is written while its replica is
    // promoted already is lost. In a Cluster the master hands over.
    let hands_over = matches!(going, Going::Asked) && stage.redis.topology == Topology::Cluster;
    Ok(Some(Harm::new(&node.name, detail).losing_redis(!hands_over)))
}

/// The slot of an event moves to another master, key by key.
pub async fn move_slot(scene: &Scene, random: &mut StdRng) -> anyhow::Result<Option<Harm>> {
    let redis = &scene.stage.redis;
    let Some(show) = scene.floor.on_sale().choose(random).cloned() else { return Ok(None) };
    let between = Duration::from_millis(random.random_range(BETWEEN_KEYS_MS));
    let Ok(from) = redis.owner_index(&show.event_id).await else { return Ok(None) };
    let masters = redis.masters().await.unwrap_or_default();
    let others: Vec<usize> = masters.into_iter().filter(|&master| master != from).collect();
    let Some(&to) = others.choose(random) else { return Ok(None) };
    let keys = redis.move_slot(from, to, &show.event_id, between).await?;
    let (from, to) = (&redis.nodes[from].name, &redis.nodes[to].name);
    let detail = format!("{keys} keys of {} to {to}, one in {between:?}", show.event_id);
    Ok(Some(Harm::new(from, detail)))
}

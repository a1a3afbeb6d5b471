//! What a run is asked to do.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Breaks everything that can break while clients fight for few seats, and
/// checks that every promise was kept.
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos")]
pub struct Options {
    /// How long to go on.
    #[arg(long, default_value_t = 45.0)]
    pub minutes: f64,
    /// What everything is drawn from; a new one where none is given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// The guard that this build leaves out; only told in the verdict.
    #[arg(long)]
    pub mutant: Option<String>,
    /// What Redis is.
    #[arg(long, default_value = "all")]
    pub redis: Deployment,
    /// The longest that a round goes on before all is healed and checked.
    #[arg(long, default_value_t = 60)]
    pub round_seconds: u64,
    /// Clients that call at the same time.
    #[arg(long, default_value_t = 40)]
    pub clients: u32,
    /// Only measures how long it takes to recover.
    #[arg(long)]
    pub recovery: bool,
    /// Faults to draw from, by a part of their names; all where none is named.
    #[arg(long)]
    pub fault: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Deployment {
    Single,
    Sentinel,
    Cluster,
    /// Each in its turn.
    All,
}

/// What Redis is in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topology {
    Single,
    Sentinel,
    Cluster,
}

impl Topology {
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

impl Options {
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// All that Redis is in this run.
    pub fn topologies(&self) -> Vec<Topology> {
        let mut all: Vec<Topology> = (0..TURNS.len()).map(|round| self.topology(round)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// What Redis is in a round, by its number.
    pub fn topology(&self, round: usize) -> Topology {
        match self.redis {
            Deployment::Single => Topology::Single,
            Deployment::Sentinel => Topology::Sentinel,
            Deployment::Cluster => Topology::Cluster,
            Deployment::All => TURNS[round % TURNS.len()],
        }
    }
}

/// Most faults are those of a single Redis.
const TURNS: [Topology; 4] =
    [Topology::Single, Topology::Sentinel, Topology::Single, Topology::Cluster];

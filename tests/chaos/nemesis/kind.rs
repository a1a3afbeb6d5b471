//! Every kind of fault, by name.

use crate::{options::Topology, stores::Node};

/// Which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Redis,
    Postgres,
    Client,
}

/// What is done to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    Delayed,
    /// One way.
    Stalled,
    Reset,
    /// After n bytes.
    Cut,
    /// The answer to a change: for Postgres, to a COMMIT.
    AnswerCut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ServerKilled,
    ServerPaused,
    ServersRolled,
    RedisKilled,
    RedisPaused,
    PostgresKilled,
    PostgresPaused,
    RedisRolledBack,
    RedisFlushed,
    RedisDiskFull,
    PostgresDiskFull,
    RedisClockSkewed,
    SentinelFailedOver,
    ClusterFailedOver,
    SlotMoved,
    Link(Link, LinkFault),
    ClientsHangUp,
    Failpoint,
}

/// Kinds that are made one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Blows,
    Links,
    Needles,
}

impl Lane {
    /// Between two faults.
    pub fn pause_ms(self) -> std::ops::Range<u64> {
        match self {
            Self::Blows => 800..2_500,
            Self::Links => 300..1_500,
            Self::Needles => 500..2_000,
        }
    }
}

const PROCESSES: [Kind; 10] = [
    Kind::ServerKilled,
    Kind::ServerPaused,
    Kind::ServersRolled,
    Kind::RedisKilled,
    Kind::RedisPaused,
    Kind::PostgresKilled,
    Kind::PostgresPaused,
    Kind::PostgresDiskFull,
    Kind::ClientsHangUp,
    Kind::Failpoint,
];

/// Those that a deployment of Redis has to itself.
fn of_redis(topology: Topology) -> &'static [Kind] {
    match topology {
        Topology::Single => &[
            Kind::RedisRolledBack,
            Kind::RedisFlushed,
            Kind::RedisDiskFull,
            Kind::RedisClockSkewed,
        ],
        Topology::Sentinel => &[Kind::SentinelFailedOver],
        Topology::Cluster => {
            &[Kind::ClusterFailedOver, Kind::ClusterFailedOver, Kind::SlotMoved, Kind::SlotMoved]
        }
    }
}

const LINKS: [Link; 3] = [Link::Redis, Link::Postgres, Link::Client];
const LINK_FAULTS: [LinkFault; 5] = [
    LinkFault::Delayed,
    LinkFault::Stalled,
    LinkFault::Reset,
    LinkFault::Cut,
    LinkFault::AnswerCut,
];

impl Kind {
    /// All that can be made where Redis is deployed so, and whose names have
    /// one of the `parts`, if there are any.
    pub fn all(topology: Topology, has_failpoints: bool, parts: &[String]) -> Vec<Self> {
        let links = LINKS.into_iter().flat_map(|link| LINK_FAULTS.map(|f| Self::Link(link, f)));
        let can_be_made = |kind: &Self| match kind {
            Self::RedisClockSkewed => Node::can_skew_clocks(),
            Self::Failpoint => has_failpoints,
            _ => true,
        };
        let is_wanted = |kind: &Self| {
            parts.is_empty() || parts.iter().any(|part| kind.name().contains(part.as_str()))
        };
        let all = PROCESSES.into_iter().chain(links).chain(of_redis(topology).iter().copied());
        all.filter(can_be_made).filter(is_wanted).collect()
    }

    pub fn lane(self) -> Lane {
        match self {
            Self::Link(..) => Lane::Links,
            Self::ClientsHangUp | Self::Failpoint => Lane::Needles,
            _ => Lane::Blows,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::ServerKilled => "server killed",
            Self::ServerPaused => "server paused",
            Self::ServersRolled => "servers rolled",
            Self::RedisKilled => "Redis killed",
            Self::RedisPaused => "Redis paused",
            Self::PostgresKilled => "Postgres killed",
            Self::PostgresPaused => "Postgres paused",
            Self::RedisRolledBack => "Redis rolled back",
            Self::RedisFlushed => "Redis flushed",
            Self::RedisDiskFull => "Redis' disk full",
            Self::PostgresDiskFull => "Postgres' disk full",
            Self::RedisClockSkewed => "Redis' clock skewed",
            Self::SentinelFailedOver => "Sentinel failed over",
            Self::ClusterFailedOver => "Cluster failed over",
            Self::SlotMoved => "Cluster's slot moved",
            Self::Link(link, fault) => link_name(link, fault),
            Self::ClientsHangUp => "clients hang up",
            Self::Failpoint => "failpoint",
        }
    }
}

fn link_name(link: Link, fault: LinkFault) -> &'static str {
    match (link, fault) {
        (Link::Redis, LinkFault::Delayed) => "link to Redis delayed",
        (Link::Redis, LinkFault::Stalled) => "link to Redis stalled",
        (Link::Redis, LinkFault::Reset) => "link to Redis reset",
        (Link::Redis, LinkFault::Cut) => "link to Redis cut",
        (Link::Redis, LinkFault::AnswerCut) => "link to Redis cut at an answer",
        (Link::Postgres, LinkFault::Delayed) => "link to Postgres delayed",
        (Link::Postgres, LinkFault::Stalled) => "link to Postgres stalled",
        (Link::Postgres, LinkFault::Reset) => "link to Postgres reset",
        (Link::Postgres, LinkFault::Cut) => "link to Postgres cut",
        (Link::Postgres, LinkFault::AnswerCut) => "link to Postgres cut at a COMMIT",
        (Link::Client, LinkFault::Delayed) => "link to server delayed",
        (Link::Client, LinkFault::Stalled) => "link to server stalled",
        (Link::Client, LinkFault::Reset) => "link to server reset",
        (Link::Client, LinkFault::Cut) => "link to server cut",
        (Link::Client, LinkFault::AnswerCut) => "link to server cut at an answer",
    }
}

//! Every setting: a flag, and a variable `HOLDFAST_*`.

mod access;
mod client;
mod inspect;
mod limits;
mod load;
mod mail;
mod page;
mod payments;
mod queue;
mod secrets;
mod traces;

pub use access::Access;
pub use client::Client;
pub use inspect::{DrainOptions, HoldsOptions, Told, WhyOptions};
pub use limits::Limits;
pub use load::{
    ConfirmLoad, HoldLoad, Houses, LoadCommon, LoadOptions, QueueLoad, SaleLoad, Scenario,
    StreamLoad,
};
pub use mail::Mail;
pub use page::{Page, is_origin};
pub use payments::Payments;
pub use queue::Queue;
pub use secrets::{IN_FILES, SecretError};
pub use traces::Traces;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use crate::{
    domain::EventId,
    limits::{
        DEFAULT_PRESENCE_TTL_SECONDS, MAX_HOLDS_PER_CALL, MIN_POSTGRES_POOL, PRESENCE_TTL_SECONDS,
    },
    telemetry::LogFormat,
};

/// A seat and ticket reservation backend that never sells a seat twice.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// What is logged, such as `info` or `holdfast=debug`.
    #[arg(long, env = "HOLDFAST_LOG", default_value = DEFAULT_LOG, global = true)]
    pub log: String,
    /// How it is logged.
    #[arg(long, env = "HOLDFAST_LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: LogFormat,
    #[command(flatten)]
    pub traces: Traces,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve, on a Postgres and a Redis that are there.
    Serve {
        #[command(flatten)]
        doors: Doors,
        #[command(flatten)]
        stores: Stores,
    },
    /// Serve for development: with a private Redis and Postgres in a data
    /// directory, and a demo event.
    Dev {
        #[command(flatten)]
        doors: Doors,
        /// Where the stores keep their data between starts.
        #[arg(long, env = "HOLDFAST_DATA_DIR", default_value = ".holdfast")]
        data_dir: PathBuf,
    },
    /// Bring a database up to this program's schema.
    Migrate {
        /// `postgres://user:password@host/database`
        #[arg(long, env = "HOLDFAST_POSTGRES_URL", hide_env_values = true)]
        postgres_url: SecretString,
    },
    /// Compare Redis with Postgres and with itself, Postgres with itself, and
    /// servers' streams with Redis; print every difference and what it means.
    ///
    /// Servers may run meanwhile: what differs is looked at again after ten
    /// seconds, and told where it is the same then. A line that begins with `note`
    /// is no difference: it tells of a hold that was lost with Redis.
    ///
    /// Exits 0 where nothing differs (any more, with --repair), 1 where something
    /// does, and 2 where something could not be compared.
    Audit {
        #[command(flatten)]
        stores: Stores,
        #[command(flatten)]
        audit: AuditOptions,
    },
    /// Print all events: what is sold, held and free, and how many holds are open.
    ///
    /// Exits 0; 2 where a store cannot be read.
    Events {
        #[command(flatten)]
        stores: Stores,
        #[command(flatten)]
        told: Told,
    },
    /// Print an event's open holds: whose they are, what they have, when they run out,
    /// and which order waits to be paid.
    ///
    /// Exits 0; 1 where there is no such event; 2 where a store cannot be read.
    Holds {
        #[command(flatten)]
        stores: Stores,
        #[command(flatten)]
        options: HoldsOptions,
    },
    /// Print who had a seat when, and how it came to that: holds, ends, orders, refunds,
    /// what was done by hand, and what Redis' log still has.
    ///
    /// Exits 0; 1 where there is no such event or seat; 2 where a store cannot be read.
    Why {
        #[command(flatten)]
        stores: Stores,
        #[command(flatten)]
        options: WhyOptions,
    },
    /// Send a server away before it is stopped: health and /readyz say so, streams resume
    /// elsewhere, connections are asked to go. What still comes is served. Asking again
    /// only tells.
    ///
    /// Exits 0; 1 where --wait has waited in vain; 2 where the server cannot be asked.
    Drain(DrainOptions),
    /// Load a running server, measure how fast it answers, and check what it
    /// answered.
    ///
    /// Exits 0; 1 where a check finds an answer that is not true; 2 where nothing
    /// could be measured.
    Load(LoadOptions),
}

/// What to compare, and what to do about it.
#[derive(Debug, Clone, Args)]
pub struct AuditOptions {
    /// Only this event; all of them where none is named.
    #[arg(long = "event", value_name = "ID")]
    pub events: Vec<EventId>,
    /// Mend by the protocol's own steps: tell Redis what Postgres has decided,
    /// journal, end what is due, and at last build the event anew in Redis. What
    /// Postgres contradicts itself in is left to a person.
    #[arg(long)]
    pub repair: bool,
    /// Compare what this server's stream tells, too, such as
    /// `http://127.0.0.1:50051`; may be given again.
    #[arg(long = "server", value_name = "URL")]
    pub servers: Vec<String>,
    /// One JSON object a line instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub client: Client,
}

/// Where to listen, and who is called from there, or calls.
#[derive(Debug, Clone, Args)]
pub struct Doors {
    /// For gRPC and gRPC-Web; port 0 takes a free one.
    #[arg(long, env = "HOLDFAST_GRPC_ADDR", default_value = "127.0.0.1:50051")]
    pub grpc_addr: SocketAddr,
    /// For probes, metrics, payment callbacks and the page; port 0 takes a free one.
    #[arg(long, env = "HOLDFAST_HTTP_ADDR", default_value = "127.0.0.1:8080")]
    pub http_addr: SocketAddr,
    #[command(flatten)]
    pub access: Access,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub payments: Payments,
    #[command(flatten)]
    pub mail: Mail,
    #[command(flatten)]
    pub queue: Queue,
    #[command(flatten)]
    pub page: Page,
}

/// What to serve on.
#[derive(Debug, Clone, Args)]
pub struct Stores {
    /// `postgres://user:password@host/database`; of several hosts, `host1,host2`, the
    /// one that takes writes; `?sslmode=verify-full&sslrootcert=file.pem` for TLS
    #[arg(long, env = "HOLDFAST_POSTGRES_URL", hide_env_values = true)]
    pub postgres_url: SecretString,
    /// Connections to Postgres, at least 8; one more is for the probe, and two are for
    /// statements of sales
    #[arg(long, env = "HOLDFAST_POSTGRES_POOL", default_value_t = DEFAULT_POOL,
          value_parser = clap::value_parser!(u16).range(i64::from(MIN_POSTGRES_POOL)..))]
    pub postgres_pool: u16,
    /// Holds that one call of Redis carries at most; 1 sends each by itself, at
    /// once. For comparison.
    #[arg(long, env = "HOLDFAST_HOLDS_PER_CALL", default_value_t = MAX_HOLDS_PER_CALL,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_HOLDS_PER_CALL)))]
    pub holds_per_call: u16,
    /// How long a viewer counts as present after the last sign of life of him, or of the
    /// server that has his stream
    #[arg(long, env = "HOLDFAST_PRESENCE_TTL_SECONDS",
          default_value_t = DEFAULT_PRESENCE_TTL_SECONDS,
          value_parser = clap::value_parser!(u16).range(PRESENCE_TTL_SECONDS))]
    pub presence_ttl_seconds: u16,
    /// `redis://user:password@host:6379`, or
    /// `redis+sentinel://user:password@sentinel:26379,sentinel:26379/service`, or
    /// `redis+cluster://user:password@node:6379,node:6379`; `rediss` for TLS, with
    /// `?ca=file.pem` where the system does not trust who signed
    #[arg(long, env = "HOLDFAST_REDIS_URL", hide_env_values = true)]
    pub redis_url: SecretString,
}

/// Connections to Postgres where nothing else is said.
pub const DEFAULT_POOL: u16 = 16;

/// What is logged where nothing else is said: the crates below us only where
/// something is wrong.
pub const DEFAULT_LOG: &str =
    "info,tokio_cron_scheduler=warn,refinery_core=warn,tokio_postgres=warn";

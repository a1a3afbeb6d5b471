//! Every setting: a flag, and a variable `HOLDFAST_*`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use crate::{limits::MIN_POSTGRES_POOL, telemetry::LogFormat};

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
}

/// Where to listen.
#[derive(Debug, Clone, Args)]
pub struct Doors {
    /// For gRPC and gRPC-Web; port 0 takes a free one.
    #[arg(long, env = "HOLDFAST_GRPC_ADDR", default_value = "127.0.0.1:50051")]
    pub grpc_addr: SocketAddr,
    /// For probes and metrics; port 0 takes a free one.
    #[arg(long, env = "HOLDFAST_HTTP_ADDR", default_value = "127.0.0.1:8080")]
    pub http_addr: SocketAddr,
}

/// What to serve on.
#[derive(Debug, Clone, Args)]
pub struct Stores {
    /// `postgres://user:password@host/database`
    #[arg(long, env = "HOLDFAST_POSTGRES_URL", hide_env_values = true)]
    pub postgres_url: SecretString,
    /// Connections to Postgres, at least 8.
    #[arg(long, env = "HOLDFAST_POSTGRES_POOL", default_value_t = DEFAULT_POOL,
          value_parser = clap::value_parser!(u16).range(i64::from(MIN_POSTGRES_POOL)..))]
    pub postgres_pool: u16,
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

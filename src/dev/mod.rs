//! One command for a whole service: private stores, the schema, a demo event,
//! and the server. Tests and benchmarks start their stores by the same code.

mod child;
mod demo;
pub mod house;
mod postgres;
mod redis;
mod rush;

pub use child::Child;
pub use postgres::Postgres;
pub use redis::Redis;

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use nix::{
    fcntl::{Flock, FlockArg},
    unistd::Uid,
};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    app::{App, stop_signal},
    config::{DEFAULT_POOL, Doors, Stores},
    ledger::Ledger,
    limits::{DEFAULT_PRESENCE_TTL_SECONDS, MAX_HOLDS_PER_CALL},
};
use rush::Rush;

/// Runs until SIGINT or SIGTERM, or until a store ends.
///
/// # Errors
/// Where a step fails; the text says what to do about it.
pub async fn run(doors: &Doors, data_dir: &Path) -> anyhow::Result<()> {
    let set = &doors.access;
    let is_plain = set.tls_cert_file.is_none() && set.jwt_keys.is_none();
    ensure!(is_plain, "`holdfast dev` is for this machine alone: without TLS and tokens");
    let mut stop = pin!(stop_signal()?);
    let mut steps = Steps::new();
    fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    let data_dir = data_dir.canonicalize()?;
    let _lock = lock(&data_dir)?;
    steps.done("data directory", &data_dir.display().to_string());

    let mut redis = Redis::start(&data_dir).await?;
    steps.done("redis", &redis.to_string());
    let mut postgres = Postgres::start(&data_dir).await?;
    steps.done("postgres", &postgres.to_string());

    let rush = Arc::new(Rush::new(&data_dir));

    let served = async {
        postgres.create_database("holdfast").await?;
        let stores = Stores {
            postgres_url: SecretString::from(postgres.url("holdfast")),
            postgres_pool: DEFAULT_POOL,
            holds_per_call: MAX_HOLDS_PER_CALL,
            presence_ttl_seconds: DEFAULT_PRESENCE_TTL_SECONDS,
            redis_url: SecretString::from(redis.url()),
        };
        let applied = Ledger::migrate(&stores.postgres_url).await?;
        steps.done("schema", &format!("{} migration(s) applied", applied.len()));
        let app = App::start_with(doors, &stores, Some(rush.clone())).await?;
        let _ = rush.grpc_addr.set(app.grpc_addr);
        app.ready().await;
        steps.done("server", &format!("gRPC on {}, HTTP on {}", app.grpc_addr, app.http_addr));
        let loaded = demo::load(app.grpc_addr).await?;
        steps.done("demo event", &loaded);
        println!("{}", demo::welcome(&app, &stores));
        anyhow::Ok(app)
    };
    let app = tokio::select! {
        served = served => Some(served?),
        () = &mut stop => None,
    };
    let mut ended = None;
    if app.is_some() {
        tokio::select! {
            () = &mut stop => {}
            status = redis.ended() => ended = Some(("redis", status)),
            status = postgres.ended() => ended = Some(("postgres", status)),
        }
    }
    println!("stopping");
    rush.stop().await;
    if let Some(app) = app {
        app.stop().await;
    }
    postgres.stop().await;
    redis.stop().await;
    match ended {
        None => Ok(()),
        Some((store, status)) => {
            let log = data_dir.join("log").join(format!("{store}.log"));
            anyhow::bail!("{store} ended ({}); see {}", status?, log.display())
        }
    }
}

/// One server at a time uses a data directory; the kernel gives it up with the
/// process.
fn lock(data_dir: &Path) -> anyhow::Result<Flock<File>> {
    let file = File::options().create(true).append(true).open(data_dir.join("lock"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
        anyhow::anyhow!(
            "{} is in use by another `holdfast dev`, or cannot be locked ({error}); \
             choose another by HOLDFAST_DATA_DIR",
            data_dir.display()
        )
    })
}

/// Says what was done, and how long it took.
struct Steps {
    begun: Instant,
}

impl Steps {
    fn new() -> Self {
        Self { begun: Instant::now() }
    }

    fn done(&mut self, what: &str, how: &str) {
        println!("{what:>15}  {how}  ({:.1} s)", self.begun.elapsed().as_secs_f32());
        self.begun = Instant::now();
    }
}

/// A place for sockets. Their paths may have about a hundred bytes, so a data
/// directory that lies deep, or where Postgres' user cannot get, has them
/// elsewhere.
fn socket_dir(data_dir: &Path) -> anyhow::Result<PathBuf> {
    const LONGEST: usize = 80;
    let inside = data_dir.join("run");
    let dir = match inside.as_os_str().len() <= LONGEST && all_may_reach(&inside) {
        true => inside,
        false => std::env::temp_dir().join(name_elsewhere(data_dir)),
    };
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// The name of what lies outside of a data directory but belongs to it.
fn name_elsewhere(data_dir: &Path) -> String {
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    format!("holdfast-{}", hex::encode(&digest[..6]))
}

/// Whether a user who is not root gets there, where we are root.
fn all_may_reach(path: &Path) -> bool {
    let may_pass =
        |dir: &Path| fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    !Uid::effective().is_root() || path.ancestors().skip(1).all(may_pass)
}

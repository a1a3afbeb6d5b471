//! Real stores, started once for the run, by the code that `holdfast dev` uses.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use holdfast::{
    config,
    dev::{Postgres, Redis},
    ledger::Ledger,
    limits::{DEFAULT_PRESENCE_TTL_SECONDS, MAX_HOLDS_PER_CALL},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use secrecy::SecretString;

const TEMPLATE: &str = "holdfast_template";

/// The run's servers.
struct Shared {
    redis: Redis,
    postgres: Postgres,
}

/// They live in a thread of their own: each test's runtime ends with the test.
static SHARED: LazyLock<&'static Shared> = LazyLock::new(|| {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let dir = scratch_dir();
            let redis = Redis::start(&dir).await.unwrap();
            let postgres = Postgres::start(&dir).await.unwrap();
            clean_up_afterwards(&dir, &[redis.pid(), postgres.pid()]);
            postgres.create_database(TEMPLATE).await.unwrap();
            Ledger::migrate(&SecretString::from(postgres.url(TEMPLATE))).await.unwrap();
            tell.send(&*Box::leak(Box::new(Shared { redis, postgres }))).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
});

/// Memory, where the system offers it as a directory: an fsync costs nothing
/// there, and no test pulls the machine's plug.
fn scratch_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let dir = root.join(format!("holdfast-test-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Removes the directory when this process has ended and the stores with it.
fn clean_up_afterwards(dir: &Path, pids: &[u32]) {
    const SCRIPT: &str = r#"
read -r _
while kill -0 "$1" 2>/dev/null || kill -0 "$2" 2>/dev/null; do sleep 0.1; done
rm -rf "$3"
"#;
    #[expect(clippy::zombie_processes, reason = "it outlives this process")]
    let mut cleaner = Command::new("sh")
        .args(["-c", SCRIPT, "clean-up"])
        .args(pids.iter().map(ToString::to_string))
        .arg(dir)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Its pipe closes with this process.
    std::mem::forget(cleaner.stdin.take());
}

/// Servers that one test alone stops, starts and breaks.
pub struct OwnStores {
    dir: tempfile::TempDir,
    pub redis: Redis,
    pub postgres: Postgres,
}

impl OwnStores {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let redis = Redis::start(dir.path()).await.unwrap();
        let postgres = Postgres::start(dir.path()).await.unwrap();
        postgres.create_database(TEMPLATE).await.unwrap();
        Ledger::migrate(&SecretString::from(postgres.url(TEMPLATE))).await.unwrap();
        Self { dir, redis, postgres }
    }

    pub async fn start_redis(&mut self) {
        self.redis = Redis::start(self.dir.path()).await.unwrap();
    }

    pub async fn start_postgres(&mut self) {
        self.postgres = Postgres::start(self.dir.path()).await.unwrap();
    }

    /// Ends Redis without a word.
    pub async fn kill_redis(&mut self) {
        let group = i32::try_from(self.redis.pid()).unwrap();
        killpg(Pid::from_raw(group), Signal::SIGKILL).unwrap();
        self.redis.ended().await.unwrap();
    }

    /// What Redis has on disk.
    pub fn redis_data(&self) -> PathBuf {
        self.dir.path().join("redis")
    }

    pub fn stores(&self) -> Stores {
        Stores { postgres_url: self.postgres.url(TEMPLATE), redis_url: self.redis.url() }
    }
}

/// A database of Postgres and one of Redis, for one test alone.
#[derive(Debug, Clone)]
pub struct Stores {
    pub postgres_url: String,
    pub redis_url: String,
}

impl Stores {
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let shared = tokio::task::spawn_blocking(|| *SHARED).await.unwrap();
        let name = format!("test_{number}");
        let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
        shared.postgres.execute(&create).await.unwrap();
        Self { postgres_url: shared.postgres.url(&name), redis_url: shared.redis.url_of(number) }
    }

    pub fn settings(&self) -> config::Stores {
        config::Stores {
            postgres_url: SecretString::from(self.postgres_url.clone()),
            postgres_pool: 8,
            holds_per_call: MAX_HOLDS_PER_CALL,
            presence_ttl_seconds: DEFAULT_PRESENCE_TTL_SECONDS,
            redis_url: SecretString::from(self.redis_url.clone()),
        }
    }

    /// A connection to Postgres, to look, and to break things.
    pub async fn postgres(&self) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.postgres_url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A connection to Redis, to look, and to break things.
    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis_url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

//! Redis servers as `deploy/redis` has them: a master with its replicas and
//! sentinels, or a Cluster. All listen on 127.0.0.1 and end with the test.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use holdfast::dev::Child;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use redis::{AsyncConnectionConfig, FromRedisValue, InfoDict, aio::MultiplexedConnection, cmd};

use super::eventually;

/// The user that Holdfast is, in `deploy/redis/users.acl`.
pub const HOLDFAST: &str = "holdfast:HOLDFAST-PASSWORD@";
const PATIENCE: Duration = Duration::from_secs(10);
const ADMIN: &str = "admin:ADMIN-PASSWORD@";

/// A file of `deploy/redis`.
pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/redis").join(name)
}

/// One server, or sentinel.
pub struct RedisServer {
    pub port: u16,
    child: Child,
    /// How tests get in.
    url: String,
}

impl RedisServer {
    /// Starts `redis-server` on `dir/<port>`, by a configuration file, with
    /// these options over those of the file.
    pub async fn start(dir: &Path, port: u16, config: &Path, options: &[&str]) -> Self {
        let own = dir.join(port.to_string());
        fs::create_dir_all(&own).unwrap();
        // Sentinel writes to it.
        let file = own.join("redis.conf");
        fs::copy(config, &file).unwrap();
        let texts = [&file, &own, &sample("users.acl")].map(|path| path.display().to_string());
        let [file, own, users] = texts.each_ref().map(String::as_str);
        let text = port.to_string();
        let mut command = vec!["redis-server", file, "--port", &text, "--bind", "127.0.0.1"];
        command.extend(["--dir", own]);
        let is_sentinel = options.contains(&"--sentinel");
        if !is_sentinel {
            command.extend(["--aclfile", users]);
        }
        command.extend(options);
        let log = dir.join(format!("{port}.log"));
        let mut child = Child::start("TERM", &command, None, &log).unwrap();
        let answers = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        child.answers("redis-server", &log, answers).await.unwrap();
        let admin = if is_sentinel { "" } else { ADMIN };
        Self { port, child, url: format!("redis://{admin}127.0.0.1:{port}") }
    }

    /// A new connection, which has time where the machine is busy.
    async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.url.as_str())?;
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    pub async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut asked = cmd(command[0]);
        asked.arg(&command[1..]).query_async(&mut self.connection().await?).await
    }

    /// A field of INFO; empty where there is none, or while the server does not
    /// tell: in a failover Sentinel ends all connections.
    pub async fn info(&self, section: &str, field: &str) -> String {
        let info: redis::RedisResult<InfoDict> = self.ask(&["INFO", section]).await;
        info.ok().and_then(|info| info.get(field)).unwrap_or_default()
    }

    /// What the server did not let its users do.
    pub async fn refused(&self) -> Vec<redis::Value> {
        self.ask(&["ACL", "LOG"]).await.unwrap()
    }

    /// Ends it without a word.
    pub async fn kill(&mut self) {
        let group = i32::try_from(self.child.id()).unwrap();
        killpg(Pid::from_raw(group), Signal::SIGKILL).unwrap();
        self.child.ended().await.unwrap();
    }
}

/// A port that nobody listens on, outside of the range from which the system
/// takes ports for outgoing connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + (std::process::id() * 97 + step) % 10_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A master, two replicas, and three sentinels.
pub struct Watched {
    _dir: tempfile::TempDir,
    /// The master first, as it was at the start.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
}

impl Watched {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = sample("sentinel/redis.conf");
        let mut servers = vec![RedisServer::start(dir.path(), free_port(), &config, &[]).await];
        let master = servers[0].port.to_string();
        for _ in 0..2 {
            let options = ["--replicaof", "127.0.0.1", &master];
            servers.push(RedisServer::start(dir.path(), free_port(), &config, &options).await);
        }
        eventually("the replicas follow", async || {
            let count = servers[0].info("replication", "min_slaves_good_slaves").await;
            (count == "2").then_some(())
        })
        .await;
        let text = fs::read_to_string(sample("sentinel/sentinel.conf")).unwrap();
        let config = dir.path().join("sentinel.conf");
        fs::write(&config, text.replace("127.0.0.1 6379", &format!("127.0.0.1 {master}"))).unwrap();
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let server = RedisServer::start(dir.path(), free_port(), &config, &["--sentinel"]);
            sentinels.push(server.await);
        }
        eventually("the sentinels know each other and the replicas", async || {
            for sentinel in &sentinels {
                let fields: Vec<String> =
                    sentinel.ask(&["SENTINEL", "MASTER", "holdfast"]).await.ok()?;
                let field = |name| fields.iter().skip_while(|&f| f != name).nth(1).cloned();
                let known = (field("num-slaves")?, field("num-other-sentinels")?);
                if known != ("2".into(), "2".into()) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        Self { _dir: dir, servers, sentinels }
    }

    pub fn url(&self) -> String {
        let at = |server: &RedisServer| format!("127.0.0.1:{}", server.port);
        let hosts: Vec<_> = self.sentinels.iter().map(at).collect();
        format!("redis+sentinel://{HOLDFAST}{}/holdfast", hosts.join(","))
    }
}

/// Three masters, and a replica of each.
pub struct Cluster {
    _dir: tempfile::TempDir,
    /// The masters first, as they were at the start; then their replicas.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    pub async fn start() -> Self {
        const RANGES: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..6 {
            let (port, bus) = (free_port(), free_port().to_string());
            let config = sample("cluster/redis.conf");
            let options = ["--cluster-port", &bus];
            nodes.push(RedisServer::start(dir.path(), port, &config, &options).await);
            buses.push(bus);
        }
        for (node, (first, last)) in nodes.iter().zip(RANGES) {
            let () = node.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await.unwrap();
        }
        for (i, node) in nodes.iter().enumerate() {
            let () =
                node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()]).await.unwrap();
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &buses[i]];
            let () = nodes[0].ask(&meet).await.unwrap();
        }
        for i in 3..6 {
            let master: String = nodes[i - 3].ask(&["CLUSTER", "MYID"]).await.unwrap();
            eventually("the replica knows its master", async || {
                nodes[i].ask::<()>(&["CLUSTER", "REPLICATE", &master]).await.ok()
            })
            .await;
        }
        let cluster = Self { _dir: dir, nodes };
        eventually("the Cluster is well", async || {
            for (i, node) in cluster.nodes.iter().enumerate() {
                let state: String = node.ask(&["CLUSTER", "INFO"]).await.ok()?;
                let link = node.info("replication", "master_link_status").await;
                let all = state.contains("cluster_state:ok")
                    && state.contains("cluster_known_nodes:6")
                    && (i < 3 || link == "up");
                all.then_some(())?;
            }
            Some(())
        })
        .await;
        cluster
    }

    /// Names two of its nodes.
    pub fn url(&self) -> String {
        let (a, b) = (self.nodes[0].port, self.nodes[4].port);
        format!("redis+cluster://{HOLDFAST}127.0.0.1:{a},127.0.0.1:{b}")
    }

    /// Which of `nodes` has an event's slot, as they themselves say.
    pub async fn owner(&self, event_id: &str) -> usize {
        let key = format!("hf:{{{event_id}}}:meta");
        for (i, node) in self.nodes.iter().enumerate() {
            if node.ask::<bool>(&["EXISTS", &key]).await.is_ok() {
                return i;
            }
        }
        panic!("nobody has the slot of {key}");
    }
}

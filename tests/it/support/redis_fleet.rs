//! Redis servers in company: a master with a replica and sentinels, or a
//! Cluster. All listen on 127.0.0.1 and end with the test.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
};

use holdfast::dev::Child;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use redis::{FromRedisValue, InfoDict, aio::MultiplexedConnection, cmd};

use super::eventually;

/// One server, or sentinel.
pub struct RedisServer {
    pub port: u16,
    child: Child,
    /// How tests get in; the user that a server has without any ACL.
    url: String,
}

impl RedisServer {
    /// Starts `redis-server` with these arguments after its port.
    pub async fn start(dir: &Path, port: u16, args: &[&str]) -> Self {
        let url = format!("redis://127.0.0.1:{port}");
        let mut server = Self::launch(dir, port, args, url);
        let (log, listens) = (log_of(dir, port), ("127.0.0.1", port));
        let answers = async || tokio::net::TcpStream::connect(listens).await.is_ok();
        server.child.answers("redis-server", &log, answers).await.unwrap();
        server
    }

    fn launch(dir: &Path, port: u16, args: &[&str], url: String) -> Self {
        let own = dir.join(port.to_string());
        fs::create_dir_all(&own).unwrap();
        let (own, text) = (own.display().to_string(), port.to_string());
        let mut command = vec!["redis-server"];
        // A sentinel's file comes first.
        let (file, rest) =
            args.split_at(usize::from(args.first().is_some_and(|a| a.contains('/'))));
        command.extend(file);
        command.extend(["--port", &text, "--bind", "127.0.0.1", "--dir", &own]);
        command.extend(rest);
        let child = Child::start("TERM", &command, None, &log_of(dir, port)).unwrap();
        Self { port, child, url }
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut asked = cmd(command[0]);
        asked.arg(&command[1..]).query_async(&mut self.connection().await).await
    }

    pub async fn info(&self, section: &str, field: &str) -> String {
        let info: InfoDict = self.ask(&["INFO", section]).await.unwrap();
        info.get(field).unwrap_or_default()
    }

    /// Ends it without a word.
    pub async fn kill(&mut self) {
        let group = i32::try_from(self.child.id()).unwrap();
        killpg(Pid::from_raw(group), Signal::SIGKILL).unwrap();
        self.child.ended().await.unwrap();
    }
}

fn log_of(dir: &Path, port: u16) -> std::path::PathBuf {
    dir.join(format!("{port}.log"))
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

const SERVER: [&str; 8] = [
    "--appendonly",
    "yes",
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
    "--repl-diskless-sync-delay",
    "0",
];

/// A master, its replica, and three sentinels, which need a second to notice
/// that it is gone.
pub struct Watched {
    _dir: tempfile::TempDir,
    /// The master first, as it was at the start.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
}

impl Watched {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master = RedisServer::start(dir.path(), free_port(), &SERVER).await;
        let (port, mut args) = (master.port.to_string(), SERVER.to_vec());
        args.extend(["--replicaof", "127.0.0.1", &port]);
        let replica = RedisServer::start(dir.path(), free_port(), &args).await;
        eventually("the replica follows", async || {
            (replica.info("replication", "master_link_status").await == "up").then_some(())
        })
        .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let port = free_port();
            let file = dir.path().join(format!("sentinel-{port}.conf"));
            let settings = format!(
                "sentinel monitor main 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds main 1000\n\
                 sentinel failover-timeout main 5000\n",
                master.port
            );
            fs::write(&file, settings).unwrap();
            let args = [&*file.display().to_string(), "--sentinel"];
            sentinels.push(RedisServer::start(dir.path(), port, &args).await);
        }
        eventually("the sentinels know each other and the replica", async || {
            for sentinel in &sentinels {
                let fields: Vec<String> =
                    sentinel.ask(&["SENTINEL", "MASTER", "main"]).await.ok()?;
                let field = |name| fields.iter().skip_while(|&f| f != name).nth(1).cloned();
                let known = (field("num-slaves")?, field("num-other-sentinels")?);
                if known != ("1".into(), "2".into()) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        Self { _dir: dir, servers: vec![master, replica], sentinels }
    }

    pub fn url(&self) -> String {
        self.url_as("")
    }

    /// With `user:password@`.
    pub fn url_as(&self, credentials: &str) -> String {
        let hosts: Vec<_> =
            self.sentinels.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis+sentinel://{credentials}{}/main", hosts.join(","))
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
            let mut args = SERVER.to_vec();
            args.extend(["--cluster-enabled", "yes", "--cluster-port", &bus]);
            args.extend(["--cluster-node-timeout", "1500"]);
            nodes.push(RedisServer::start(dir.path(), port, &args).await);
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
        format!("redis+cluster://127.0.0.1:{a},127.0.0.1:{b}")
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

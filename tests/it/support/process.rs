//! Servers in processes of their own, whose metrics count their calls alone.

use std::net::SocketAddr;

use holdfast::proto::catalog_service_client::CatalogServiceClient;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tonic::transport::Channel;

use super::{Stores, eventually, http, redis_fleet::free_port};

/// `holdfast serve`, the binary; it ends with this.
pub struct Process {
    child: Child,
    pub http: SocketAddr,
    pub channel: Channel,
    pub catalog: CatalogServiceClient<Channel>,
}

impl Process {
    pub async fn start(stores: &Stores) -> Self {
        let set = |command: &mut Command| {
            command.args(["--log", "error"]);
        };
        Self::start_with(stores, set).await
    }

    /// With settings of its own.
    pub async fn start_with(stores: &Stores, set: impl FnOnce(&mut Command)) -> Self {
        let [grpc, http] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command
            .args(["serve", "--grpc-addr", &grpc.to_string(), "--http-addr", &http.to_string()])
            .env("HOLDFAST_POSTGRES_URL", &stores.postgres_url)
            .env("HOLDFAST_REDIS_URL", &stores.redis_url)
            .kill_on_drop(true);
        set(&mut command);
        let child = command.spawn().unwrap();
        let channel = eventually("it listens", async || {
            Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.ok()
        })
        .await;
        let catalog =
            CatalogServiceClient::new(channel.clone()).max_decoding_message_size(64 * 1024 * 1024);
        let process = Self { child, http, channel, catalog };
        // Its two doors open one after the other.
        eventually("it listens there, too", async || TcpStream::connect(http).await.ok()).await;
        eventually("it is ready", async || {
            let answer = http::get(process.http, "/readyz").await;
            answer.head.starts_with("HTTP/1.1 200").then_some(())
        })
        .await;
        process
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(mut self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Its page of metrics.
    pub async fn metrics(&self) -> String {
        http::get(self.http, "/metrics").await.text()
    }

    /// What it counts under a metric's name and labels, as the page has them.
    pub async fn metric(&self, name: &str) -> u64 {
        let page = http::get(self.http, "/metrics").await.text();
        let line = page.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{page}"));
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Hits, misses, fills, waits and bypasses of a cache.
    pub async fn cache(&self, cache: &str) -> [u64; 5] {
        let mut counts = [0; 5];
        for (count, what) in counts.iter_mut().zip(["hits", "misses", "fills", "waits", "bypasses"])
        {
            let name = format!("holdfast_cache_{what}_total{{cache=\"{cache}\"}}");
            *count = self.metric(&name).await;
        }
        counts
    }
}

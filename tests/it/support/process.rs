//! Servers in processes of their own, whose metrics count their calls alone.

use std::net::SocketAddr;

use holdfast::proto::catalog_service_client::CatalogServiceClient;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tonic::transport::Channel;

use super::{Stores, eventually, http, redis_fleet::free_port};

/// `holdfast serve`, the binary; it ends with this.
pub struct Process {
    _child: Child,
    http: SocketAddr,
    pub catalog: CatalogServiceClient<Channel>,
}

impl Process {
    pub async fn start(stores: &Stores) -> Self {
        let [grpc, http] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["serve", "--log", "error", "--grpc-addr", &grpc.to_string()])
            .args(["--http-addr", &http.to_string()])
            .env("HOLDFAST_POSTGRES_URL", &stores.postgres_url)
            .env("HOLDFAST_REDIS_URL", &stores.redis_url)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let channel = eventually("it listens", async || {
            Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.ok()
        })
        .await;
        let catalog =
            CatalogServiceClient::new(channel).max_decoding_message_size(64 * 1024 * 1024);
        let process = Self { _child: child, http, catalog };
        // Its two doors open one after the other.
        eventually("it listens there, too", async || TcpStream::connect(http).await.ok()).await;
        eventually("it is ready", async || {
            let answer = http::get(process.http, "/readyz").await;
            answer.head.starts_with("HTTP/1.1 200").then_some(())
        })
        .await;
        process
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

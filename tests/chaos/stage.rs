//! What a round plays on: two servers, their stores, and every link between.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tokio::sync::Mutex;

use crate::{
    options::Topology,
    proxy::{Proxy, Target},
    servers::Server,
    stores::{PostgresStore, RedisStore},
};

pub const SERVERS: usize = 2;

pub struct Stage {
    pub redis: RedisStore,
    pub postgres: PostgresStore,
    /// Whoever breaks one has it to himself meanwhile.
    pub servers: Vec<Mutex<Server>>,
    /// From the clients to each server.
    pub doors: Vec<Proxy>,
    /// Where each server tells how it is, and takes failpoints.
    pub http_ports: Vec<u16>,
    /// Stays where something fails.
    dir: PathBuf,
}

impl Stage {
    pub async fn set_up(topology: Topology) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("holdfast-chaos-").tempdir()?.keep();
        // Postgres' user must get there.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        let (redis, postgres) =
            tokio::try_join!(RedisStore::start(&dir, topology), PostgresStore::start(&dir))?;
        let (mut servers, mut doors, mut http_ports) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..SERVERS {
            let log = dir.join("log").join(format!("server-{index}.log"));
            let mut server = Server::new(&postgres.url(index), &redis.url(index), log)?;
            server.start().await?;
            doors.push(Proxy::start(Target::Port(server.grpc_port)).await?);
            http_ports.push(server.http_port);
            servers.push(server);
        }
        for server in &servers {
            server.ready().await?;
        }
        let servers = servers.into_iter().map(Mutex::new).collect();
        Ok(Self { redis, postgres, servers, doors, http_ports, dir })
    }

    /// Stops all of it; answers where its files are, if they are to be kept.
    pub async fn tear_down(self, keep: bool) -> anyhow::Result<()> {
        for server in &self.servers {
            server.lock().await.stop().await?;
        }
        self.redis.kill().await?;
        self.postgres.stop().await;
        match keep {
            true => println!("its files are kept in {}", self.dir.display()),
            false => fs::remove_dir_all(&self.dir)?,
        }
        Ok(())
    }
}

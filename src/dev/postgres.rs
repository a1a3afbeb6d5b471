//! A private Postgres: durable, on a socket, never as root.

use std::{
    env, fmt, fs, io,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context as _, bail};
use nix::unistd::{Uid, User};
use tokio_postgres::NoTls;

use super::{
    all_may_reach,
    child::{Child, Owner},
    name_elsewhere, socket_dir,
};

/// A Postgres server that ends with this process.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    bin: PathBuf,
    sockets: PathBuf,
    cluster: PathBuf,
    port: u16,
}

const PORT: u16 = 5432;

const NEEDED: &str = "Postgres 14 or later is needed: apt-get install postgresql, or \
                      brew install postgresql@17";

impl Postgres {
    /// Starts a server on what `data_dir` has of it, and waits until it
    /// answers. As root it runs as `postgres`, or `nobody`.
    ///
    /// # Errors
    /// Where there is no Postgres, or it does not start.
    pub async fn start(data_dir: &Path) -> anyhow::Result<Self> {
        Self::start_with(data_dir, PORT, &[]).await
    }

    /// As [`Self::start`], with a port, which its socket is named after, and
    /// options of the server's own.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(data_dir: &Path, port: u16, options: &[&str]) -> anyhow::Result<Self> {
        let bin = find_binaries()?;
        let owner = owner()?;
        let cluster = cluster_dir(data_dir, owner.as_ref())?;
        let log = data_dir.join("log").join("postgres.log");
        if !cluster.join("PG_VERSION").exists() {
            init_cluster(&bin, &cluster, owner.as_ref(), &log).await?;
        }
        Self::start_cluster(data_dir, bin, cluster, port, options).await
    }

    /// Starts a replica of this server, with its data in `data_dir`.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start_replica(&self, data_dir: &Path) -> anyhow::Result<Self> {
        let owner = owner()?;
        let cluster = cluster_dir(data_dir, owner.as_ref())?;
        let log = data_dir.join("log").join("postgres.log");
        let program = self.bin.join("pg_basebackup").display().to_string();
        let from = self.url("postgres");
        let to = cluster.display().to_string();
        let command = [&*program, "-d", &from, "-D", &to, "-R", "-X", "stream", "-c", "fast"];
        let status = Child::start("INT", &command, owner.as_ref(), &log)?.ended().await?;
        if !status.success() {
            bail!("pg_basebackup failed ({status}); see {}", log.display());
        }
        Self::start_cluster(data_dir, self.bin.clone(), cluster, PORT, &[]).await
    }

    async fn start_cluster(
        data_dir: &Path,
        bin: PathBuf,
        cluster: PathBuf,
        port: u16,
        options: &[&str],
    ) -> anyhow::Result<Self> {
        let owner = owner()?;
        let sockets = socket_dir(data_dir)?.join("postgres");
        fs::create_dir_all(&sockets)?;
        if let Some(Owner { uid, gid }) = owner {
            chown(&sockets, Some(uid), Some(gid))?;
        }
        let log = data_dir.join("log").join("postgres.log");
        let postgres = bin.join("postgres").display().to_string();
        let (cluster_text, sockets_text) =
            (cluster.display().to_string(), sockets.display().to_string());
        let mut command = vec![
            postgres.as_str(),
            "-D",
            &cluster_text,
            "-k",
            &sockets_text,
            "-h",
            "",
            "-c",
            "unix_socket_permissions=0700",
            "-c",
            "max_connections=500",
        ];
        let port_text = format!("port={port}");
        command.extend(["-c", &port_text]);
        command.extend(options);
        // SIGINT: it ends the sessions and shuts down cleanly.
        let child = Child::start("INT", &command, owner.as_ref(), &log)?;
        let mut server = Self { child, bin, sockets, cluster, port };
        let url = server.url("postgres");
        let answers = async || tokio_postgres::connect(&url, NoTls).await.is_ok();
        server.child.answers("postgres", &log, answers).await?;
        Ok(server)
    }

    /// Where the programs are that [`Self::start`] would take.
    ///
    /// # Errors
    /// Where there is no Postgres.
    pub fn binaries() -> anyhow::Result<PathBuf> {
        find_binaries()
    }

    /// Where its programs are.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// How to reach one of its databases.
    pub fn url(&self, database: &str) -> String {
        let host = self.sockets.display().to_string().replace('/', "%2F");
        format!("postgresql://holdfast@{host}:{}/{database}", self.port)
    }

    /// Makes a database, where it is not there.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<()> {
        let there = self.execute(&format!("CREATE DATABASE {name}")).await;
        match there {
            Err(error) if is_duplicate(&error) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Runs a statement of an administrator's.
    ///
    /// # Errors
    /// Those of Postgres.
    pub async fn execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), NoTls).await?;
        let connection = tokio::spawn(connection);
        let result = client.batch_execute(sql).await;
        drop(client);
        let _ = connection.await;
        result
    }

    /// The process id of its guard, which ends with it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.ended().await
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        self.child.stop().await;
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sockets {}, cluster {}", self.sockets.display(), self.cluster.display())
    }
}

fn is_duplicate(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::DUPLICATE_DATABASE)
}

/// The directory of `postgres` and `initdb`: on the path, or where Debian and
/// Homebrew put them; the newest where there are several.
fn find_binaries() -> anyhow::Result<PathBuf> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = env::split_paths(&on_path).collect();
    let mut installed = Vec::new();
    for (root, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ] {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix(prefix).and_then(|v| v.parse::<u32>().ok());
            installed.extend(version.map(|version| (version, entry.path().join("bin"))));
        }
    }
    installed.sort_by(|a, b| b.cmp(a));
    let installed = installed.into_iter().map(|(_, bin)| bin);
    on_path
        .into_iter()
        .chain(installed)
        .filter(|bin| bin.join("initdb").exists())
        // Where a link leads elsewhere, the other programs are there.
        .find_map(|bin| bin.join("postgres").canonicalize().ok()?.parent().map(Path::to_owned))
        .context(NEEDED)
}

/// Whom the server runs as; `None` for ourselves.
fn owner() -> anyhow::Result<Option<Owner>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
        }
    }
    bail!("Postgres does not run as root, and there is no user postgres or nobody")
}

/// Where the cluster lies: in the data directory, unless its owner cannot get
/// there, as below `/root`; then a link leads from there to where it lies.
fn cluster_dir(data_dir: &Path, owner: Option<&Owner>) -> anyhow::Result<PathBuf> {
    let inside = data_dir.join("postgres");
    let Some(Owner { uid, gid }) = owner else {
        make_private(&inside, None)?;
        return Ok(inside);
    };
    if let Ok(elsewhere) = fs::read_link(&inside) {
        return Ok(elsewhere);
    }
    if all_may_reach(&inside) {
        make_private(&inside, Some((*uid, *gid)))?;
        return Ok(inside);
    }
    let elsewhere = Path::new("/var/lib/holdfast").join(name_elsewhere(data_dir));
    make_private(&elsewhere, Some((*uid, *gid)))?;
    symlink(&elsewhere, &inside)?;
    Ok(elsewhere)
}

fn make_private(dir: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if let Some((uid, gid)) = owner {
        chown(dir, Some(uid), Some(gid))?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

async fn init_cluster(
    bin: &Path,
    cluster: &Path,
    owner: Option<&Owner>,
    log: &Path,
) -> anyhow::Result<()> {
    let initdb = bin.join("initdb").display().to_string();
    let cluster = cluster.display().to_string();
    let command =
        [&initdb, "-D", &cluster, "-U", "holdfast", "-A", "trust", "-E", "UTF8", "--locale=C"];
    let mut init = Child::start("INT", &command, owner, log)?;
    let status = init.ended().await?;
    match status.success() {
        true => Ok(()),
        false => bail!("initdb failed ({status}); see {}", log.display()),
    }
}

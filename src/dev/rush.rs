//! A sale to watch: `holdfast load sale` as a child, until the demo's house is full.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::Context as _;

use super::Child;
use crate::{domain::EventId, http, limits::DEV_RUSH_SECONDS};

/// One sale at a time.
#[derive(Debug)]
pub struct Rush {
    /// The server that is asked; not before it listens.
    pub grpc_addr: OnceLock<SocketAddr>,
    /// What the child says.
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Rush {
    pub fn new(data_dir: &Path) -> Self {
        let log = data_dir.join("log").join("rush.log");
        Self { grpc_addr: OnceLock::new(), log, child: Mutex::new(None) }
    }

    /// Ends the sale that is under way, and waits for its end.
    pub async fn stop(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            child.stop().await;
        }
    }
}

impl http::Rush for Rush {
    fn begin(&self, event_id: &EventId) -> anyhow::Result<bool> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if child.as_mut().is_some_and(Child::is_running) {
            return Ok(false);
        }
        let program = env::current_exe()?;
        let program = program.to_str().context("this program's path is no text")?;
        let server = self.grpc_addr.get().context("the server does not listen yet")?;
        let (server, seconds) = (format!("http://{server}"), DEV_RUSH_SECONDS.to_string());
        // What is told is of this sale.
        match fs::remove_file(&self.log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let sale = ["load", "sale", "--sell-out", "--event", event_id.as_str()];
        let how = ["--seconds", &seconds, "--seats", "4", "--server", &server];
        let command = [&[program], &sale[..], &how].concat();
        *child = Some(Child::start("TERM", &command, None, &self.log)?);
        Ok(true)
    }

    fn told(&self) -> (bool, Option<String>) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(child) = child.as_mut() else { return (false, None) };
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        let words = last.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        (child.is_running(), words)
    }

    fn end(&self) {
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            child.end();
        }
    }
}

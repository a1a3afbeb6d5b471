//! A server under test: a child that ends with this process, and what the kernel
//! says about it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use holdfast::dev::Child;
use tokio::time::{Instant, sleep};

const START: Duration = Duration::from_secs(10);

/// A child that runs.
#[derive(Debug)]
pub struct Process {
    pub name: String,
    /// Its own process id, not that of the guard which ends it with us.
    pub pid: u32,
    child: Child,
}

impl Process {
    pub async fn start(name: &str, command: &[&str], log: &Path) -> anyhow::Result<Self> {
        let child = Child::start("TERM", command, None, log)?;
        let deadline = Instant::now() + START;
        let pid = loop {
            // The guard's other child is a shell, too, and so is this one until it
            // has become what it shall be.
            let found = processes().find(|stat| stat.parent == child.id() && stat.name != "sh");
            match found {
                Some(stat) => break stat.pid,
                None if Instant::now() > deadline => {
                    bail!("{name} ended at once; see {}", log.display())
                }
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        Ok(Self { name: name.to_owned(), pid, child })
    }

    /// Fails where it has ended.
    pub fn is_alive(&self) -> anyhow::Result<()> {
        let stat = Stat::of(self.pid).with_context(|| format!("{} ended", self.name))?;
        ensure!(stat.parent == self.child.id() && stat.state != "Z", "{} ended", self.name);
        Ok(())
    }

    /// CPU time until now, of all its threads.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = Stat::of(self.pid).with_context(|| format!("{} ended", self.name))?;
        Ok(stat.cpu)
    }

    /// Bytes of memory that are in use now.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.pid);
        let text = fs::read_to_string(&path).context(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()).context("no Rss")?;
        Ok(kib.parse::<u64>()? * 1_024)
    }

    pub async fn stop(mut self) {
        self.child.stop().await;
    }
}

/// Whether a process is there, and not only its end that nobody has asked for.
pub fn runs(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state != "Z")
}

/// CPU time until now of all that came of a process and still runs, and of itself.
pub fn cpu_of_all(pid: u32) -> Duration {
    let all: Vec<Stat> = processes().collect();
    let mut of_all = vec![pid];
    let mut next = 0;
    while let Some(&parent) = of_all.get(next) {
        of_all.extend(all.iter().filter(|stat| stat.parent == parent).map(|stat| stat.pid));
        next += 1;
    }
    all.iter().filter(|stat| of_all.contains(&stat.pid)).map(|stat| stat.cpu).sum()
}

/// What `/proc/<pid>/stat` says.
struct Stat {
    pid: u32,
    name: String,
    state: String,
    parent: u32,
    cpu: Duration,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        /// The kernel tells CPU time in these, on every machine of today.
        const TICK: Duration = Duration::from_millis(10);
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets, and may have any characters.
        let (before, after) = text.rsplit_once(')')?;
        let name = before.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = after.split_whitespace().collect();
        // Its own, as a user and as the system, and that of children that have ended.
        let ticks: Option<Vec<u32>> = fields.get(11..15)?.iter().map(|n| n.parse().ok()).collect();
        let (state, parent) = (fields.first()?.to_string(), fields.get(1)?.parse().ok()?);
        Some(Self { pid, name, state, parent, cpu: TICK * ticks?.iter().sum::<u32>() })
    }
}

fn processes() -> impl Iterator<Item = Stat> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Stat::of(pid)
    })
}

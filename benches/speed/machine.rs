//! Which machine this is.

use std::{fs, process::Command};

use holdfast::dev::Postgres;

/// What the figures depend on.
#[derive(Debug)]
pub struct Machine {
    lines: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks at the machine, and at the programs that take part.
    pub fn look() -> anyhow::Result<Self> {
        let postgres = Postgres::binaries()?.join("postgres").display().to_string();
        let lines = vec![
            ("CPU", field("/proc/cpuinfo", "model name")),
            ("cores", cores().to_string()),
            ("memory", field("/proc/meminfo", "MemTotal")),
            ("kernel", read("/proc/sys/kernel/osrelease")),
            ("load average at the start", read("/proc/loadavg")),
            ("Redis", said("redis-server", "--version")),
            ("Postgres", said(&postgres, "--version")),
            ("rustc", said("rustc", "--version")),
            ("Python", said("python3", "--version")),
            ("commit", commit()),
        ];
        Ok(Self { lines })
    }

    pub fn markdown(&self) -> String {
        let line = |(name, value): &(&str, String)| format!("- {name}: {value}\n");
        self.lines.iter().map(line).collect::<Vec<_>>().concat()
    }
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map_or("unknown".into(), |(_, value)| value.trim().to_owned())
}

fn said(program: &str, option: &str) -> String {
    let output = Command::new(program).arg(option).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_else(|_| "not there".into())
}

/// Of this source; with a mark where it was changed since.
fn commit() -> String {
    let dir = env!("CARGO_MANIFEST_DIR");
    let output = Command::new("git")
        .args(["-C", dir, "describe", "--always", "--dirty", "--exclude", "*"])
        .output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.ok().filter(|said| !said.is_empty()).unwrap_or_else(|| "unknown".into())
}

//! The parts of the documentation that runs write anew, each between marks of its
//! own.

use std::{fs, path::Path};

use anyhow::Context as _;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    machine::Machine,
    results::Results,
    scale::{Series, draw},
};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");

/// Puts what was compared in place of the last run's.
pub fn write_compared(machine: &Machine, results: &Results) -> anyhow::Result<()> {
    let head = head(machine, "make bench")?;
    write("BENCHMARKS.md", "make bench", &format!("{head}{}", results.markdown()))
}

/// The same with what work costs as there is more of it, and draws it.
pub fn write_scale(machine: &Machine, series: &[Series]) -> anyhow::Result<()> {
    let pictures = Path::new(DOCS).join("scale");
    fs::create_dir_all(&pictures)?;
    let mut text = head(machine, "make bench-scale")?;
    for series in series {
        draw(series, &pictures.join(format!("{}.svg", series.name)))?;
        text.push_str(&series.markdown());
    }
    write("BENCHMARKS.md", "make bench-scale", text.trim_end())
}

/// The same with what nodes are planned by.
pub fn write_capacity(machine: &Machine, capacity: &str) -> anyhow::Result<()> {
    let head = head(machine, "make bench-scale")?;
    write("CAPACITY.md", "make bench-scale", &format!("{head}{capacity}"))
}

fn head(machine: &Machine, command: &str) -> anyhow::Result<String> {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?;
    Ok(format!("Measured {now} by `{command}`.\n\n{}\n", machine.markdown()))
}

/// Writes between the marks of a command.
pub fn write(file: &str, command: &str, written: &str) -> anyhow::Result<()> {
    let path = format!("{DOCS}/{file}");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let begins = format!("<!-- {command} writes from here -->\n");
    let ends = format!("<!-- {command} writes to here -->\n");
    let (before, rest) = text.split_once(&begins).context("no mark where to begin")?;
    let (_, after) = rest.split_once(&ends).context("no mark where to end")?;
    fs::write(&path, format!("{before}{begins}\n{written}\n{ends}{after}"))?;
    println!("written to {path}\n");
    Ok(())
}

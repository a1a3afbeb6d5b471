//! `docs/BENCHMARKS.md`: the part of it that each whole run writes anew.

use std::fs;

use anyhow::Context as _;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{machine::Machine, results::Results};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/BENCHMARKS.md");
const BEGINS: &str = "<!-- make bench writes from here -->\n";
const ENDS: &str = "<!-- make bench writes to here -->\n";

/// Puts the run's results in place of the last ones.
pub fn write(machine: &Machine, results: &Results) -> anyhow::Result<()> {
    let text = fs::read_to_string(PATH).context(PATH)?;
    let (before, rest) = text.split_once(BEGINS).context("no mark where to begin")?;
    let (_, after) = rest.split_once(ENDS).context("no mark where to end")?;
    let now = OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?;
    let (machine, tables) = (machine.markdown(), results.markdown());
    let written = format!("Measured {now} by `make bench`.\n\n{machine}\n{tables}");
    fs::write(PATH, format!("{before}{BEGINS}\n{written}\n{ENDS}{after}"))?;
    println!("written to {PATH}\n");
    Ok(())
}

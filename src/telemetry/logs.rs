//! How logs are written.

use std::{fmt, io::IsTerminal};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    registry::LookupSpan,
};

use super::here;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error; `filter` as `RUST_LOG` has it.
///
/// # Errors
/// Where the filter cannot be read.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call, by another test of the same process, changes nothing.
    let _ = match format {
        LogFormat::Text => {
            logs.map_event_format(|format| Traced { format, is_json: false }).try_init()
        }
        LogFormat::Json => {
            let logs = logs.json();
            logs.map_event_format(|format| Traced { format, is_json: true }).try_init()
        }
    };
    Ok(())
}

/// A format whose lines tell the trace that they are of.
struct Traced<F> {
    format: F,
    is_json: bool,
}

impl<F> Traced<F> {
    /// Below info other crates quote what they are given: a statement's parameters have
    /// buyers' names and addresses, headers have tokens. That is never written, whatever
    /// the filter says.
    fn writes(event: &Event<'_>) -> bool {
        let (meta, own) = (event.metadata(), env!("CARGO_CRATE_NAME"));
        let is_own = meta.target().split("::").next() == Some(own);
        is_own || *meta.level() <= Level::INFO
    }
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !Self::writes(event) {
            return Ok(());
        }
        let trace_id = here::trace().trace_id;
        if trace_id == 0 {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match line.strip_suffix('}').filter(|_| self.is_json) {
            Some(object) => writeln!(writer, "{object},\"trace_id\":\"{trace_id:032x}\"}}"),
            None => writeln!(writer, "{line} trace_id={trace_id:032x}"),
        }
    }
}

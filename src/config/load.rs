//! The flags of `holdfast load`.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::Client;
use crate::{
    domain::EventId,
    limits::{
        MAX_LOAD_CONNECTIONS, MAX_LOAD_EVENTS, MAX_LOAD_IN_FLIGHT, MAX_LOAD_SUBSCRIBERS,
        MAX_UNITS_PER_HOLD,
    },
};

/// What to load a server with, and what to tell of it.
#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    #[command(subcommand)]
    pub scenario: Scenario,
    #[command(flatten)]
    pub common: LoadCommon,
}

/// What all scenarios share.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For all scenarios")]
pub struct LoadCommon {
    /// A server to load; may be given again, then connections are spread.
    #[arg(
        long = "server",
        value_name = "URL",
        global = true,
        default_value = "http://127.0.0.1:50051"
    )]
    pub servers: Vec<String>,
    /// HTTP/2 connections in all. One alone carries about a third of what a server
    /// can do.
    #[arg(long, global = true, default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=MAX_LOAD_CONNECTIONS))]
    pub connections: u32,
    /// Verify afterwards, by the contract alone, that no seat was held or sold twice
    /// and that every answer is still true; exit 1 and a line for each that is not.
    #[arg(long, global = true)]
    pub check: bool,
    /// Leave holds and events as they are at the end.
    #[arg(long, global = true)]
    pub keep: bool,
    /// Draw latency over time and by percentile: an SVG picture.
    #[arg(long, value_name = "FILE", global = true)]
    pub plot: Option<PathBuf>,
    /// One JSON object as the last line instead of a table.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    pub client: Client,
    /// Call again as this service config says, such as deploy/service-config.json: by the
    /// same ids, at the next connection whose server serves, within its timeout, when the
    /// server wants it, and not where too many fail. Streams are not called again.
    #[arg(long, value_name = "FILE", global = true)]
    pub retry: Option<PathBuf>,
}

/// What to do to the server.
#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// Hold seats, each once. Where all are held, the oldest hold is released for the
    /// next one, beside the clock.
    Hold(HoldLoad),
    /// Sell: holds first, beside the clock, then their Confirms.
    Confirm(ConfirmLoad),
    /// An on-sale as it is: of 33 people 20 watch, 10 hold and give back, and 3 hold
    /// and buy; half of them come when it opens, and who is refused tries other seats.
    Sale(SaleLoad),
    /// Watch: many streams, while seats are held and released at a steady rate.
    Stream(StreamLoad),
    /// Wait: many join the queue before one sale and stream where they are; then it opens,
    /// and lets them in. Checks that nobody passes by.
    Queue(QueueLoad),
}

/// Which events are loaded.
#[derive(Debug, Clone, Args)]
pub struct Houses {
    /// An event that is there; what is sold in it stays sold.
    #[arg(long, value_name = "ID", conflicts_with_all = ["events", "house", "journaled"])]
    pub event: Option<EventId>,
    /// So many events of its own, closed at the end; 1 is one hot event.
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=MAX_LOAD_EVENTS))]
    pub events: Option<u32>,
    /// Seats of each event of its own; as many as the calls need where not given.
    #[arg(long, value_name = "SEATS")]
    pub house: Option<NonZeroU32>,
    /// Its own events' holds are JOURNALED.
    #[arg(long)]
    pub journaled: bool,
}

/// `load hold`
#[derive(Debug, Clone, Args)]
pub struct HoldLoad {
    #[command(flatten)]
    pub houses: Houses,
    /// Seats of each hold.
    #[arg(long, default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_UNITS_PER_HOLD)))]
    pub seats: u32,
    /// The server finds the seats: the best that are free, together.
    #[arg(long)]
    pub best: bool,
    /// Calls under way at a time; with --rate, at most.
    #[arg(long, default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=MAX_LOAD_IN_FLIGHT))]
    pub in_flight: u32,
    /// End after so many calls.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub calls: Option<u64>,
    /// End after so many seconds; 10 where neither calls nor seconds are given.
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Begin so many calls a second, on schedule whatever the answers take; a call's
    /// time counts from when it should have begun.
    #[arg(long, value_name = "CALLS_A_SECOND")]
    pub rate: Option<NonZeroU32>,
    /// How long a hold lasts, in milliseconds; the event's hold_ttl where not given.
    #[arg(long, value_name = "MS")]
    pub ttl_ms: Option<NonZeroU32>,
}

/// `load confirm`
#[derive(Debug, Clone, Args)]
pub struct ConfirmLoad {
    #[command(flatten)]
    pub houses: Houses,
    /// Seats of each hold, tickets of each order.
    #[arg(long, default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_UNITS_PER_HOLD)))]
    pub seats: u32,
    /// Confirms under way at a time.
    #[arg(long, default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=MAX_LOAD_IN_FLIGHT))]
    pub in_flight: u32,
    /// Holds that are made, and sold.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub calls: u64,
    /// End after so many seconds, though holds be left.
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// That part of the Confirms is on one hot event, the rest spread over the others:
    /// 50 in all, or what --events says. All are spread evenly where not given.
    #[arg(long, value_name = "PERCENT", conflicts_with = "event",
          value_parser = clap::value_parser!(u8).range(0..=100))]
    pub hot: Option<u8>,
}

/// `load sale`
#[derive(Debug, Clone, Args)]
pub struct SaleLoad {
    #[command(flatten)]
    pub houses: Houses,
    /// Who comes, in all.
    #[arg(long, default_value_t = 330,
          value_parser = clap::value_parser!(u32).range(1..=MAX_LOAD_SUBSCRIBERS))]
    pub people: u32,
    /// Seats side by side that each wants.
    #[arg(long, default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_UNITS_PER_HOLD)))]
    pub seats: u32,
    /// The time in which they come.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// So many come as it takes to sell all that is free, in groups of up to --seats: of
    /// five one gives back, the others buy; where no such group is free any more, they take
    /// smaller ones.
    #[arg(long, conflicts_with = "people")]
    pub sell_out: bool,
}

/// `load stream`
#[derive(Debug, Clone, Args)]
pub struct StreamLoad {
    #[command(flatten)]
    pub houses: Houses,
    /// Streams, spread over the --connections and events.
    #[arg(long, default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=MAX_LOAD_SUBSCRIBERS))]
    pub subscribers: u32,
    /// That part of them stops reading after the first picture.
    #[arg(long, value_name = "PERCENT", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    pub stalled: u8,
    /// Each of them names a viewer, who counts as present.
    #[arg(long)]
    pub viewers: bool,
    /// Seats that are held or released a second, in all events together.
    #[arg(long, value_name = "CHANGES_A_SECOND", default_value = "100")]
    pub changes: NonZeroU32,
    /// How long seats change.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
}

/// `load queue`
#[derive(Debug, Clone, Args)]
pub struct QueueLoad {
    #[command(flatten)]
    pub houses: Houses,
    /// Who waits, spread over the --connections.
    #[arg(long, default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=MAX_LOAD_SUBSCRIBERS))]
    pub people: u32,
    /// How many are let in a minute.
    #[arg(long, value_name = "N", default_value_t = 60_000,
          value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub per_minute: u32,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(span) if !span.is_zero() && span <= crate::limits::MAX_LOAD_TIME => Ok(span),
        _ => Err("more than 0 and at most a day".to_owned()),
    }
}

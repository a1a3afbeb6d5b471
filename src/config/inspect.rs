//! The flags of the commands by which an operator looks, and sends a server away.

use clap::Args;

use crate::{
    config::Client,
    domain::{EventId, SeatId},
    limits::DEFAULT_DRAIN_WAIT_SECONDS,
};

/// How it is told.
#[derive(Debug, Clone, Args)]
pub struct Told {
    /// One JSON object a line instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `holdfast holds`
#[derive(Debug, Clone, Args)]
pub struct HoldsOptions {
    /// The event.
    #[arg(value_name = "EVENT")]
    pub event_id: EventId,
    #[command(flatten)]
    pub told: Told,
}

/// `holdfast why`
#[derive(Debug, Clone, Args)]
pub struct WhyOptions {
    /// The event.
    #[arg(value_name = "EVENT")]
    pub event_id: EventId,
    /// One of its seats.
    #[arg(value_name = "SEAT")]
    pub seat_id: SeatId,
    #[command(flatten)]
    pub told: Told,
}

/// `holdfast drain`
#[derive(Debug, Clone, Args)]
pub struct DrainOptions {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    pub server: String,
    /// Wait until nothing is under way there.
    #[arg(long)]
    pub wait: bool,
    /// At most so long, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_DRAIN_WAIT_SECONDS,
          value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub timeout: u32,
    #[command(flatten)]
    pub client: Client,
}

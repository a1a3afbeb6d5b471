//! What to measure, and how much of it.

use clap::{Parser, ValueEnum};

/// Hold, Confirm and the stream beside what their stores, a bare gRPC server and
/// an ordinary implementation do, all in one run.
#[derive(Debug, Parser)]
pub struct Options {
    /// Only these paths, such as `hold,confirm`; all where none is named.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<Path>,
    /// Rounds; in each, every contender has its turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Tiny numbers, to see that everything runs; the figures mean nothing.
    #[arg(long)]
    pub quick: bool,
    /// Serve as the bare gRPC server, on this address: how the benchmark starts
    /// itself as a contender.
    #[arg(long, hide = true)]
    pub bare: Option<std::net::SocketAddr>,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured together, on stores of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Path {
    Hold,
    Coalescing,
    Latency,
    Idle,
    Fairness,
    Confirm,
    Stream,
    Siblings,
    Sweep,
    Peer,
    /// The five below: what work costs as there is more of it.
    Scale,
    Seats,
    Events,
    Holders,
    Subscribers,
    OpenHolds,
    /// What nodes are planned by.
    Capacity,
}

impl Path {
    /// Whether a run that names no path has it.
    fn is_compared(self) -> bool {
        !Self::SCALE.contains(&self) && !matches!(self, Self::Scale | Self::Capacity)
    }

    const SCALE: [Self; 5] =
        [Self::Seats, Self::Events, Self::Holders, Self::Subscribers, Self::OpenHolds];
}

impl Options {
    pub fn paths(&self) -> Vec<Path> {
        let all = Path::value_variants().iter().copied();
        match self.only.is_empty() {
            true => all.filter(|path| path.is_compared()).collect(),
            false => {
                let each = |path: &Path| match path {
                    Path::Scale => Path::SCALE.to_vec(),
                    path => vec![*path],
                };
                self.only.iter().flat_map(each).collect()
            }
        }
    }

    /// Whether the figures are worth writing down: all of them, in full.
    pub fn is_whole(&self) -> bool {
        self.only.is_empty() && !self.quick && self.rounds >= 5
    }

    /// Whether that holds of what work costs as there is more of it.
    pub fn is_all_of_scale(&self) -> bool {
        self.only.contains(&Path::Scale) && !self.quick
    }

    pub fn scale(&self) -> Scale {
        match self.quick {
            true => Scale::quick(),
            false => Scale::full(),
        }
    }
}

/// How much work one contender has in one round.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Holds of one seat each, with 512 in flight.
    pub holds: usize,
    /// The same with 64 in flight.
    pub holds_of_few: usize,
    /// Sales of one seat each: a multiple of 64 and of 20.
    pub confirms: usize,
    /// Seconds of calls at a fixed rate.
    pub paced_s: u64,
    /// Subscribers of one stream, and their connections.
    pub subscribers: usize,
    pub connections: usize,
    /// Subscribers of which one in ten stalls, and their connections.
    pub siblings: usize,
    pub sibling_connections: usize,
    /// Seconds for which they are watched.
    pub sibling_s: u64,
    /// Seconds for which a stream is watched.
    pub watch_s: u64,
    /// Holds that run out within one second.
    pub due: usize,
    /// Requests to the Python service.
    pub peer_calls: usize,
}

impl Scale {
    fn full() -> Self {
        Self {
            holds: 20_000,
            holds_of_few: 10_000,
            confirms: 8_320,
            paced_s: 2,
            subscribers: 10_000,
            connections: 100,
            siblings: 1_000,
            sibling_connections: 10,
            sibling_s: 60,
            watch_s: 6,
            due: 100_000,
            peer_calls: 4_160,
        }
    }

    fn quick() -> Self {
        Self {
            holds: 1_000,
            holds_of_few: 500,
            confirms: 320,
            paced_s: 1,
            subscribers: 200,
            connections: 4,
            siblings: 100,
            sibling_connections: 2,
            sibling_s: 6,
            watch_s: 2,
            due: 2_000,
            peer_calls: 320,
        }
    }
}

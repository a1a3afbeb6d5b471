//! The workload: many clients fight for few seats at two servers, and readers
//! watch them.

mod answer;
mod call;
mod client;
mod deck;
mod reader;
mod shows;

pub use call::Caller;
pub use shows::{Show, create};

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use rand::{SeedableRng, rngs::StdRng};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::recorder::Recorder;

/// Readers of the events that are on sale now, beside one of each event that
/// reads to the end.
const FICKLE_READERS: u32 = 5;

/// What all who call share.
pub struct Floor {
    pub recorder: Recorder,
    /// Ports of the doors to each server.
    pub doors: Vec<u16>,
    /// While set, clients hang up within 20 ms now and then.
    pub cancels: AtomicBool,
    pub cancelled: AtomicU32,
    pub tally: Tally,
    /// The events on sale now.
    on_sale: watch::Sender<Arc<Vec<Arc<Show>>>>,
    /// All events there were.
    shows: Mutex<Vec<Arc<Show>>>,
    /// New calls are not begun any more.
    closing: CancellationToken,
    /// Readers stop, too.
    closed: CancellationToken,
}

/// How many calls there were.
#[derive(Default)]
pub struct Tally {
    pub operations: AtomicU64,
    pub confirmed: AtomicU64,
    pub unknown: AtomicU64,
    pub unavailable: AtomicU64,
}

/// Everybody who is at work.
pub struct Workload {
    pub floor: Arc<Floor>,
    clients: JoinSet<()>,
    readers: JoinSet<()>,
}

impl Floor {
    pub fn new(recorder: Recorder, doors: Vec<u16>) -> Arc<Self> {
        Arc::new(Self {
            recorder,
            doors,
            cancels: AtomicBool::default(),
            cancelled: AtomicU32::default(),
            tally: Tally::default(),
            on_sale: watch::Sender::default(),
            shows: Mutex::default(),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        })
    }

    /// Every event so far.
    pub fn shows(&self) -> Vec<Arc<Show>> {
        self.shows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is on sale, whenever that changes.
    pub fn seasons(&self) -> watch::Receiver<Arc<Vec<Arc<Show>>>> {
        self.on_sale.subscribe()
    }

    /// What is on sale now.
    pub fn on_sale(&self) -> Arc<Vec<Arc<Show>>> {
        self.on_sale.borrow().clone()
    }
}

impl Workload {
    /// Begins: the first events are on sale, and everybody is at work.
    pub async fn begin(
        recorder: Recorder,
        doors: Vec<u16>,
        seed: u64,
        clients: u32,
    ) -> anyhow::Result<Self> {
        let floor = Floor::new(recorder, doors);
        let mut readers = JoinSet::new();
        let mut dealer = shows::Dealer::new(floor.clone(), rng(seed, 0));
        dealer.next_season().await?;
        readers.spawn(reader::faithful_ones(floor.clone(), seed));
        let mut tasks = JoinSet::new();
        for number in 1..=clients {
            let client = client::Client::new(floor.clone(), number, rng(seed, number.into()));
            tasks.spawn(client.run());
        }
        for number in 1..=FICKLE_READERS {
            let random = rng(seed, (1 << 32) + u64::from(number));
            readers.spawn(reader::fickle(floor.clone(), number, random));
        }
        tasks.spawn(dealer.run());
        Ok(Self { floor, clients: tasks, readers })
    }

    /// Lets every client end what it is at; readers go on.
    pub async fn close(&mut self) {
        self.floor.closing.cancel();
        while self.clients.join_next().await.is_some() {}
    }

    /// Ends the readers, too.
    pub async fn end(mut self) -> Arc<Floor> {
        self.floor.closed.cancel();
        while self.readers.join_next().await.is_some() {}
        self.floor
    }
}

impl Tally {
    pub fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The random numbers of one part of a run.
pub fn rng(seed: u64, part: u64) -> StdRng {
    StdRng::seed_from_u64(seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

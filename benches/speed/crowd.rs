//! Many subscribers of one event on a few connections, who cost as little as can
//! be.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use h2::RecvStream;
use holdfast::proto::StreamSeatUpdatesRequest;
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::sleep,
};

use super::{
    changes::Made,
    updates::{Said, read},
    wire::{STREAM, Wire, frame},
};

/// Subscribers who wait for their first picture at a time.
const AT_THE_DOOR: usize = 200;
/// How long all of them may take to get it.
const PATIENCE: Duration = Duration::from_secs(90);
/// A change that comes later than this is late.
const IN_TIME: Duration = Duration::from_secs(1);

/// What a crowd of subscribers has heard.
#[derive(Debug)]
pub struct Tally {
    made: Arc<Made>,
    /// Those who have the whole house.
    ready: AtomicUsize,
    counts: AtomicBool,
    /// When it began to count.
    begun: OnceLock<Instant>,
    pub messages: AtomicU64,
    pub changes: AtomicU64,
    pub changes_in_time: AtomicU64,
    /// Messages by how long before their arrival their newest change was made, in
    /// steps of [`STEP`]; the last place has all that took longer.
    delays: Vec<AtomicU64>,
}

const STEP: Duration = Duration::from_micros(100);
const STEPS: usize = 100_000;

impl Tally {
    fn new(made: Arc<Made>) -> Arc<Self> {
        Arc::new(Self {
            made,
            ready: AtomicUsize::new(0),
            counts: AtomicBool::new(false),
            begun: OnceLock::new(),
            messages: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            changes_in_time: AtomicU64::new(0),
            delays: (0..STEPS).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    fn take_updates(&self, seats: impl Iterator<Item = usize>) {
        if !self.counts.load(Relaxed) {
            return;
        }
        let (mut changes, mut in_time, mut newest) = (0, 0, None);
        for ago in seats.filter_map(|seat| self.made.ago(seat)) {
            changes += 1;
            in_time += u64::from(ago <= IN_TIME);
            newest = Some(ago);
        }
        self.messages.fetch_add(1, Relaxed);
        self.changes.fetch_add(changes, Relaxed);
        self.changes_in_time.fetch_add(in_time, Relaxed);
        if let Some(ago) = newest {
            let step = usize::try_from(ago.as_micros() / STEP.as_micros()).unwrap_or(STEPS);
            self.delays[step.min(STEPS - 1)].fetch_add(1, Relaxed);
        }
    }

    /// Counts from now on, or no more.
    pub fn count(&self, on: bool) {
        self.begun.get_or_init(Instant::now);
        self.counts.store(on, Relaxed);
    }

    fn has_begun_before(&self, span: Duration) -> bool {
        self.begun.get().is_some_and(|begun| begun.elapsed() >= span)
    }

    /// The delay within which this share of the messages came, in ms.
    pub fn delay(&self, share: f64) -> anyhow::Result<f64> {
        let counts: Vec<u64> = self.delays.iter().map(|count| count.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        ensure!(all > 0, "no message came");
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of messages"
        )]
        let wanted = (share * all as f64) as u64;
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen > wanted
        };
        let step = counts.iter().position(reached).unwrap_or(STEPS - 1);
        Ok((STEP * u32::try_from(step + 1)?).as_secs_f64() * 1_000.0)
    }
}

/// How its members behave.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub subscribers: usize,
    pub connections: usize,
    pub stalls: Option<Stalls>,
    /// Who loses the stream takes it up again where it was.
    pub comes_back: bool,
    /// Bytes of each connection's window.
    pub window: u32,
}

/// One in so many of each connection stops reading, all of them at one moment; the
/// connections' moments are spread evenly over this time since the crowd counts.
#[derive(Debug, Clone, Copy)]
pub struct Stalls {
    pub one_in: usize,
    pub within: Duration,
}

/// Subscribers who listen until the crowd is dropped.
pub struct Crowd {
    pub tally: Arc<Tally>,
    members: JoinSet<anyhow::Result<()>>,
    pub healthy: usize,
}

impl Crowd {
    /// Comes back once all have the whole house.
    #[expect(clippy::cast_precision_loss, reason = "numbers of connections")]
    pub async fn gather(
        addr: &str,
        event_id: &str,
        manner: Manner,
        made: Arc<Made>,
    ) -> anyhow::Result<Self> {
        let tally = Tally::new(made);
        let door = Arc::new(Semaphore::new(AT_THE_DOOR));
        let mut lines = Vec::new();
        for _ in 0..manner.connections {
            lines.push(Arc::new(Line::connect(addr, manner.window).await?));
        }
        let (mut members, mut healthy) = (JoinSet::new(), 0);
        for i in 0..manner.subscribers {
            let (line, place) = (i % manner.connections, i / manner.connections);
            let stalls = manner.stalls.filter(|stalls| place.is_multiple_of(stalls.one_in));
            let share = (line as f64 + 0.5) / manner.connections as f64;
            healthy += usize::from(stalls.is_none());
            let member = Member {
                line: lines[line].clone(),
                event_id: event_id.to_owned(),
                token: String::new(),
                is_ready: false,
                stalls_after: stalls.map(|stalls| stalls.within.mul_f64(share)),
                tally: tally.clone(),
            };
            members.spawn(member.listen(door.clone(), manner.comes_back));
        }
        let mut crowd = Self { tally, members, healthy };
        let deadline = Instant::now() + PATIENCE;
        while crowd.tally.ready.load(Relaxed) < manner.subscribers {
            crowd.is_whole()?;
            ensure!(Instant::now() < deadline, "not all subscribers get a first picture");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(crowd)
    }

    /// Fails where a member has left.
    pub fn is_whole(&mut self) -> anyhow::Result<()> {
        match self.members.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?.and_then(|()| bail!("a subscriber left")),
        }
    }

    /// All go.
    pub async fn leave(mut self) {
        self.members.shutdown().await;
    }
}

/// A connection that is made anew where it breaks, once for all who share it.
struct Line {
    addr: String,
    window: u32,
    wire: Mutex<(u64, Wire)>,
}

impl Line {
    async fn connect(addr: &str, window: u32) -> anyhow::Result<Self> {
        let wire = Mutex::new((0, Wire::connect_with_window(addr, window).await?));
        Ok(Self { addr: addr.to_owned(), window, wire })
    }

    async fn wire(&self) -> (u64, Wire) {
        self.wire.lock().await.clone()
    }

    /// Makes the connection anew, unless that was done since `age`.
    async fn renew(&self, age: u64) -> anyhow::Result<()> {
        let mut wire = self.wire.lock().await;
        if wire.0 == age {
            *wire = (age + 1, Wire::connect_with_window(&self.addr, self.window).await?);
        }
        Ok(())
    }
}

/// One subscriber.
struct Member {
    line: Arc<Line>,
    event_id: String,
    /// Where to take the stream up again.
    token: String,
    is_ready: bool,
    /// When it stops reading, since the crowd counts.
    stalls_after: Option<Duration>,
    tally: Arc<Tally>,
}

impl Member {
    async fn listen(mut self, door: Arc<Semaphore>, comes_back: bool) -> anyhow::Result<()> {
        loop {
            let (age, wire) = self.line.wire().await;
            let ended = self.listen_on(&wire, &door).await;
            if !comes_back {
                return ended.context("a stream ended");
            }
            // Only the stream, or the whole connection?
            if wire.is_closed().await {
                self.line.renew(age).await?;
            }
        }
    }

    async fn listen_on(&mut self, wire: &Wire, door: &Semaphore) -> anyhow::Result<()> {
        let request = StreamSeatUpdatesRequest {
            event_id: self.event_id.clone(),
            resume_token: self.token.clone(),
            ..StreamSeatUpdatesRequest::default()
        };
        let mut at_the_door = match self.is_ready {
            true => None,
            false => Some(door.acquire().await?),
        };
        let mut answer = wire.open(&wire.head(STREAM)?, frame(&request)).await?;
        let mut rest = BytesMut::new();
        while let Some(data) = answer.data().await {
            let data = data?;
            answer.flow_control().release_capacity(data.len())?;
            self.take(data, &mut rest)?;
            if self.is_ready {
                at_the_door = None;
            }
            let stalls = self.stalls_after.is_some_and(|span| self.tally.has_begun_before(span));
            if self.is_ready && stalls {
                return stall(answer).await;
            }
        }
        drop(at_the_door);
        bail!("the server ended a stream")
    }

    /// Takes what has come; what is not whole yet is left in `rest`.
    fn take(&mut self, data: Bytes, rest: &mut BytesMut) -> anyhow::Result<()> {
        let mut all = match rest.is_empty() {
            true => data,
            false => {
                rest.extend_from_slice(&data);
                rest.split().freeze()
            }
        };
        while let Some(head) = all.get(..5) {
            let len = 5 + u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if all.len() < len {
                break;
            }
            let message = all.split_to(len);
            self.hear(&message[5..])?;
        }
        if all.has_remaining() {
            rest.extend_from_slice(&all);
        }
        Ok(())
    }

    fn hear(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let (said, token) = read(message)?;
        match said {
            Said::House { is_last: true } if !self.is_ready => {
                self.is_ready = true;
                self.tally.ready.fetch_add(1, Relaxed);
            }
            Said::House { .. } | Said::Heartbeat => {}
            // What those hear who will stop counts for nobody.
            Said::Updates(_) if self.stalls_after.is_some() => {}
            Said::Updates(seats) => self.tally.take_updates(seats),
        }
        if !token.is_empty() && token != self.token {
            token.clone_into(&mut self.token);
        }
        Ok(())
    }
}

/// Reads no more, and says nothing.
async fn stall(answer: RecvStream) -> anyhow::Result<()> {
    std::future::pending::<()>().await;
    drop(answer);
    Ok(())
}

//! One connection through a proxy.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::watch::Receiver,
    time::{sleep, timeout},
};

use super::{
    Cut, Shared, Target, Way, Weather, Who,
    watch::{Watch, is_complete},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 16 * 1024;

enum Peer {
    Tcp(TcpStream),
    Unix(UnixStream),
}

type Reader<'a> = Box<dyn AsyncRead + Send + Unpin + 'a>;
type Writer<'a> = Box<dyn AsyncWrite + Send + Unpin + 'a>;

impl Peer {
    async fn connect(target: &Target) -> io::Result<Self> {
        match target {
            Target::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Target::Socket(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
        }
    }

    fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.split();
                (Box::new(reader), Box::new(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.split();
                (Box::new(reader), Box::new(writer))
            }
        }
    }

    /// Closes it at once; its other end sees a reset, not an end.
    fn reset(self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_zero_linger();
        }
    }
}

/// What both directions know of a connection.
#[derive(Default)]
struct Seen {
    is_replica: AtomicBool,
    /// Its answer is awaited, and may be cut.
    asked: AtomicBool,
    /// Nothing passes back any more: the answer comes, and is cut.
    doomed: AtomicBool,
}

pub(super) async fn run(client: TcpStream, shared: std::sync::Arc<Shared>) {
    let _ = client.set_nodelay(true);
    let mut client = Peer::Tcp(client);
    let mut weather = shared.weather.subscribe();
    let connected = timeout(CONNECT_TIMEOUT, Peer::connect(&shared.target)).await;
    let Ok(Ok(mut server)) = connected else { return client.reset() };
    let born = weather.borrow_and_update().resets;
    let ended_well = {
        let (seen, shared) = (&Seen::default(), &*shared);
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let pump = |way| Pump { way, seen, shared, weather: shared.weather.subscribe() };
        tokio::select! {
            ended = async {
                tokio::try_join!(
                    pump(Way::Up).run(from_client, to_server),
                    pump(Way::Down).run(from_server, to_client),
                )
            } => ended.is_ok(),
            _ = weather.wait_for(|weather| weather.resets != born) => false,
        }
    };
    if !ended_well {
        client.reset();
        server.reset();
    }
}

/// One direction of a connection.
struct Pump<'a> {
    way: Way,
    seen: &'a Seen,
    shared: &'a Shared,
    weather: Receiver<Weather>,
}

impl Pump<'_> {
    /// Passes on until there is nothing more.
    ///
    /// # Errors
    /// Where the connection broke, or is to be cut.
    async fn run(mut self, mut from: Reader<'_>, mut to: Writer<'_>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut watch = Watch::default();
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return to.shutdown().await;
            }
            let bytes = &buffer[..count];
            let passes = match self.way {
                Way::Up => self.look_up(&mut watch, bytes),
                Way::Down => self.look_down(bytes),
            };
            let passes = passes.min(self.bytes_left(count));
            self.weather().await;
            if !self.seen.doomed.load(Ordering::Relaxed) || self.way == Way::Up {
                to.write_all(&bytes[..passes]).await?;
            }
            if passes < count {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
    }

    /// How much of a request passes.
    fn look_up(&self, watch: &mut Watch, bytes: &[u8]) -> usize {
        watch.see(bytes);
        if watch.is_replica {
            self.seen.is_replica.store(true, Ordering::Relaxed);
        }
        let is_cut = self.shared.take_cut(|cut| match cut {
            Cut::Request(pattern) => watch.saw(*pattern),
            _ => false,
        });
        let awaited = match *self.shared.cut() {
            Some(Cut::Answer(pattern)) => watch.saw(pattern),
            _ => false,
        };
        if awaited {
            self.seen.asked.store(true, Ordering::Relaxed);
        }
        if is_cut { 0 } else { bytes.len() }
    }

    /// How much of an answer passes.
    fn look_down(&self, bytes: &[u8]) -> usize {
        if self.seen.asked.swap(false, Ordering::Relaxed) {
            let taken = self.shared.take_cut(|cut| matches!(cut, Cut::Answer(_)));
            self.seen.doomed.store(taken, Ordering::Relaxed);
        }
        let is_over = self.seen.doomed.load(Ordering::Relaxed) && is_complete(bytes);
        if is_over { 0 } else { bytes.len() }
    }

    /// How many of these bytes pass before the link is cut.
    fn bytes_left(&self, count: usize) -> usize {
        let mut passes = count;
        self.shared.take_cut(|cut| match cut {
            Cut::AfterBytes { way, bytes } if *way == self.way => {
                passes = (*bytes).min(count);
                let is_due = *bytes < count;
                *bytes -= passes;
                is_due
            }
            _ => false,
        });
        passes
    }

    /// Waits as long as the link lets nothing pass.
    async fn weather(&mut self) {
        let (way, seen) = (self.way, self.seen);
        let is_open = |weather: &Weather| match weather.stalled {
            Some((stalled, Who::All)) => stalled != way,
            Some((stalled, Who::Replicas)) => {
                stalled != way || !seen.is_replica.load(Ordering::Relaxed)
            }
            None => true,
        };
        let delay = self.weather.wait_for(is_open).await.map(|weather| weather.delay);
        if let Ok(delay) = delay
            && delay > Duration::ZERO
        {
            sleep(delay).await;
        }
    }
}

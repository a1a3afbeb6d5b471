//! The history of a round: one task writes it, line by line.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::Instant,
};

use crate::history::Line;

/// Where lines are handed in.
#[derive(Clone)]
pub struct Recorder {
    begun: Instant,
    next_call: Arc<AtomicU64>,
    /// `None` ends the history.
    lines: UnboundedSender<Option<Line>>,
}

/// A history that is being written.
pub struct Recording {
    pub recorder: Recorder,
    writing: JoinHandle<anyhow::Result<Vec<Line>>>,
}

impl Recorder {
    /// µs since the history began.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub fn call_id(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed)
    }

    /// What comes after the history's end is not part of it.
    pub fn write(&self, line: Line) {
        let _ = self.lines.send(Some(line));
    }
}

impl Recording {
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = BufWriter::new(File::create(path)?);
        let (lines, receiver) = unbounded_channel();
        let recorder = Recorder { begun: Instant::now(), next_call: Arc::default(), lines };
        Ok(Self { recorder, writing: tokio::spawn(write(file, receiver)) })
    }

    /// Ends it; answers all its lines.
    pub async fn end(self) -> anyhow::Result<Vec<Line>> {
        let _ = self.recorder.lines.send(None);
        self.writing.await?
    }
}

async fn write(
    mut file: BufWriter<File>,
    mut receiver: UnboundedReceiver<Option<Line>>,
) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    while let Some(Some(line)) = receiver.recv().await {
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
        lines.push(line);
    }
    file.flush()?;
    Ok(lines)
}

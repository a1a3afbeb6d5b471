//! What is made of files, and made anew when they change.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use arc_swap::{ArcSwap, Guard};
use sha2::{Digest, Sha256};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{limits::FILES_LOOK, telemetry};

/// Why nothing can be made of files.
pub type Why = Box<dyn std::error::Error + Send + Sync>;

/// Files cannot be read, or nothing can be made of what is in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{0} cannot be used")]
    Make(&'static str, #[source] Why),
}

type Make<T> = dyn Fn(&[Vec<u8>]) -> Result<T, Why> + Send + Sync;

/// Something that is made of files.
pub struct Reloaded<T> {
    /// What it is, for logs.
    what: &'static str,
    paths: Vec<PathBuf>,
    make: Box<Make<T>>,
    now: ArcSwap<T>,
    /// Of what was read last, good or bad; not the text itself, which may be a secret.
    digest: Mutex<[u8; 32]>,
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Reads the files, in their order, for `make`.
    ///
    /// # Errors
    /// Where they cannot be read, or `make` fails.
    pub fn new(
        what: &'static str,
        paths: Vec<PathBuf>,
        make: impl Fn(&[Vec<u8>]) -> Result<T, Why> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let (texts, digest) = read(&paths)?;
        let now = make(&texts).map_err(|why| Error::Make(what, why))?;
        let (now, digest) = (ArcSwap::from_pointee(now), Mutex::new(digest));
        Ok(Self { what, paths, make: Box::new(make), now, digest })
    }

    /// As it was made last.
    pub fn now(&self) -> Guard<Arc<T>> {
        self.now.load()
    }

    /// Makes it anew where the files have changed. What cannot be used is logged once,
    /// and what was there before stays.
    pub fn look(&self) {
        let made = match read(&self.paths) {
            Ok((texts, digest)) => {
                let mut before = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
                if std::mem::replace(&mut *before, digest) == digest {
                    return;
                }
                (self.make)(&texts).map_err(|why| Error::Make(self.what, why))
            }
            // Between a file that goes and the one that takes its place, too.
            Err(error) => {
                let mut before = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
                if std::mem::take(&mut *before) == [0; 32] {
                    return;
                }
                Err(error)
            }
        };
        telemetry::reloaded(self.what, made.is_ok());
        match made {
            Ok(made) => {
                self.now.store(Arc::new(made));
                tracing::info!(what = self.what, "files have changed and were read again");
            }
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, why, "what was read before stays in use");
            }
        }
    }

    /// Looks again and again, as long as anybody has it.
    pub async fn keep(this: Weak<Self>) {
        loop {
            sleep(FILES_LOOK).await;
            let Some(this) = this.upgrade() else { return };
            // Fails only where the runtime ends.
            let _ = spawn_blocking(move || this.look()).await;
        }
    }
}

/// The files' texts, and a digest of them all.
fn read(paths: &[PathBuf]) -> Result<(Vec<Vec<u8>>, [u8; 32]), Error> {
    let mut texts = Vec::with_capacity(paths.len());
    let mut digest = Sha256::new();
    for path in paths {
        let text = fs::read(path).map_err(|error| Error::Read(path.clone(), error))?;
        digest.update(text.len().to_be_bytes());
        digest.update(&text);
        texts.push(text);
    }
    Ok((texts, digest.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("number");
        let write = |text: &str| fs::write(&path, text).unwrap();
        write("1");
        let number = Reloaded::new("number", vec![path.clone()], |texts| {
            Ok(std::str::from_utf8(&texts[0])?.parse::<u32>()?)
        });
        let number = number.unwrap();
        write("2");
        assert_eq!(**number.now(), 1, "nobody has looked");
        number.look();
        assert_eq!(**number.now(), 2);
        for bad in ["two", "2 2"] {
            write(bad);
            number.look();
            assert_eq!(**number.now(), 2);
        }
        fs::remove_file(&path).unwrap();
        number.look();
        assert_eq!(**number.now(), 2);
        write("3");
        number.look();
        assert_eq!(**number.now(), 3);
    }

    #[test]
    fn what_is_not_there_at_first_is_an_error() {
        let gone = Reloaded::<()>::new("gone", vec!["/nowhere/at-all".into()], |_| Ok(()));
        assert!(matches!(gone, Err(Error::Read(..))));
    }
}

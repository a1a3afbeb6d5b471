//! The flags of waiting rooms.

use std::{fs, io, path::PathBuf};

use clap::Args;
use secrecy::SecretString;

/// What places and admissions are signed with.
#[derive(Debug, Clone, Default, Args)]
pub struct Queue {
    /// What tokens of waiting rooms are signed with, at least 32 characters, the same for
    /// all servers. Where not given, one is made and kept in Postgres, for all of them.
    #[arg(
        long,
        env = "HOLDFAST_QUEUE_KEY",
        hide_env_values = true,
        conflicts_with = "queue_key_file"
    )]
    pub queue_key: Option<SecretString>,
    /// A file that has that key, and nothing else.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_QUEUE_KEY_FILE")]
    pub queue_key_file: Option<PathBuf>,
}

impl Queue {
    /// The key, from wherever it is; `None` where it is not given.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn key(&self) -> io::Result<Option<SecretString>> {
        match &self.queue_key_file {
            None => Ok(self.queue_key.clone()),
            Some(file) => fs::read_to_string(file).map(|text| Some(text.trim_end().into())),
        }
    }
}

//! Secrets from files: each variable that has one can be given as `<NAME>_FILE` instead,
//! the path of a file that has it and nothing else. So no process, image or unit file has
//! to know it.

use std::{env, fs, io};

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;

/// Variables, and their arguments. What has a flag for its file is not among them.
pub const IN_FILES: [(&str, &str); 3] = [
    ("HOLDFAST_POSTGRES_URL", "postgres_url"),
    ("HOLDFAST_REDIS_URL", "redis_url"),
    ("HOLDFAST_SMTP_URL", "smtp_url"),
];

/// A secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{0} and {0}_FILE are both given")]
    Twice(&'static str),
    #[error("{variable}_FILE: {file} cannot be read")]
    File {
        variable: &'static str,
        file: String,
        #[source]
        source: io::Error,
    },
}

impl Cli {
    /// The program's arguments and variables, and its secrets from their files. Ends the
    /// program where they cannot be used, as `clap` does.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn from_everywhere() -> Result<Self, SecretError> {
        let mut command = Self::command();
        for (variable, argument) in IN_FILES {
            if let Some(secret) = in_file(variable)? {
                command = with_default(command, argument, &secret);
            }
        }
        let matches = command.get_matches();
        Ok(Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }
}

fn in_file(variable: &'static str) -> Result<Option<String>, SecretError> {
    let Some(file) = env::var_os(format!("{variable}_FILE")) else { return Ok(None) };
    if env::var_os(variable).is_some() {
        return Err(SecretError::Twice(variable));
    }
    let text = fs::read_to_string(&file).map_err(|source| {
        let file = file.to_string_lossy().into_owned();
        SecretError::File { variable, file, source }
    })?;
    Ok(Some(text.trim_end().to_owned()))
}

/// As if the secret were what the program takes where nothing is said; but never shown.
fn with_default(command: Command, argument: &str, secret: &str) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| {
            let has_it = sub.get_arguments().any(|known| known.get_id() == argument);
            match has_it {
                true => sub.mut_arg(argument, |argument| {
                    // Kept for the program's life, as what stands in its code is.
                    let secret: &'static str = secret.to_owned().leak();
                    argument.default_value(secret).hide_default_value(true).required(false)
                }),
                false => sub,
            }
        })
    })
}

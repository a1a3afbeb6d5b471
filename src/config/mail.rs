//! How buyers are written to.

use clap::Args;
use secrecy::SecretString;
use time::{UtcOffset, macros::format_description};

/// All servers on the same stores need the same: any of them may tell of what another
/// one sold.
#[derive(Debug, Clone, Args)]
pub struct Mail {
    /// `smtp://user:password@host:587?tls=required`, or `smtps://` for TLS from the
    /// first byte; no mail is sent where it is not given
    #[arg(long, env = "HOLDFAST_SMTP_URL", hide_env_values = true, requires = "mail_from")]
    pub smtp_url: Option<SecretString>,
    /// Who writes, such as `The House <tickets@house.example>`
    #[arg(long, env = "HOLDFAST_MAIL_FROM")]
    pub mail_from: Option<String>,
    /// By which times are told in mails, such as `+07:00`
    #[arg(long, env = "HOLDFAST_MAIL_UTC_OFFSET", default_value = "+00:00",
          value_parser = utc_offset)]
    pub mail_utc_offset: UtcOffset,
}

impl Default for Mail {
    /// No mail is sent.
    fn default() -> Self {
        Self { smtp_url: None, mail_from: None, mail_utc_offset: UtcOffset::UTC }
    }
}

fn utc_offset(text: &str) -> Result<UtcOffset, String> {
    let format = format_description!("[offset_hour sign:mandatory]:[offset_minute]");
    UtcOffset::parse(text, format).map_err(|_| "must be like +07:00".to_owned())
}

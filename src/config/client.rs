//! The flags of commands that call servers.

use std::path::PathBuf;

use clap::Args;

/// How a server is reached, and as whom.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "How servers are reached")]
pub struct Client {
    /// Whom to trust to sign servers' certificates, PEM; whom the system trusts, where
    /// not given.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CLIENT_CA_FILE", global = true)]
    pub ca_file: Option<PathBuf>,
    /// A certificate to show to servers, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDFAST_CLIENT_CERT_FILE",
        global = true,
        requires = "client_key_file"
    )]
    pub client_cert_file: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDFAST_CLIENT_KEY_FILE",
        global = true,
        requires = "client_cert_file"
    )]
    pub client_key_file: Option<PathBuf>,
    /// A token (JWT) to send with each call; read again when it changes. It is sent over
    /// TLS alone, or on this machine.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CLIENT_TOKEN_FILE", global = true)]
    pub token_file: Option<PathBuf>,
}

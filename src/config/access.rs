//! The flags of who may come in.

use std::path::PathBuf;

use clap::Args;

use crate::limits::{DEFAULT_JWT_LEEWAY_SECONDS, MAX_JWT_LEEWAY_SECONDS};

/// TLS of both ports, and who callers are.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// The server's certificate and those above it, PEM; read again when it changes.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// Whom to trust to sign clients' certificates, PEM. With it, clients are asked for
    /// one; they need one where no tokens are taken.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDFAST_TLS_CLIENT_CA_FILE",
        requires = "tls_cert_file"
    )]
    pub tls_client_ca_file: Option<PathBuf>,
    /// Which role has a client with a certificate of which name: TOML lines of
    /// `"name" = "role"`. A name is a DNS name or URI of the certificate, or else its
    /// subject's common name; a role is viewer, reserver, confirmer or operator.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDFAST_CERTIFICATE_ROLES_FILE",
        requires = "tls_client_ca_file"
    )]
    pub certificate_roles_file: Option<PathBuf>,
    /// The keys that tokens (JWT) are verified with: a file, a JWK set or PEM; or the
    /// URL of a JWK set, https, or http on this machine. Read again when they change.
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "HOLDFAST_JWT_KEYS",
        hide_env_values = true,
        requires = "jwt_audience"
    )]
    pub jwt_keys: Option<String>,
    /// The algorithms that tokens may be signed by, and no other.
    #[arg(
        long,
        env = "HOLDFAST_JWT_ALGORITHMS",
        value_delimiter = ',',
        default_value = "ES256,RS256,EdDSA"
    )]
    pub jwt_algorithms: Vec<String>,
    /// What a token's `aud` has to have.
    #[arg(long, env = "HOLDFAST_JWT_AUDIENCE", requires = "jwt_keys")]
    pub jwt_audience: Option<String>,
    /// What a token's `iss` has to be; any, where not given.
    #[arg(long, env = "HOLDFAST_JWT_ISSUER", requires = "jwt_keys")]
    pub jwt_issuer: Option<String>,
    /// How far clocks may differ, for `exp` and `nbf`.
    #[arg(long, env = "HOLDFAST_JWT_LEEWAY_SECONDS", default_value_t = DEFAULT_JWT_LEEWAY_SECONDS,
          value_parser = clap::value_parser!(u16).range(0..=i64::from(MAX_JWT_LEEWAY_SECONDS)))]
    pub jwt_leeway_seconds: u16,
    /// The claim that names the roles, a text or a list: viewer, reserver, confirmer,
    /// operator; or reserver:self, who may call for the holder alone that `sub` names.
    #[arg(long, env = "HOLDFAST_JWT_ROLES_CLAIM", default_value = "roles")]
    pub jwt_roles_claim: String,
    /// Answer reflection, which tells every method and message.
    #[arg(
        long,
        env = "HOLDFAST_REFLECTION",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub reflection: bool,
    /// Listen beyond this machine without TLS, or without knowing who calls.
    #[arg(long, env = "HOLDFAST_INSECURE")]
    pub insecure: bool,
}

//! Who may come in.

use std::time::Duration;

/// How far clocks may differ where nothing else is said.
pub const DEFAULT_JWT_LEEWAY_SECONDS: u16 = 30;
pub const MAX_JWT_LEEWAY_SECONDS: u16 = 300;

/// How often files of certificates, keys and roles are looked at for a change.
pub const FILES_LOOK: Duration = Duration::from_secs(5);
/// How long a client may take for its TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Verified tokens that are remembered, about 300 bytes each.
pub const MAX_TOKENS_KEPT: u64 = 100_000;
/// Keys that tokens are verified with.
pub const MAX_JWT_KEYS: usize = 100;
/// Keys that one token is tried with, where it does not name one: each costs as much as
/// some calls.
pub const MAX_KEYS_TRIED: usize = 4;
/// The longest answer of a URL of keys that is read.
pub const MAX_JWKS_BYTES: usize = 256 * 1024;
/// How often the keys of a URL are asked for anew; and how soon again where that
/// failed, or a token names a key that is not known.
pub const JWKS_PERIOD: Duration = Duration::from_secs(300);
pub const JWKS_PAUSE: Duration = Duration::from_secs(10);
/// How long the URL may take to answer, and a call may wait for that.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls that wait for the keys of a URL at once. Nobody knows yet who makes them, so no
/// other limit counts them.
pub const MAX_KEY_WAITERS: usize = 256;

/// Names with roles in the file of certificates' roles.
pub const MAX_CERTIFICATE_ROLES: usize = 10_000;
/// The shortest secret of an HMAC key: as long as what it signs with (RFC 7518, 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

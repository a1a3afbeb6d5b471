//! Room 1, the doorman: who calls, and whether he may.
//!
//! A call is let in by the role of its caller, which `methods.rs` has for each method. A
//! caller is known by the token that his call brings, or else by the certificate of his
//! connection.

mod certificates;
mod claims;
mod keys;
mod methods;
mod remote;
mod tokens;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    domain::{Caller, Refusal, Role},
    reload::Reloaded,
};
use certificates::Names;
pub use keys::Source;
pub use methods::{Needed, needed};
use tokens::Tokens;
pub use tokens::{Algorithm, Settings as TokenSettings};

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    pub addr: SocketAddr,
    /// The names of the certificate by which it has been verified; none without one.
    pub names: Vec<String>,
}

/// A caller who may, and until when he is known.
#[derive(Debug, Clone)]
pub struct Pass {
    pub caller: Arc<Caller>,
    /// Seconds since 1970; `None` for as long as he likes.
    pub until_s: Option<u64>,
}

impl Pass {
    /// How long it is good from now on.
    pub fn rest(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.until_s?).saturating_sub(now()))
    }
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum No {
    Refused(Refusal),
    /// His token names a key that is not known yet: see [`Access::look`].
    KeyUnknown,
    /// His key cannot be had: none since the server began, or not the one that his token
    /// names.
    KeysAway,
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Where callers are known from.
#[derive(Debug, Clone)]
pub struct Settings {
    pub tokens: Option<TokenSettings>,
    /// The file of certificates' roles.
    pub certificate_roles: Option<PathBuf>,
}

/// What cannot be used of the settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Files(#[from] crate::reload::Error),
    /// Not quoted: it may have a secret.
    #[error(
        "HOLDFAST_JWT_KEYS must be a file, an https URL, or an http one of this machine, and \
         no URL with a user or a password"
    )]
    Url,
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("no client of URLs can be made")]
    Client(#[from] reqwest::Error),
}

/// Tells who calls.
pub struct Access {
    /// Everybody, where callers are not told apart.
    anybody: Option<Arc<Caller>>,
    /// Whoever calls what is open to all.
    stranger: Arc<Caller>,
    tokens: Option<Tokens>,
    certificates: Option<Arc<Reloaded<Names>>>,
}

/// Who somebody is.
enum Who {
    Known(Pass),
    /// Known, and without any role.
    Idle,
    Nobody,
}

impl Access {
    /// Knows callers as the settings say; without any, everybody may do all.
    ///
    /// # Errors
    /// Where a file cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let is_open = settings.tokens.is_none() && settings.certificate_roles.is_none();
        let certificates = settings.certificate_roles.map(certificates::read).transpose()?;
        Ok(Self {
            anybody: is_open.then(|| Arc::new(Caller::ANYBODY)),
            stranger: Arc::new(Caller { role: Role::Viewer, ..Caller::ANYBODY }),
            tokens: settings.tokens.map(Tokens::new).transpose()?,
            certificates,
        })
    }

    /// Who makes a call of `method`, the path of an RPC, by the `authorization` that it
    /// brings or the certificate of its connection.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] where nobody knows, [`Refusal::RoleRequired`] where he
    /// may not; and where the keys of tokens are not there.
    pub fn caller(
        &self,
        method: &str,
        authorization: Option<&[u8]>,
        peer: &Peer,
    ) -> Result<Pass, No> {
        if let Some(anybody) = &self.anybody {
            return Ok(Pass { caller: anybody.clone(), until_s: None });
        }
        match needed(method) {
            Needed::Nothing => Ok(Pass { caller: self.stranger.clone(), until_s: None }),
            Needed::Role(role) => self.of_role(role, method, authorization, peer),
        }
    }

    /// Who asks for something beside the methods that takes a role; waits where the keys
    /// have to be asked for.
    ///
    /// # Errors
    /// As of [`Access::caller`].
    pub async fn may(
        &self,
        what: &str,
        role: Role,
        authorization: Option<&[u8]>,
        peer: &Peer,
    ) -> Result<(), No> {
        if self.anybody.is_some() {
            return Ok(());
        }
        let mut told = self.of_role(role, what, authorization, peer);
        if matches!(told, Err(No::KeyUnknown)) {
            let is_told = self.look().await;
            told = self.of_role(role, what, authorization, peer);
            if matches!(told, Err(No::KeyUnknown)) && !is_told {
                told = Err(No::KeysAway);
            }
        }
        told.map(|_| ())
    }

    /// Asks for the keys of tokens anew, unless that was done just now. Whether they were
    /// told: a key that is still not known does not exist. Else it may.
    pub async fn look(&self) -> bool {
        match &self.tokens {
            Some(tokens) => tokens.look().await,
            None => true,
        }
    }

    fn of_role(
        &self,
        role: Role,
        method: &str,
        authorization: Option<&[u8]>,
        peer: &Peer,
    ) -> Result<Pass, No> {
        match self.who(authorization, peer)? {
            Who::Known(pass) if pass.caller.role >= role => Ok(pass),
            Who::Known(_) | Who::Idle => {
                Err(Refusal::RoleRequired { method: method.to_owned(), role, bound_to: None }
                    .into())
            }
            Who::Nobody => Err(Refusal::Unauthenticated.into()),
        }
    }

    fn who(&self, authorization: Option<&[u8]>, peer: &Peer) -> Result<Who, No> {
        // A token says more than the certificate of whoever passes it on.
        if let (Some(tokens), Some(authorization)) = (&self.tokens, authorization) {
            let (caller, until_s) = tokens.caller(authorization)?;
            let pass = |caller| Pass { caller, until_s: Some(until_s) };
            return Ok(caller.map_or(Who::Idle, |caller| Who::Known(pass(caller))));
        }
        let Some(certificates) = &self.certificates else { return Ok(Who::Nobody) };
        if peer.names.is_empty() {
            return Ok(Who::Nobody);
        }
        let caller = certificates.now().caller(&peer.names);
        let pass = |caller| Pass { caller, until_s: None };
        Ok(caller.map_or(Who::Idle, |caller| Who::Known(pass(caller))))
    }
}

/// Time since 1970.
fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

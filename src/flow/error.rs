//! Why a flow has no answer: a definite no, or trouble.

use std::sync::Arc;

use crate::{
    domain::Refusal,
    feed::{Stale, TooMany},
    holds, ledger,
};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A use case that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definite no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was changed: a store is out of reach.
    #[error("a store is out of reach")]
    StoreUnavailable(#[source] Source),
    /// It may or may not have taken effect; the same call again tells.
    #[error("the outcome is not known yet")]
    OutcomeUnknown(#[source] Source),
    /// Nothing was changed: too much at once.
    #[error("too much at once")]
    Overloaded(#[source] Source),
    /// A fault of ours.
    #[error("a fault of the server's")]
    Internal(#[source] Source),
}

impl Error {
    pub(super) fn internal(source: impl Into<Source>) -> Self {
        Self::Internal(source.into())
    }

    /// Of a read that several waited for.
    pub(super) fn shared(error: Arc<Self>) -> Self {
        match &*error {
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::Overloaded(_) => Self::Overloaded(error.into()),
            Self::Internal(_) => Self::Internal(error.into()),
            _ => Self::StoreUnavailable(error.into()),
        }
    }

    /// Which store it was that failed, where one did.
    pub fn store(&self) -> Option<&'static str> {
        let (Self::StoreUnavailable(source) | Self::OutcomeUnknown(source)) = self else {
            return None;
        };
        // Callers who waited for one and the same read share its error.
        if let Some(shared) = source.downcast_ref::<Arc<Self>>() {
            return shared.store();
        }
        let is_redis = source.is::<Arc<holds::Error>>() || source.is::<Stale>();
        let is_postgres = source.is::<Arc<ledger::Error>>();
        is_redis.then_some("redis").or(is_postgres.then_some("postgres"))
    }

    /// For a call that changes nothing: it has no outcome to be unknown.
    #[must_use]
    pub fn of_a_read(self) -> Self {
        match self {
            Self::OutcomeUnknown(source) => Self::StoreUnavailable(source),
            other => other,
        }
    }

    /// For a mutation that has changed something already: what is left of it is
    /// done by the outbox, or by the same call again.
    pub(super) fn after_a_change(self) -> Self {
        match self {
            Self::StoreUnavailable(source) | Self::Overloaded(source) => {
                Self::OutcomeUnknown(source)
            }
            other => other,
        }
    }

    /// For an attempt with others before it, each of which may have changed
    /// something.
    pub(super) fn after(self, attempts: usize) -> Self {
        if attempts == 0 { self } else { self.after_a_change() }
    }

    /// For an event that was rebuilt again and again while a call waited.
    pub(super) fn unsettled() -> Self {
        Self::StoreUnavailable("the event's state is being rebuilt".into())
    }
}

impl From<holds::Error> for Error {
    fn from(error: holds::Error) -> Self {
        Arc::new(error).into()
    }
}

/// Of a call that several made together.
impl From<Arc<holds::Error>> for Error {
    fn from(error: Arc<holds::Error>) -> Self {
        match *error {
            holds::Error::Unreachable(_) => Self::StoreUnavailable(error.into()),
            holds::Error::Unknown(_) | holds::Error::GivenUp => Self::OutcomeUnknown(error.into()),
            holds::Error::Full(_) | holds::Error::Busy => Self::Overloaded(error.into()),
            holds::Error::Url(_) | holds::Error::Refused(_) | holds::Error::Corrupt(_) => {
                Self::Internal(error.into())
            }
        }
    }
}

impl From<ledger::Error> for Error {
    fn from(error: ledger::Error) -> Self {
        Arc::new(error).into()
    }
}

/// Of a statement that several made together.
impl From<Arc<ledger::Error>> for Error {
    fn from(error: Arc<ledger::Error>) -> Self {
        match &*error {
            ledger::Error::Refusal(refusal) => Self::Refused(refusal.clone()),
            ledger::Error::Unreachable(_) => Self::StoreUnavailable(error.into()),
            ledger::Error::Unknown(_) | ledger::Error::GivenUp => {
                Self::OutcomeUnknown(error.into())
            }
            ledger::Error::Race(_) | ledger::Error::Busy => Self::Overloaded(error.into()),
            ledger::Error::Url(_)
            | ledger::Error::Constraint { .. }
            | ledger::Error::Refused(_)
            | ledger::Error::Corrupt(_)
            | ledger::Error::Schema(_) => Self::Internal(error.into()),
        }
    }
}

#[cfg(feature = "failpoints")]
impl From<crate::failpoint::Dropped> for Error {
    fn from(dropped: crate::failpoint::Dropped) -> Self {
        Self::OutcomeUnknown(dropped.into())
    }
}

impl From<TooMany> for Error {
    fn from(error: TooMany) -> Self {
        Self::Overloaded(error.into())
    }
}

impl From<Stale> for Error {
    fn from(error: Stale) -> Self {
        Self::StoreUnavailable(error.into())
    }
}

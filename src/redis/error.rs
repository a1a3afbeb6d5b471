//! What can go wrong on the way to Redis, by what it means for the caller.

use deadpool_redis::{
    PoolError,
    redis::{ErrorKind, RedisError, ServerErrorKind},
};

use crate::batch::Unanswered;

/// A call to Redis that has no answer to give.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured URL cannot be used.
    #[error("the Redis URL cannot be used")]
    Url(#[source] RedisError),
    /// Nothing was changed: Redis was not reached, or said that it cannot
    /// serve.
    #[error("Redis is out of reach")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The call was sent and its answer did not come.
    #[error("Redis did not answer")]
    Unknown(#[source] RedisError),
    /// Nothing was changed: too many calls wait.
    #[error("too many calls wait for Redis")]
    Busy,
    /// A call that others made with theirs was given up.
    #[error("the call to Redis was given up")]
    GivenUp,
    /// Nothing was changed: Redis is at its memory limit.
    #[error("Redis is out of memory")]
    Full(#[source] RedisError),
    /// A script failed: a fault of ours.
    #[error("Redis refused a command")]
    Refused(#[source] RedisError),
    /// A value that is not what this program writes.
    #[error("Redis holds a value that cannot be read")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// For a failure before the command was sent.
    pub(crate) fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unreachable(error.into())
    }

    /// For a value that cannot be decoded.
    pub(crate) fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Corrupt(error.into())
    }
}

impl From<RedisError> for Error {
    /// For a failure after the command was sent.
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => Self::unreachable(error),
            _ if error.code() == Some("OOM") => Self::Full(error),
            // Its disk is full, a script hangs, or its replicas do not follow.
            _ if matches!(error.code(), Some("MISCONF" | "BUSY" | "NOREPLICAS")) => {
                Self::unreachable(error)
            }
            // A slot of a Cluster was moving: a key that a script emptied counts as
            // moved. What it had written stays until the event is built anew, on the
            // node that the slot goes to.
            _ if error.to_string().contains("non local key") => Self::Unknown(error),
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Refused(error),
            ErrorKind::UnexpectedReturnType | ErrorKind::Parse => Self::corrupt(error),
            _ if error.is_connection_refusal() => Self::unreachable(error),
            _ => Self::Unknown(error),
        }
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Full => Self::Busy,
            Unanswered::GivenUp => Self::GivenUp,
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        Self::unreachable(error)
    }
}

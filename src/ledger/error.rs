//! What can go wrong on the way to Postgres, by what it means for the caller.

use deadpool_postgres::PoolError;
use tokio_postgres::error::{Severity, SqlState};

use crate::batch::Unanswered;
use crate::domain::Refusal;

/// A call to Postgres that has no answer to give.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured URL cannot be used.
    #[error("the Postgres URL cannot be used")]
    Url(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing was changed: Postgres was not reached, or was too busy.
    #[error("Postgres is out of reach")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The statement was sent and its answer did not come.
    #[error("Postgres did not answer")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing was changed: too many calls wait.
    #[error("too many calls wait for Postgres")]
    Busy,
    /// A statement that others made with theirs was given up.
    #[error("the call to Postgres was given up")]
    GivenUp,
    /// Nothing was changed: another transaction stood in the way. Worth
    /// another try at once.
    #[error("lost a race against another transaction")]
    Race(#[source] tokio_postgres::Error),
    /// Nothing was changed: a constraint forbids it.
    #[error("constraint {constraint} forbids it")]
    Constraint {
        constraint: String,
        #[source]
        source: tokio_postgres::Error,
    },
    /// Nothing was changed: what is there forbids it.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// A statement failed: a fault of ours.
    #[error("Postgres refused a statement")]
    Refused(#[source] tokio_postgres::Error),
    /// A value that is not what this program writes.
    #[error("Postgres holds a value that cannot be read: {0}")]
    Corrupt(String),
    /// The schema is not this program's.
    #[error("the database schema is not ready: {0}")]
    Schema(String),
}

impl Error {
    /// The constraint that forbids it, where one does.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Constraint { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    /// Whether the session that it happened on is of no use to anybody else: its
    /// answer may still come, or its server cannot be written to.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Unreachable(source) => source
                .downcast_ref::<tokio_postgres::Error>()
                .is_some_and(|error| error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)),
            _ => false,
        }
    }

    /// Itself, and what is at the bottom of it, for the operator.
    pub(super) fn with_cause(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |e| e.source());
        match causes.last() {
            Some(cause) => format!("{self} ({cause})"),
            None => self.to_string(),
        }
    }

    pub(super) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("{what}"))
    }
}

impl From<tokio_postgres::Error> for Error {
    /// For a failure after a statement was sent.
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return match error.is_closed() || is_io(&error) {
                true => Self::Unknown(error.into()),
                false => Self::Refused(error),
            };
        };
        let code = db.code();
        // Postgres fell over, perhaps while it committed.
        if db.parsed_severity() == Some(Severity::Panic) {
            return Self::Unknown(error.into());
        }
        if let Some(constraint) = db.constraint() {
            return Self::Constraint { constraint: constraint.to_owned(), source: error };
        }
        if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        {
            return Self::Race(error);
        }
        // Ended by the server, in any case before a commit.
        if *code == SqlState::QUERY_CANCELED
            || *code == SqlState::LOCK_NOT_AVAILABLE
            || *code == SqlState::TOO_MANY_CONNECTIONS
            || *code == SqlState::CANNOT_CONNECT_NOW
            || *code == SqlState::READ_ONLY_SQL_TRANSACTION
            // Short of something, such as disk; trouble with a file, or within.
            || code.code().starts_with("53")
            || code.code().starts_with("58")
            || code.code().starts_with("XX")
        {
            return Self::Unreachable(error.into());
        }
        // 57P01 and the like: ended while it worked, perhaps while it committed.
        if code.code().starts_with("57") || code.code().starts_with("08") {
            return Self::Unknown(error.into());
        }
        Self::Refused(error)
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        Self::Unreachable(error.into())
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

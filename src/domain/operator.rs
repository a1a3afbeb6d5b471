//! What operators do to holds by hand.

use time::OffsetDateTime;

use super::{HoldId, HolderId};

/// What was done to a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    Release,
    /// Until then, by Redis' clock: ms since 1970.
    Extend {
        expires_ms: i64,
    },
    Reassign {
        to: HolderId,
    },
}

impl Deed {
    /// Its name in Postgres.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Release => "RELEASE",
            Self::Extend { .. } => "EXTEND",
            Self::Reassign { .. } => "REASSIGN",
        }
    }
}

/// Who does it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// As the request says.
    pub actor: String,
    pub reason: String,
    /// As the server knows him; `None` where callers are not told apart.
    pub caller: Option<String>,
}

/// Something that an operator does to a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAction {
    pub deed: Deed,
    pub hold_id: HoldId,
    /// Whose hold it is, or was before it was given to another.
    pub holder_id: HolderId,
    pub by: Operator,
}

/// An action from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastOperatorAction {
    /// A later one has a higher number.
    pub number: i64,
    pub action: OperatorAction,
    pub create_time: OffsetDateTime,
    /// When it was known to be done; `None` where that is not known.
    pub done_time: Option<OffsetDateTime>,
}

//! What happened to one seat.

use time::OffsetDateTime;

use super::{HoldId, HolderId, OrderId};

/// One thing that happened to a seat, as one source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    pub at: OffsetDateTime,
    /// Who says so: `log` is Redis', all others are Postgres'.
    pub source: String,
    /// Such as `HELD` or `SOLD`.
    pub kind: String,
    pub hold_id: Option<HoldId>,
    /// Whose hold or order it was then; of a hold that ended, whose it was last.
    pub holder_id: Option<HolderId>,
    pub order_id: Option<OrderId>,
    /// Who did it by hand, and why.
    pub actor: Option<String>,
    pub reason: Option<String>,
    /// The holder or the channel that it was given to.
    pub to: Option<String>,
    /// How long it was to last.
    pub until: Option<OffsetDateTime>,
    /// Whether it is known to have been done: not so of what an operator asked for and
    /// nobody saw the end of.
    pub is_done: bool,
}

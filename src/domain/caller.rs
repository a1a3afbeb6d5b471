//! Who calls, and what he may.

use std::fmt::{self, Display};

use super::HolderId;

/// What a caller may do; each may what the smaller ones may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Read events, charts and seat maps, and be counted as present.
    Viewer,
    /// Hold, order, queue and wait, for any holder, or for one alone.
    Reserver,
    /// Sell what is held, give money back, and hear of every order.
    Confirmer,
    /// All else: events and charts, channels, webhooks, others' holds.
    Operator,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Reserver, Self::Confirmer, Self::Operator];

    /// The role with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Reserver => "reserver",
            Self::Confirmer => "confirmer",
            Self::Operator => "operator",
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody who calls, as the server knows him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// A token's subject, or a certificate's name; `None` where callers are not told
    /// apart.
    pub name: Option<String>,
    pub role: Role,
    /// The one holder for whom he may call, where he may not for any.
    pub bound_to: Option<HolderId>,
}

impl Caller {
    /// Whoever calls where callers are not told apart: he may do all.
    pub const ANYBODY: Self = Self { name: None, role: Role::Operator, bound_to: None };

    /// Whether he may call for a holder.
    pub fn may_act_for(&self, holder_id: &HolderId) -> bool {
        self.bound_to.as_ref().is_none_or(|only| only == holder_id)
    }
}

//! Seats together: which are the best that are free.

use super::{PriceCategoryId, SectionId};

/// What somebody wants who does not choose seats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BestAvailable {
    pub quantity: u32,
    pub section_id: Option<SectionId>,
    pub price_category_id: Option<PriceCategoryId>,
    /// Whether several blocks of a section will do.
    pub allow_split: bool,
}

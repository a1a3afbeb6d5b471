//! What a seat or an area is at, as everybody may see it.

use serde::{Deserialize, Serialize};

/// Who may take a seat now. The letter is its code in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SeatStatus {
    #[serde(rename = "A")]
    Available,
    #[serde(rename = "H")]
    Held,
    #[serde(rename = "S")]
    Sold,
    #[serde(rename = "B")]
    Blocked,
}

impl SeatStatus {
    /// From its code in Redis; `None` for any other letter.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            b'A' => Some(Self::Available),
            b'H' => Some(Self::Held),
            b'S' => Some(Self::Sold),
            b'B' => Some(Self::Blocked),
            _ => None,
        }
    }
}

/// How much of an area is left, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct AreaState {
    pub available: u32,
    pub capacity: u32,
}

//! Channels: places that are kept for whoever knows a key.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Area, AreaId, ChannelKey, Chart, EventId, HoldId, SeatId};

/// What can be done about channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelActionKind {
    Allocate,
    Free,
    /// Somebody took, or tried to take, what is kept for others.
    Override,
}

impl ChannelActionKind {
    /// Its name in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allocate => "ALLOCATE",
            Self::Free => "FREE",
            Self::Override => "OVERRIDE",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Allocate, Self::Free, Self::Override].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Who did what about channels, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelAction {
    pub kind: ChannelActionKind,
    /// Of [`ChannelActionKind::Allocate`].
    pub channel: Option<ChannelKey>,
    /// Of [`ChannelActionKind::Override`].
    pub hold_id: Option<HoldId>,
    pub seat_ids: Vec<SeatId>,
    pub area_ids: Vec<AreaId>,
    pub actor: String,
    pub reason: String,
}

/// An action from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAction {
    /// A later one has a higher number.
    pub number: i64,
    pub action: ChannelAction,
    pub create_time: OffsetDateTime,
}

/// A share of an area that is to be kept for a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRequest {
    pub event_id: EventId,
    pub channel: ChannelKey,
    /// The area that its units come from.
    pub area_id: AreaId,
    pub share_area_id: AreaId,
    /// Where it is made.
    pub name: String,
    /// The share's capacity from then on.
    pub quantity: u32,
    pub actor: String,
    pub reason: String,
}

/// What is kept for a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allocation {
    /// In chart order.
    pub seat_ids: Vec<SeatId>,
    pub shares: Vec<Area>,
}

impl Chart {
    /// What is kept for which channel.
    pub fn allocations(&self) -> BTreeMap<ChannelKey, Allocation> {
        let mut allocations: BTreeMap<ChannelKey, Allocation> = BTreeMap::new();
        for seat in self.seats_in_order() {
            if let Some((channel, seat_id)) = self.seat_channel(*seat).zip(self.seat_id(*seat)) {
                allocations.entry(channel.clone()).or_default().seat_ids.push(seat_id.clone());
            }
        }
        for area in &self.areas {
            if let Some(channel) = &area.channel {
                allocations.entry(channel.clone()).or_default().shares.push(area.clone());
            }
        }
        allocations
    }
}

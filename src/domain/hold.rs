//! A hold: what it is made of, what it can be at, how it can end.

use serde::{Deserialize, Serialize};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    AreaId, AreaIndex, BestAvailable, EventId, HoldId, HolderId, OrderId, PriceCategoryId, SeatId,
    SeatIndex, SectionId,
};

/// What a hold is at. The letter is its code in Redis.
///
/// Active goes to Confirming, Released or Expired; Confirming goes to
/// Confirmed, or back to free as Expired or Lost; nothing leaves the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldState {
    #[serde(rename = "A")]
    Active,
    #[serde(rename = "C")]
    Confirming,
    #[serde(rename = "S")]
    Confirmed,
    #[serde(rename = "R")]
    Released,
    #[serde(rename = "E")]
    Expired,
    #[serde(rename = "L")]
    Lost,
}

/// How a hold ended: decided once, by the primary key of its outcome row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Confirmed(OrderId),
    Released,
    Expired,
    Lost,
}

/// How a hold ends otherwise than by a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsold {
    Released,
    Expired,
    Lost,
}

impl Outcome {
    /// Its name in Postgres.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed(_) => "confirmed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Lost => "lost",
        }
    }
}

impl From<Unsold> for Outcome {
    fn from(unsold: Unsold) -> Self {
        match unsold {
            Unsold::Released => Self::Released,
            Unsold::Expired => Self::Expired,
            Unsold::Lost => Self::Lost,
        }
    }
}

impl From<Outcome> for HoldState {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Confirmed(_) => Self::Confirmed,
            Outcome::Released => Self::Released,
            Outcome::Expired => Self::Expired,
            Outcome::Lost => Self::Lost,
        }
    }
}

/// A hold that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub hold_id: HoldId,
    pub outcome: Outcome,
    /// What its order has, where it has one: seats in ascending order, and how
    /// many seats and area units together.
    pub seats: Vec<SeatIndex>,
    pub units: u32,
}

/// A hold as its holder sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub hold_id: HoldId,
    pub event_id: EventId,
    pub holder_id: HolderId,
    pub seat_ids: Vec<SeatId>,
    pub areas: Vec<(AreaId, u32)>,
    pub state: HoldState,
    pub create_time: OffsetDateTime,
    pub expire_time: OffsetDateTime,
    pub order_id: Option<OrderId>,
}

/// A hold as the stores keep it, by the chart's numbers. In Redis a MessagePack
/// array in this order, which `prelude.lua` names too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct HoldRecord {
    pub holder_id: HolderId,
    /// Of the content that made it; see [`fingerprint`].
    pub fingerprint: String,
    pub state: HoldState,
    /// Redis' clock, ms since 1970; as all times here.
    pub created_ms: i64,
    pub expires_ms: i64,
    /// 0 while it lives, until a Release asks for all that it has: then it can end only.
    pub ended_ms: i64,
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<AreaHolding>,
    /// The order that sold it, or, before, the one that was made of it, or is being made:
    /// then it stays as it is.
    #[serde(with = "absent_as_empty")]
    pub order_id: Option<OrderId>,
    /// The entry of this epoch's log that made or changed it last; 0 where it
    /// comes from an epoch before.
    pub seq: u64,
    /// How often it was asked for, where it must be journaled before anybody is
    /// answered; 0 where not.
    pub asked: u64,
}

impl HoldRecord {
    /// The hold after it ended so.
    #[must_use]
    pub fn ended(self, outcome: Outcome) -> Self {
        let order_id = match outcome {
            Outcome::Confirmed(order_id) => Some(order_id),
            _ => None,
        };
        Self { state: outcome.into(), order_id, ..self }
    }

    /// Whether the journal must have it before anybody is answered.
    pub fn must_be_journaled(&self) -> bool {
        self.asked > 0
    }

    /// Seats and area units together.
    pub fn units(&self) -> u32 {
        let seats = u32::try_from(self.seats.len()).unwrap_or(u32::MAX);
        self.areas.iter().fold(seats, |sum, area| sum.saturating_add(area.quantity))
    }
}

/// Units of one area that a hold has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct AreaHolding {
    pub area: AreaIndex,
    pub quantity: u32,
    /// When the hold was made, or changed last; partial releases count from here.
    pub at_first: u32,
}

/// Lua's arrays end at the first nil, so what is absent is an empty text.
mod absent_as_empty {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use uuid::Uuid;

    use super::OrderId;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(order: &Option<OrderId>, to: S) -> Result<S::Ok, S::Error> {
        match order {
            Some(OrderId(id)) => to.serialize_str(&id.simple().to_string()),
            None => to.serialize_str(""),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OrderId>, D::Error> {
        match String::deserialize(from)?.as_str() {
            "" => Ok(None),
            text => Uuid::try_parse(text).map(OrderId).map(Some).map_err(D::Error::custom),
        }
    }
}

/// Units of one area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AreaUnits {
    pub area: AreaIndex,
    pub quantity: u32,
}

/// What a request names, by the chart's numbers, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    pub seats: Vec<SeatIndex>,
    pub areas: Vec<AreaUnits>,
}

impl Items {
    /// Seats and area units together.
    pub fn units(&self) -> u32 {
        let seats = u32::try_from(self.seats.len()).unwrap_or(u32::MAX);
        self.areas.iter().fold(seats, |sum, area| sum.saturating_add(area.quantity))
    }
}

/// A digest of what a Hold asks for, by which the same `hold_id` with other
/// content is told from a repetition: 16 hexadecimal digits. The order in
/// which seats and areas are named does not count.
pub fn fingerprint(holder_id: &HolderId, items: &Items, ttl_ms: Option<u64>) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{holder_id} {ttl_ms:?} {:?} {:?}", items.seats, items.areas));
    hex::encode(&digest.finalize()[..8])
}

/// As [`fingerprint`], of a Hold that asks for the best available: of what is asked for,
/// not of what is found.
pub fn fingerprint_of_best(
    holder_id: &HolderId,
    asked: &BestAvailable,
    areas: &[AreaUnits],
    ttl_ms: Option<u64>,
) -> String {
    let BestAvailable { quantity, section_id, price_category_id, allow_split } = asked;
    let (section, category) = (
        section_id.as_ref().map_or("", SectionId::as_str),
        price_category_id.as_ref().map_or("", PriceCategoryId::as_str),
    );
    let best = format!("best {quantity} {section} {category} {allow_split}");
    let mut digest = Sha256::new();
    digest.update(format!("{holder_id} {ttl_ms:?} {best} {areas:?}"));
    hex::encode(&digest.finalize()[..8])
}

//! A waiting list: parties that want what is freed, and what would do for them.

use std::{collections::HashMap, sync::Arc};

use time::OffsetDateTime;

use super::{
    AreaId, BestAvailable, Chart, EventId, FreeSeats, HoldId, HolderId, PriceCategoryId, Seat,
    SeatIndex, SectionId, WaitingEntryId,
};

/// What an entry is at; in the order in which it can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitingState {
    Waiting,
    /// It has a hold.
    Offered,
    /// That was sold.
    Fulfilled,
    /// That ran out, was released or was lost.
    Lapsed,
    Left,
}

impl WaitingState {
    /// From its name in Postgres.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "WAITING" => Self::Waiting,
            "OFFERED" => Self::Offered,
            "FULFILLED" => Self::Fulfilled,
            "LAPSED" => Self::Lapsed,
            "LEFT" => Self::Left,
            _ => return None,
        })
    }

    /// Whether nothing leaves it.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Fulfilled | Self::Lapsed | Self::Left)
    }
}

/// Who wants what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub holder_id: HolderId,
    /// Seats beside each other, or units of the area.
    pub size: u32,
    pub section_id: Option<SectionId>,
    pub price_category_id: Option<PriceCategoryId>,
    /// Instead of seats.
    pub area_id: Option<AreaId>,
}

/// A party on a waiting list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEntry {
    pub entry_id: WaitingEntryId,
    pub event_id: EventId,
    pub party: Party,
    pub state: WaitingState,
    /// Entries that wait before it; 0 where it does not wait.
    pub ahead: u64,
    /// Once it was offered.
    pub hold_id: Option<HoldId>,
    pub expire_time: Option<OffsetDateTime>,
    pub create_time: OffsetDateTime,
}

/// What a party is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Seats(Vec<SeatIndex>),
    Units(AreaId, u32),
}

/// What is free of a house, while it is handed out in order of joining.
#[derive(Debug)]
pub struct Free {
    seats: FreeSeats,
    /// How many of them are anybody's: not kept for a channel, nor for wheelchairs.
    seats_left: usize,
    /// By area index.
    units: Vec<u32>,
    /// The smallest party that found no seats; a larger one finds none either, for what
    /// is free only gets less.
    in_vain: HashMap<(Option<SectionId>, Option<PriceCategoryId>), u32>,
}

impl Free {
    /// Of what the map says, only what is not kept for a channel.
    pub fn new(
        chart: &Arc<Chart>,
        is_free: impl Fn(SeatIndex) -> bool,
        mut units: Vec<u32>,
    ) -> Self {
        let all = chart.sections.iter().flat_map(|section| &section.rows);
        let all = all.flat_map(|row| &row.seats).zip(chart.seats_in_order());
        let is_left = |(seat, index): &(&Seat, &SeatIndex)| {
            seat.channel.is_none() && !seat.accessible && is_free(**index)
        };
        let seats_left = all.filter(is_left).count();
        units.resize(chart.areas.len(), 0);
        for (units, area) in units.iter_mut().zip(&chart.areas) {
            if area.channel.is_some() {
                *units = 0;
            }
        }
        let seats = FreeSeats::new(chart.clone(), is_free);
        Self { seats, seats_left, units, in_vain: HashMap::new() }
    }

    /// Whether there is nothing for anybody.
    pub fn is_empty(&self) -> bool {
        self.seats_left == 0 && self.units.iter().all(|&units| units == 0)
    }

    /// Takes the best that fits a party.
    pub fn take(&mut self, party: &Party) -> Option<Block> {
        if let Some(area_id) = &party.area_id {
            let areas = &self.seats.chart().areas;
            let area = areas.iter().position(|area| area.area_id == *area_id)?;
            let units = self.units.get_mut(area)?;
            *units = units.checked_sub(party.size)?;
            return Some(Block::Units(area_id.clone(), party.size));
        }
        let kind = (party.section_id.clone(), party.price_category_id.clone());
        if self.in_vain.get(&kind).is_some_and(|&size| party.size >= size) {
            return None;
        }
        let asked = BestAvailable {
            quantity: party.size,
            section_id: party.section_id.clone(),
            price_category_id: party.price_category_id.clone(),
            allow_split: false,
        };
        let Some(block) = self.seats.best(&asked, |_| false, 0) else {
            self.in_vain.insert(kind, party.size);
            return None;
        };
        self.seats.set(block.iter().map(|&seat| (seat, false)));
        self.seats_left = self.seats_left.saturating_sub(block.len());
        Some(Block::Seats(block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Area, Currency, Money, PriceCategory, Row, Section};

    fn seat(number: u32, price: &str) -> Seat {
        Seat {
            seat_id: format!("A-{number}").parse().unwrap(),
            price_category_id: price.parse().unwrap(),
            accessible: number == 3,
            x: 0.0,
            y: 0.0,
            channel: (number == 6).then(|| "fans".parse().unwrap()),
        }
    }

    fn area(id: &str, channel: Option<&str>) -> Area {
        Area {
            area_id: id.parse().unwrap(),
            name: id.into(),
            capacity: 10,
            price_category_id: "low".parse().unwrap(),
            channel: channel.map(|key| key.parse().unwrap()),
            share_of: None,
        }
    }

    /// One row of ten: the first five high, the others low; the third is for
    /// wheelchairs, the sixth for fans.
    fn house() -> Arc<Chart> {
        let currency: Currency = "EUR".parse().unwrap();
        let price = |id: &str| PriceCategory {
            price_category_id: id.parse().unwrap(),
            name: id.into(),
            price: Money { currency, micros: 1_000_000 },
        };
        let seats = (1..=10).map(|n| seat(n, if n <= 5 { "high" } else { "low" })).collect();
        let rows = vec![Row { row_id: "A".parse().unwrap(), seats }];
        let section_id = "stalls".parse().unwrap();
        let sections = vec![Section { section_id, name: "Stalls".into(), rows }];
        let areas = vec![area("floor", None), area("pit", Some("fans"))];
        let order = (0..10).map(SeatIndex).collect();
        Arc::new(Chart::new(vec![price("high"), price("low")], sections, areas, order))
    }

    fn party(size: u32, category: Option<&str>, area: Option<&str>) -> Party {
        Party {
            holder_id: "ann".parse().unwrap(),
            size,
            section_id: None,
            price_category_id: category.map(|id| id.parse().unwrap()),
            area_id: area.map(|id| id.parse().unwrap()),
        }
    }

    #[test]
    fn what_is_kept_for_others_is_nobodys() {
        let chart = house();
        let mut free = Free::new(&chart, |_| true, vec![5, 5]);
        assert_eq!(free.take(&party(1, None, Some("pit"))), None);
        assert_eq!(free.take(&party(5, None, None)), None, "two, two and four are together");
        let mut given = Vec::new();
        while let Some(Block::Seats(seats)) = free.take(&party(1, None, None)) {
            given.extend(seats.iter().map(|seat| seat.0 + 1));
        }
        given.sort_unstable();
        assert_eq!(given, [1, 2, 4, 5, 7, 8, 9, 10]);
    }

    #[test]
    fn each_gets_what_it_asks_for_and_nothing_twice() {
        let chart = house();
        let mut free = Free::new(&chart, |seat| seat.0 != 7, vec![5, 0]);
        let seats =
            |seats: &[u32]| Some(Block::Seats(seats.iter().map(|&s| SeatIndex(s)).collect()));
        assert_eq!(free.take(&party(2, Some("low"), None)), seats(&[8, 9]));
        assert_eq!(free.take(&party(2, Some("low"), None)), None);
        assert_eq!(free.take(&party(1, Some("low"), None)), seats(&[6]));
        assert!(free.take(&party(2, Some("high"), None)).is_some());
        assert!(free.take(&party(2, None, None)).is_some());
        assert_eq!(free.take(&party(1, None, None)), None);
        let floor = "floor".parse().unwrap();
        assert_eq!(free.take(&party(6, None, Some("floor"))), None);
        assert_eq!(free.take(&party(4, None, Some("floor"))), Some(Block::Units(floor, 4)));
        assert!(!free.is_empty());
        assert!(free.take(&party(1, None, Some("floor"))).is_some());
        assert!(free.is_empty());
    }
}

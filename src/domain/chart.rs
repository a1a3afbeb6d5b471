//! The house as it is sold. Seats and areas are numbered in the order in which
//! they were added; a number never changes, and a chart only ever grows.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    AreaId, ChannelKey, Currency, Items, Money, PriceCategoryId, Refusal, RowId, SeatId, SectionId,
    hold::AreaUnits,
};

/// A seat's number within its event, from 0 up: its field in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeatIndex(pub u32);

/// An area's number within its event, from 0 up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AreaIndex(pub u32);

/// A price that many seats share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceCategory {
    pub price_category_id: PriceCategoryId,
    pub name: String,
    pub price: Money,
}

/// A part of the house, its rows best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    pub section_id: SectionId,
    pub name: String,
    pub rows: Vec<Row>,
}

/// Seats in the order in which they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub row_id: RowId,
    pub seats: Vec<Seat>,
}

/// One place to sit. `x` and `y` are metres from the stage's middle.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    pub seat_id: SeatId,
    pub price_category_id: PriceCategoryId,
    pub accessible: bool,
    pub x: f32,
    pub y: f32,
    /// Kept for whoever knows this key.
    pub channel: Option<ChannelKey>,
}

/// Places that are sold by number, not by seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    pub area_id: AreaId,
    pub name: String,
    pub capacity: u32,
    pub price_category_id: PriceCategoryId,
    /// Kept for whoever knows this key.
    pub channel: Option<ChannelKey>,
    /// The area that it is a share of.
    pub share_of: Option<AreaId>,
}

/// A chart as a caller draws it, its seats not yet numbered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChartDraft {
    pub price_categories: Vec<PriceCategory>,
    /// Best first.
    pub sections: Vec<Section>,
    pub areas: Vec<Area>,
}

impl ChartDraft {
    /// How many seats there are.
    pub fn seat_count(&self) -> usize {
        all_seats(&self.sections).count()
    }
}

/// A whole chart, and the ways from id to number and back.
#[derive(Debug, Default)]
pub struct Chart {
    pub price_categories: Vec<PriceCategory>,
    /// Best first.
    pub sections: Vec<Section>,
    /// By [`AreaIndex`].
    pub areas: Vec<Area>,
    /// Chart order to number, for every seat of `sections` in turn.
    order: Vec<SeatIndex>,
    /// Where each row begins in `order`, and where the last one ends.
    row_starts: Vec<usize>,
    /// Where each seat is in `order`, by [`SeatIndex`].
    places: Vec<u32>,
    /// By [`SeatIndex`].
    seats: Vec<(SeatId, Money)>,
    seat_indexes: HashMap<SeatId, SeatIndex>,
    area_indexes: HashMap<AreaId, AreaIndex>,
    /// Seats that are kept for channels.
    channels: HashMap<SeatIndex, ChannelKey>,
    prices: HashMap<PriceCategoryId, Money>,
}

impl Chart {
    /// Puts a chart together from its parts. `order` numbers the seats of
    /// `sections`, in turn.
    ///
    /// # Panics
    /// Where a seat or area names a price category that is not there, or
    /// `order` does not number all seats from 0 up: both are guarded by the
    /// ledger's constraints.
    pub fn new(
        price_categories: Vec<PriceCategory>,
        sections: Vec<Section>,
        areas: Vec<Area>,
        order: Vec<SeatIndex>,
    ) -> Self {
        let prices: HashMap<_, _> =
            price_categories.iter().map(|c| (c.price_category_id.clone(), c.price)).collect();
        let kept = all_seats(&sections).zip(&order);
        let channels = kept.filter_map(|(seat, &index)| Some((index, seat.channel.clone()?)));
        let channels = channels.collect();
        let mut seats = vec![None; order.len()];
        for (seat, index) in all_seats(&sections).zip(&order) {
            let price = prices[&seat.price_category_id];
            seats[index.0 as usize] = Some((seat.seat_id.clone(), price));
        }
        let seats: Vec<_> =
            seats.into_iter().map(|seat| seat.expect("every seat has a number")).collect();
        let seat_indexes =
            (0..).map(SeatIndex).zip(&seats).map(|(index, (id, _))| (id.clone(), index)).collect();
        let area_indexes =
            (0..).map(AreaIndex).zip(&areas).map(|(i, area)| (area.area_id.clone(), i)).collect();
        let rows = sections.iter().flat_map(|section| &section.rows);
        let mut row_starts = vec![0];
        row_starts.extend(rows.scan(0, |end, row| {
            *end += row.seats.len();
            Some(*end)
        }));
        let mut places = vec![0; order.len()];
        for (place, seat) in (0..).zip(&order) {
            places[seat.0 as usize] = place;
        }
        Self {
            price_categories,
            sections,
            areas,
            order,
            row_starts,
            places,
            seats,
            seat_indexes,
            area_indexes,
            channels,
            prices,
        }
    }

    /// How many seats there are; their numbers are all below.
    pub fn seat_count(&self) -> usize {
        self.seats.len()
    }

    /// The numbers of all seats, in chart order: best section, row first.
    pub fn seats_in_order(&self) -> &[SeatIndex] {
        &self.order
    }

    /// The seats of the row that a seat stands in, and its place among them.
    ///
    /// # Panics
    /// For a seat that the chart does not have.
    pub fn row_of(&self, seat: SeatIndex) -> (&[SeatIndex], usize) {
        let place = self.places[seat.0 as usize] as usize;
        let row = self.row_starts.partition_point(|&start| start <= place);
        let start = self.row_starts[row - 1];
        (&self.order[start..self.row_starts[row]], place - start)
    }

    /// The seat of a number; `None` where the chart has since grown.
    pub fn seat_id(&self, index: SeatIndex) -> Option<&SeatId> {
        self.seats.get(index.0 as usize).map(|(id, _)| id)
    }

    /// What a seat costs.
    pub fn seat_price(&self, index: SeatIndex) -> Option<Money> {
        self.seats.get(index.0 as usize).map(|&(_, price)| price)
    }

    /// The channel that a seat is kept for.
    pub fn seat_channel(&self, index: SeatIndex) -> Option<&ChannelKey> {
        self.channels.get(&index)
    }

    /// The channel that an area is kept for.
    pub fn area_channel(&self, index: AreaIndex) -> Option<&ChannelKey> {
        self.areas.get(index.0 as usize)?.channel.as_ref()
    }

    /// The area of a number; `None` where the chart has since grown.
    pub fn area_id(&self, index: AreaIndex) -> Option<&AreaId> {
        self.areas.get(index.0 as usize).map(|area| &area.area_id)
    }

    /// What a unit of an area costs.
    pub fn area_price(&self, index: AreaIndex) -> Option<Money> {
        let area = self.areas.get(index.0 as usize)?;
        self.prices.get(&area.price_category_id).copied()
    }

    /// What a category costs.
    pub fn price(&self, category: &PriceCategoryId) -> Option<Money> {
        self.prices.get(category).copied()
    }

    /// The chart as a caller would draw it.
    pub fn draft(&self) -> ChartDraft {
        ChartDraft {
            price_categories: self.price_categories.clone(),
            sections: self.sections.clone(),
            areas: self.areas.clone(),
        }
    }

    /// The currency of all its prices; `None` where it has no prices.
    pub fn currency(&self) -> Option<Currency> {
        self.price_categories.first().map(|category| category.price.currency)
    }

    /// The seats' numbers, ascending.
    ///
    /// # Errors
    /// [`Refusal::SeatNotFound`] with every seat that the chart does not have.
    pub fn seat_indexes(&self, seat_ids: &[SeatId]) -> Result<Vec<SeatIndex>, Refusal> {
        let (mut known, mut unknown) = (Vec::with_capacity(seat_ids.len()), Vec::new());
        for seat_id in seat_ids {
            match self.seat_indexes.get(seat_id) {
                Some(&index) => known.push(index),
                None => unknown.push(seat_id.clone()),
            }
        }
        if !unknown.is_empty() {
            return Err(Refusal::SeatNotFound(unknown));
        }
        known.sort_unstable();
        Ok(known)
    }

    /// The numbers of all that a request names.
    ///
    /// # Errors
    /// [`Refusal::SeatNotFound`], then [`Refusal::AreaNotFound`], each with
    /// everything that the chart does not have.
    pub fn items(&self, seat_ids: &[SeatId], areas: &[(AreaId, u32)]) -> Result<Items, Refusal> {
        let seats = self.seat_indexes(seat_ids)?;
        let (mut known, mut unknown) = (Vec::with_capacity(areas.len()), Vec::new());
        for (area_id, quantity) in areas {
            match self.area_indexes.get(area_id) {
                Some(&area) => known.push(AreaUnits { area, quantity: *quantity }),
                None => unknown.push(area_id.clone()),
            }
        }
        if !unknown.is_empty() {
            return Err(Refusal::AreaNotFound(unknown));
        }
        known.sort_unstable();
        Ok(Items { seats, areas: known })
    }
}

/// Every seat of the sections, in chart order.
fn all_seats(sections: &[Section]) -> impl Iterator<Item = &Seat> {
    sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats)
}

//! Seats together: which are the best that are free.
//!
//! The rules are those that ticketing publishes of its "best available": seats beside
//! each other in one row that leave no single seat alone come first, such that leave one
//! next, seats that are not together last (seats.io, "The best available seat
//! algorithm"). Where that goes by the distance from a focal point, this goes by the
//! chart's own order, which says more than metres do: sections and rows as they are
//! listed, and in a row the middle first.
//!
//! So a block that leaves nobody alone is taken in a worse row before one that does in a
//! better row: a single seat is hard to sell, and who wants this section or no other
//! names it. A run of free seats that is filled exactly leaves none alone; what was alone
//! before is not counted.
//!
//! What is left beside a block is where single seats come from later: an odd number of
//! seats on both sides, filled by pairs, leaves two alone, and an even one none. So a block
//! stands one seat off the middle where that makes both numbers even.
//!
//! Each row knows the lengths of its runs, so that rows which cannot have the block are
//! passed over by a glance: a full house is looked through as fast as an empty one.

mod row;
mod split;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::{ChannelKey, Chart, PriceCategoryId, Refusal, SeatIndex, SectionId};
use row::{Cell, Place, Row};

/// What somebody wants who does not choose seats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BestAvailable {
    pub quantity: u32,
    pub section_id: Option<SectionId>,
    pub price_category_id: Option<PriceCategoryId>,
    /// Whether several blocks of a section will do.
    pub allow_split: bool,
}

impl BestAvailable {
    /// Whether the chart has what it names.
    ///
    /// # Errors
    /// [`Refusal::InvalidField`] where it does not.
    pub fn check(&self, chart: &Chart) -> Result<(), Refusal> {
        if let Some(section_id) = &self.section_id
            && !chart.sections.iter().any(|section| section.section_id == *section_id)
        {
            let why = "must be a section of the event's chart";
            return Err(Refusal::field("best_available.section_id", why));
        }
        if let Some(category) = &self.price_category_id
            && chart.price(category).is_none()
        {
            let why = "must be a price category of the event's chart";
            return Err(Refusal::field("best_available.price_category_id", why));
        }
        Ok(())
    }
}

/// Which seats of a chart are free, by rows.
#[derive(Debug)]
pub struct FreeSeats {
    chart: Arc<Chart>,
    /// Of all sections, best first.
    rows: Vec<Row>,
    /// Which of the rows each section has.
    sections: Vec<Range<usize>>,
    /// By [`SeatIndex`]: which row, and where in it.
    places: Vec<(u32, u32)>,
    /// What seats are kept for; a seat names it by its number.
    channels: Vec<ChannelKey>,
}

/// What is asked for, by the numbers of a chart.
#[derive(Debug)]
struct Wanted {
    quantity: usize,
    category: Option<u16>,
    /// By number: whether the channel's seats may be given.
    opened: Vec<bool>,
}

impl FreeSeats {
    /// The seats of a chart, free where `is_free` says so.
    pub fn new(chart: Arc<Chart>, is_free: impl Fn(SeatIndex) -> bool) -> Self {
        let categories: HashMap<_, u16> =
            chart.price_categories.iter().map(|c| &c.price_category_id).zip(0..).collect();
        let mut channels = Vec::new();
        let mut numbers = HashMap::new();
        let (mut rows, mut sections) = (Vec::new(), Vec::new());
        let mut places = vec![(0, 0); chart.seat_count()];
        let mut seats = chart.seats_in_order().iter().copied();
        for section in &chart.sections {
            let first = rows.len();
            for row in &section.rows {
                let number = u32::try_from(rows.len()).expect("rows are few");
                let places =
                    row.seats.iter().zip(&mut seats).zip(0_u32..).map(|((seat, index), at)| {
                        places[index.0 as usize] = (number, at);
                        let channel = seat.channel.as_ref().map(|channel| {
                            *numbers.entry(channel.clone()).or_insert_with(|| {
                                channels.push(channel.clone());
                                u16::try_from(channels.len() - 1).unwrap_or(u16::MAX)
                            })
                        });
                        Place {
                            seat: index,
                            category: categories[&seat.price_category_id],
                            channel,
                            accessible: seat.accessible,
                            is_free: is_free(index),
                        }
                    });
                rows.push(Row::new(places.collect()));
            }
            sections.push(first..rows.len());
        }
        drop(numbers);
        drop(categories);
        Self { chart, rows, sections, places, channels }
    }

    /// The chart that it knows the seats of.
    pub fn chart(&self) -> &Arc<Chart> {
        &self.chart
    }

    /// Notes that seats are free, or not. Those that the chart lacks are passed over.
    pub fn set(&mut self, seats: impl IntoIterator<Item = (SeatIndex, bool)>) {
        // Seats of a change stand together, most often.
        let mut touched = None;
        for (seat, is_free) in seats {
            let Some(&(row, at)) = self.places.get(seat.0 as usize) else { continue };
            if let Some(before) = touched.replace(row as usize)
                && before != row as usize
            {
                self.rows[before].measure();
            }
            self.rows[row as usize].places[at as usize].is_free = is_free;
        }
        if let Some(row) = touched {
            self.rows[row].measure();
        }
    }

    /// The best of the free seats, in the order in which they stand: the same seats
    /// free, the same answer. `may` says which channels' seats may be given. `skip`
    /// passes over so many blocks that are as good or better; where there are not so
    /// many, it counts on from the best one.
    ///
    /// `None` where there are no such seats, or the chart has not what is named.
    pub fn best(
        &self,
        asked: &BestAvailable,
        may: impl Fn(&ChannelKey) -> bool,
        skip: usize,
    ) -> Option<Vec<SeatIndex>> {
        let (wanted, sections) = self.wanted(asked, may)?;
        let rows = self.sections[sections.clone()].first()?.start
            ..self.sections[sections.clone()].last()?.end;
        // What leaves none alone, wherever it is; then one; then one at each end.
        let block = (0..=2).find_map(|alone| self.block(&rows, &wanted, alone, skip));
        block.or_else(|| match asked.allow_split {
            true => split::best(&self.rows, &self.sections[sections], &wanted, skip),
            false => None,
        })
    }

    fn wanted(
        &self,
        asked: &BestAvailable,
        may: impl Fn(&ChannelKey) -> bool,
    ) -> Option<(Wanted, Range<usize>)> {
        let sections = match &asked.section_id {
            None => 0..self.sections.len(),
            Some(id) => {
                let at = self.chart.sections.iter().position(|s| s.section_id == *id)?;
                at..at + 1
            }
        };
        let category = match &asked.price_category_id {
            None => None,
            Some(id) => {
                let all = &self.chart.price_categories;
                let at = all.iter().position(|c| c.price_category_id == *id)?;
                Some(u16::try_from(at).ok()?)
            }
        };
        let quantity = usize::try_from(asked.quantity).ok().filter(|&quantity| quantity > 0)?;
        let opened = self.channels.iter().map(may).collect();
        Some((Wanted { quantity, category, opened }, sections))
    }

    /// A block that leaves at most so many `alone`, after `skip` others.
    fn block(
        &self,
        rows: &Range<usize>,
        wanted: &Wanted,
        alone: usize,
        skip: usize,
    ) -> Option<Vec<SeatIndex>> {
        let (mut left, mut cells) = (skip, Vec::new());
        for row in &self.rows[rows.clone()] {
            if !row.may_have(wanted.quantity, alone) {
                continue;
            }
            row.cells(wanted, &mut cells);
            while let Some(first) = row::best_block(&cells, wanted.quantity, alone) {
                let block = first..first + wanted.quantity;
                if left == 0 {
                    return Some(row.seats(block));
                }
                left -= 1;
                // Who else passes it over may not take it either: it counts as free.
                cells[block].fill(Cell::Open);
            }
        }
        match skip - left {
            0 => None,
            found => self.block(rows, wanted, alone, left % found),
        }
    }
}

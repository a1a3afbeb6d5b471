//! One row, and the blocks in it.

use std::ops::Range;

use super::{SeatIndex, Wanted};

/// A seat as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub seat: SeatIndex,
    /// Which price category, and which channel, by their numbers.
    pub category: u16,
    pub channel: Option<u16>,
    pub accessible: bool,
    pub is_free: bool,
}

/// Seats in the order in which they stand.
#[derive(Debug)]
pub(super) struct Row {
    pub places: Vec<Place>,
    /// Bit n: there is a run of n free seats that are not accessible; bit [`LONG`]: one
    /// at least so long.
    runs: u64,
    has_channels: bool,
}

const LONG: usize = 63;

/// What a seat is to somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// Not to be had.
    Closed,
    /// To be had by others, or at another price.
    Open,
    Wanted,
}

impl Row {
    pub fn new(places: Vec<Place>) -> Self {
        let has_channels = places.iter().any(|place| place.channel.is_some());
        let mut row = Self { places, runs: 0, has_channels };
        row.measure();
        row
    }

    /// Notes how long its runs are now.
    pub fn measure(&mut self) {
        let (mut runs, mut length) = (0, 0);
        for place in &self.places {
            if place.is_free && !place.accessible {
                length += 1;
            } else {
                runs |= 1 << length.min(LONG);
                length = 0;
            }
        }
        self.runs = (runs | 1 << length.min(LONG)) & !1;
    }

    /// Whether it is worth a look for a block that leaves at most so many alone; never
    /// no where there is one.
    pub fn may_have(&self, quantity: usize, alone: usize) -> bool {
        let from = |length: usize| u64::MAX << length.min(LONG);
        let long_enough = from(quantity);
        // A run one longer than the block leaves one alone, however it is placed; in
        // parts that are not for everybody it may be shorter.
        let leaves_one = match alone == 0 && !self.has_channels && quantity + 1 < LONG {
            true => 1 << (quantity + 1),
            false => 0,
        };
        self.runs & long_enough & !leaves_one != 0
    }

    /// What its seats are to somebody.
    pub fn cells(&self, wanted: &Wanted, cells: &mut Vec<Cell>) {
        cells.clear();
        cells.extend(self.places.iter().map(|place| {
            let may = |channel| wanted.opened[usize::from(channel)];
            if !place.is_free || place.accessible || !place.channel.is_none_or(may) {
                Cell::Closed
            } else if wanted.category.is_none_or(|category| category == place.category) {
                Cell::Wanted
            } else {
                Cell::Open
            }
        }));
    }

    pub fn seats(&self, places: Range<usize>) -> Vec<SeatIndex> {
        self.places[places].iter().map(|place| place.seat).collect()
    }
}

/// Where the best block begins that leaves at most so many alone: the fewest alone first,
/// then what leaves even numbers of seats beside it, then the nearest to the row's
/// middle, then the first.
pub(super) fn best_block(cells: &[Cell], quantity: usize, alone: usize) -> Option<usize> {
    let mut best = None;
    for run in runs(cells, |cell| cell != Cell::Closed) {
        if run.len() < quantity {
            continue;
        }
        let mut in_a_row = 0;
        for at in run.clone() {
            in_a_row = if cells[at] == Cell::Wanted { in_a_row + 1 } else { 0 };
            if in_a_row < quantity {
                continue;
            }
            let first = at + 1 - quantity;
            let (before, after) = (first - run.start, run.end - at - 1);
            let left_alone = usize::from(before == 1) + usize::from(after == 1);
            let odd = before % 2 == 1 && after % 2 == 1;
            let off_middle = (first + at + 1).abs_diff(cells.len());
            let rank = (left_alone, odd, off_middle, first);
            if left_alone <= alone && best.is_none_or(|best| rank < best) {
                best = Some(rank);
            }
        }
    }
    best.map(|(.., first)| first)
}

/// The longest runs of such cells, in order.
pub(super) fn runs(
    cells: &[Cell],
    is_in: impl Fn(Cell) -> bool,
) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = at + cells[at..].iter().position(|&cell| is_in(cell))?;
        let length = cells[first..].iter().position(|&cell| !is_in(cell));
        at = length.map_or(cells.len(), |length| first + length);
        Some(first..at)
    })
}

//! Several blocks of one section, where there is none for all.

use std::ops::Range;

use super::{
    SeatIndex, Wanted,
    row::{self, Cell, Row},
};

/// Free seats beside each other.
#[derive(Debug, Clone)]
struct Run {
    row: usize,
    places: Range<usize>,
}

/// How many runs there are of each length, up to the number of seats that is asked for.
struct Lengths(Vec<usize>);

impl Lengths {
    fn of(run: &Run, quantity: usize) -> usize {
        run.places.len().min(quantity)
    }

    /// How few of the runs have so many seats together.
    fn fewest(&self, quantity: usize) -> Option<usize> {
        let (mut left, mut fewest) = (quantity, 0);
        for (length, &count) in self.0.iter().enumerate().skip(1).rev() {
            let needed = left.div_ceil(length);
            if needed <= count {
                return Some(fewest + needed);
            }
            left -= count * length;
            fewest += count;
        }
        None
    }
}

/// As few blocks as can be, of the first section that can do with so few; in rows as near
/// to each other as can be, the best such rows first.
///
/// All blocks but the last are whole runs, the longest ones; the last is placed in its
/// run as a block that is asked for by itself.
pub(super) fn best(
    rows: &[Row],
    sections: &[Range<usize>],
    wanted: &Wanted,
    skip: usize,
) -> Option<Vec<SeatIndex>> {
    let quantity = wanted.quantity;
    let runs_of = |section: &Range<usize>| runs(&rows[section.clone()], section.start, wanted);
    let fewest = |runs: &[Run]| count(runs, quantity).fewest(quantity);
    let (blocks, runs) = sections
        .iter()
        .map(runs_of)
        .filter_map(|runs| Some((fewest(&runs)?, runs)))
        // The first of those that are alike.
        .min_by_key(|&(blocks, _)| blocks)?;
    let nearest = windows(&runs, quantity, blocks);
    let window = nearest.get(skip % nearest.len().max(1))?;
    let mut runs = runs[window.clone()].to_vec();
    // The longest first; of those that are alike, the first.
    runs.sort_by_key(|run| std::cmp::Reverse(run.places.len()));
    let (whole, others) = runs.split_at(blocks - 1);
    let rest = quantity - whole.iter().map(|run| run.places.len()).sum::<usize>();
    let last = (0..=2).find_map(|alone| last_block(rows, (whole, others), wanted, rest, alone))?;
    let mut blocks = [whole, &[last]].concat();
    blocks.sort_by_key(|run| (run.row, run.places.start));
    Some(blocks.into_iter().flat_map(|run| rows[run.row].seats(run.places)).collect())
}

fn runs(rows: &[Row], first: usize, wanted: &Wanted) -> Vec<Run> {
    let (mut cells, mut found) = (Vec::new(), Vec::new());
    for (row, number) in rows.iter().zip(first..) {
        if row.may_have(1, 2) {
            row.cells(wanted, &mut cells);
            let runs = row::runs(&cells, |cell| cell == Cell::Wanted);
            found.extend(runs.map(|places| Run { row: number, places }));
        }
    }
    found
}

fn count(runs: &[Run], quantity: usize) -> Lengths {
    let mut lengths = Lengths(vec![0; quantity + 1]);
    for run in runs {
        lengths.0[Lengths::of(run, quantity)] += 1;
    }
    lengths
}

/// The runs of as few rows, one after the other, as have the seats in so many blocks;
/// wherever there are so few. A window that slides: each row comes and goes once.
fn windows(runs: &[Run], quantity: usize, blocks: usize) -> Vec<Range<usize>> {
    let by_row: Vec<&[Run]> = runs.chunk_by(|a, b| a.row == b.row).collect();
    let mut lengths = Lengths(vec![0; quantity + 1]);
    let (mut first, mut begin, mut end) = (0, 0, 0);
    let (mut narrowest, mut found) = (usize::MAX, Vec::new());
    for row in &by_row {
        for run in *row {
            lengths.0[Lengths::of(run, quantity)] += 1;
        }
        end += row.len();
        while lengths.fewest(quantity).is_some_and(|fewest| fewest <= blocks) {
            let width = row[0].row - by_row[first][0].row;
            if width < narrowest {
                (narrowest, found) = (width, Vec::new());
            }
            if width == narrowest {
                found.push(begin..end);
            }
            let leaves = by_row[first];
            for run in leaves {
                lengths.0[Lengths::of(run, quantity)] -= 1;
            }
            begin += leaves.len();
            first += 1;
        }
    }
    found
}

/// The best block for the rest, in one of the others than are given whole.
fn last_block(
    rows: &[Row],
    (whole, others): (&[Run], &[Run]),
    wanted: &Wanted,
    rest: usize,
    alone: usize,
) -> Option<Run> {
    let mut others: Vec<&Run> = others.iter().collect();
    others.sort_by_key(|run| (run.row, run.places.start));
    let mut cells = Vec::new();
    for row in others.chunk_by(|a, b| a.row == b.row) {
        let number = row[0].row;
        rows[number].cells(wanted, &mut cells);
        for given in whole.iter().filter(|run| run.row == number) {
            cells[given.places.clone()].fill(Cell::Closed);
        }
        if let Some(first) = row::best_block(&cells, rest, alone) {
            return Some(Run { row: number, places: first..first + rest });
        }
    }
    None
}

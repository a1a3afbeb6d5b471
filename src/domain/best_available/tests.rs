//! Against the rules, said without any cleverness.

use std::{collections::HashSet, time::Instant};

use proptest::prelude::*;

use super::*;
use crate::domain::{Currency, Micros, Money, PriceCategory, Seat, Section};

/// A seat as a test draws it.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    is_free: bool,
    accessible: bool,
    category: u16,
    channel: Option<u8>,
}

type House = Vec<Vec<Vec<Drawn>>>;

const PLAIN: Drawn = Drawn { is_free: true, accessible: false, category: 0, channel: None };

fn key(channel: u8) -> ChannelKey {
    format!("channel-{channel}").parse().unwrap()
}

/// Its seats are numbered in the order in which they stand.
fn free_seats(house: &House) -> FreeSeats {
    let currency: Currency = "EUR".parse().unwrap();
    let category = |n: u16| -> PriceCategoryId { format!("category-{n}").parse().unwrap() };
    let prices = (0..2).map(|n| PriceCategory {
        price_category_id: category(n),
        name: String::new(),
        price: Money { currency, micros: Micros::default() },
    });
    let mut count = 0;
    let mut seat = |drawn: &Drawn| {
        count += 1;
        Seat {
            seat_id: format!("seat-{count}").parse().unwrap(),
            price_category_id: category(drawn.category),
            accessible: drawn.accessible,
            x: 0.0,
            y: 0.0,
            channel: drawn.channel.map(key),
        }
    };
    let sections: Vec<_> = (house.iter().zip(0..))
        .map(|(rows, s)| Section {
            section_id: format!("section-{s}").parse().unwrap(),
            name: String::new(),
            rows: (rows.iter().zip(0..))
                .map(|(row, r)| crate::domain::Row {
                    row_id: format!("row-{r}").parse().unwrap(),
                    seats: row.iter().map(&mut seat).collect(),
                })
                .collect(),
        })
        .collect();
    let order = (0..count).map(SeatIndex).collect();
    let chart = Chart::new(prices.collect(), sections, Vec::new(), order);
    let all: Vec<_> = house.iter().flatten().flatten().map(|seat| seat.is_free).collect();
    FreeSeats::new(Arc::new(chart), |seat| all[seat.0 as usize])
}

fn any_house(max_row: usize) -> impl Strategy<Value = House> {
    let seat = (any::<bool>(), 0..12_u8, 0..8_u16, 0..10_u8).prop_map(|(is_free, a, c, k)| Drawn {
        is_free,
        accessible: a == 0,
        category: u16::from(c == 0),
        channel: (k < 2).then_some(k),
    });
    let row = prop::collection::vec(seat, 1..max_row);
    prop::collection::vec(prop::collection::vec(row, 1..4), 1..4)
}

fn any_ask() -> impl Strategy<Value = (BestAvailable, bool)> {
    let named = (prop::option::weighted(0.3, 0..4_u8), prop::option::weighted(0.2, 0..2_u8));
    (1..7_u32, named, any::<bool>(), any::<bool>()).prop_map(
        |(quantity, (section, category), allow_split, has_key)| {
            let asked = BestAvailable {
                quantity,
                section_id: section.map(|n| format!("section-{n}").parse().unwrap()),
                price_category_id: category.map(|n| format!("category-{n}").parse().unwrap()),
                allow_split,
            };
            (asked, has_key)
        },
    )
}

/// A row as one sees it who asks: its place in the house, and for each seat its number,
/// whether it may be given, and whether it has the price.
struct Seen {
    section: usize,
    row: usize,
    seats: Vec<(u32, bool, bool)>,
}

fn seen(house: &House, asked: &BestAvailable, has_key: bool) -> Vec<Seen> {
    let (mut number, mut row_number, mut found) = (0, 0, Vec::new());
    for (s, rows) in house.iter().enumerate() {
        for row in rows {
            let seats = row.iter().map(|seat| {
                number += 1;
                let open = seat.is_free
                    && !seat.accessible
                    && seat.channel.is_none_or(|channel| has_key && channel == 0);
                let category = format!("category-{}", seat.category);
                let priced = asked.price_category_id.as_ref();
                let priced = priced.is_none_or(|asked| asked.as_str() == category);
                (number - 1, open, open && priced)
            });
            let row = Seen { section: s, row: row_number, seats: seats.collect() };
            row_number += 1;
            if asked.section_id.as_ref().is_none_or(|id| id.as_str() == format!("section-{s}")) {
                found.push(row);
            }
        }
    }
    found
}

/// How many it leaves alone, its row, whether both sides are odd, how far it is off the
/// middle, where it begins.
type Rank = (usize, usize, bool, usize, usize);

/// Every block there is, with its rank: the lower the better.
fn blocks(seen: &[Seen], quantity: usize) -> Vec<(Rank, Vec<u32>)> {
    let mut found = Vec::new();
    for row in seen {
        for (first, block) in row.seats.windows(quantity).enumerate() {
            if !block.iter().all(|seat| seat.2) {
                continue;
            }
            let is_open = |at: Option<usize>| {
                at.and_then(|at| row.seats.get(at)).is_some_and(|&(_, open, _)| open)
            };
            let end = first + quantity;
            let before = is_open(first.checked_sub(1)) && !is_open(first.checked_sub(2));
            let after = is_open(Some(end)) && !is_open(Some(end + 1));
            let alone = usize::from(before) + usize::from(after);
            let side = |seats: &mut dyn Iterator<Item = usize>| {
                seats.take_while(|&at| is_open(Some(at))).count()
            };
            let (left, right) = (side(&mut (0..first).rev()), side(&mut (end..row.seats.len())));
            let odd = left % 2 == 1 && right % 2 == 1;
            let off_middle = (first + end).abs_diff(row.seats.len());
            let seats = block.iter().map(|seat| seat.0).collect();
            found.push(((alone, row.row, odd, off_middle, first), seats));
        }
    }
    found.sort();
    found
}

/// For each section: the runs that may be given, as their rows and seats.
fn runs_by_section(seen: &[Seen]) -> Vec<Vec<(usize, Vec<u32>)>> {
    let mut sections: Vec<Vec<(usize, Vec<u32>)>> = Vec::new();
    for (i, row) in seen.iter().enumerate() {
        if i == 0 || seen[i - 1].section != row.section {
            sections.push(Vec::new());
        }
        let runs = row.seats.split(|seat| !seat.2).filter(|run| !run.is_empty());
        let runs = runs.map(|run| (row.row, run.iter().map(|seat| seat.0).collect()));
        sections.last_mut().unwrap().extend(runs);
    }
    sections
}

/// How few runs have so many seats together, and over how few rows such a choice goes.
fn fewest_and_nearest(runs: &[(usize, Vec<u32>)], quantity: usize) -> Option<(usize, usize)> {
    let choices = 0..1_u32 << runs.len();
    choices
        .filter_map(|choice| {
            let chosen = || runs.iter().enumerate().filter(move |(i, _)| choice >> i & 1 == 1);
            let seats: usize = chosen().map(|(_, run)| run.1.len()).sum();
            let rows = || chosen().map(|(_, run)| run.0);
            (seats >= quantity)
                .then(|| (chosen().count(), rows().max().unwrap() - rows().min().unwrap()))
        })
        .min()
}

fn best(free: &FreeSeats, asked: &BestAvailable, has_key: bool, skip: usize) -> Option<Vec<u32>> {
    let found = free.best(asked, |channel| has_key && *channel == key(0), skip);
    found.map(|seats| seats.into_iter().map(|seat| seat.0).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_better_block_was_free(house in any_house(14), (asked, has_key) in any_ask()) {
        let asked = BestAvailable { allow_split: false, ..asked };
        let quantity = asked.quantity as usize;
        let expected = blocks(&seen(&house, &asked, has_key), quantity);
        let free = free_seats(&house);
        let found = best(&free, &asked, has_key, 0);
        prop_assert_eq!(&found, &expected.first().map(|(_, seats)| seats.clone()));
        prop_assert_eq!(best(&free, &asked, has_key, 0), found, "the same again");
    }

    #[test]
    fn who_passes_over_some_gets_another_good_block(
        house in any_house(14), (asked, has_key) in any_ask(), skip in 0..9_usize
    ) {
        let asked = BestAvailable { allow_split: false, ..asked };
        let expected = blocks(&seen(&house, &asked, has_key), asked.quantity as usize);
        let free = free_seats(&house);
        let found = best(&free, &asked, has_key, skip);
        prop_assert_eq!(found.is_none(), expected.is_empty());
        if let Some(found) = found {
            let block = expected.iter().find(|(_, seats)| *seats == found);
            prop_assert!(block.is_some(), "it was free and together");
            prop_assert_eq!(block.unwrap().0.0 > 0, expected[0].0.0 > 0, "none alone for that");
        }
    }

    #[test]
    fn parts_are_few_and_near(house in any_house(8), (asked, has_key) in any_ask()) {
        let asked = BestAvailable { allow_split: true, ..asked };
        let quantity = asked.quantity as usize;
        let seen = seen(&house, &asked, has_key);
        let found = best(&free_seats(&house), &asked, has_key, 0);
        if let Some((_, seats)) = blocks(&seen, quantity).into_iter().next() {
            prop_assert_eq!(found, Some(seats), "together where that can be");
            return Ok(());
        }
        let sections = runs_by_section(&seen);
        let ways: Vec<_> = sections
            .iter()
            .filter_map(|runs| Some((fewest_and_nearest(runs, quantity)?, runs)))
            .collect();
        let Some((fewest, _)) = ways.iter().map(|way| way.0).min_by_key(|way| way.0) else {
            prop_assert_eq!(found, None);
            return Ok(());
        };
        let ((_, nearest), runs) = *ways.iter().find(|way| way.0.0 == fewest).unwrap();
        let found = found.unwrap();
        prop_assert_eq!(found.len(), quantity);
        prop_assert_eq!(found.iter().collect::<HashSet<_>>().len(), quantity, "each once");
        // What it took of each run of that section stands together.
        let parts: Vec<_> = runs
            .iter()
            .filter_map(|(row, run)| {
                let taken: Vec<_> = run.iter().filter(|seat| found.contains(seat)).collect();
                (!taken.is_empty()).then_some((*row, taken))
            })
            .collect();
        prop_assert_eq!(parts.iter().map(|part| part.1.len()).sum::<usize>(), quantity);
        let stands_together = |seats: &[&u32]| seats.windows(2).all(|two| two[0] + 1 == *two[1]);
        prop_assert!(parts.iter().all(|(_, seats)| stands_together(seats)));
        prop_assert_eq!(parts.len(), fewest, "as few blocks as can be");
        prop_assert_eq!(parts.last().unwrap().0 - parts[0].0, nearest, "as near as can be");
    }

    #[test]
    fn what_is_noted_counts_as_what_was_drawn(
        house in any_house(14), (asked, has_key) in any_ask(),
        changes in prop::collection::vec((0..100_u32, any::<bool>()), 0..40)
    ) {
        let mut free = free_seats(&house);
        let mut changed = house.clone();
        let seats: Vec<&mut Drawn> = changed.iter_mut().flatten().flatten().collect();
        let mut seats: Vec<_> = seats.into_iter().collect();
        for &(seat, is_free) in &changes {
            if let Some(seat) = seats.get_mut(seat as usize) {
                seat.is_free = is_free;
            }
        }
        free.set(changes.into_iter().map(|(seat, is_free)| (SeatIndex(seat), is_free)));
        let drawn = best(&free_seats(&changed), &asked, has_key, 0);
        prop_assert_eq!(best(&free, &asked, has_key, 0), drawn);
    }
}

fn ask(quantity: u32) -> BestAvailable {
    BestAvailable { quantity, section_id: None, price_category_id: None, allow_split: false }
}

/// Rows drawn as text: `.` free, `x` taken, `a` accessible, `k` a channel's.
fn drawn(rows: &[&str]) -> FreeSeats {
    let seat = |c| Drawn {
        is_free: c != 'x',
        accessible: c == 'a',
        channel: (c == 'k').then_some(0),
        ..PLAIN
    };
    free_seats(&vec![rows.iter().map(|row| row.chars().map(seat).collect()).collect()])
}

#[test]
fn the_rules_by_example() {
    let two = |rows: &[&str]| best(&drawn(rows), &ask(2), false, 0);
    assert_eq!(two(&[".......", "......."]), Some(vec![2, 3]), "the middle, the first of two");
    assert_eq!(two(&["........"]), Some(vec![2, 3]), "two and four are left, not three and three");
    assert_eq!(two(&["...xx", "....."]), Some(vec![5, 6]), "a worse row, and nobody is alone");
    assert_eq!(two(&["x...x", "x...x"]), Some(vec![1, 2]), "where it cannot be helped");
    assert_eq!(two(&["xx..x", "....."]), Some(vec![2, 3]), "filled exactly");
    assert_eq!(two(&[".a..x"]), Some(vec![2, 3]), "who was alone before is not counted");
    assert_eq!(two(&[".k.k."]), None);
    assert_eq!(best(&drawn(&[".k.k."]), &ask(2), true, 0), Some(vec![0, 1]));
    let split = BestAvailable { allow_split: true, ..ask(3) };
    let split = |rows: &[&str]| best(&drawn(rows), &split, false, 0);
    assert_eq!(split(&["..x.", "xxxx", "..xx"]), Some(vec![0, 1, 3]), "of one row");
    assert_eq!(split(&[".x.x", "xxxx", "x..x", ".xxx"]), Some(vec![9, 10, 12]), "few, and near");
}

#[test]
fn a_full_house_is_looked_through_as_fast_as_an_empty_one() {
    let house = |is_free: fn(usize) -> bool| {
        let row = |r: usize| -> Vec<_> {
            (0..40).map(|s| Drawn { is_free: is_free(r * 40 + s), ..PLAIN }).collect()
        };
        let section = |s: usize| (s * 50..s * 50 + 50).map(row).collect();
        free_seats(&(0..30).map(section).collect())
    };
    let last = ask(2);
    let cases: [(&str, FreeSeats, bool); 4] = [
        ("empty", house(|_| true), true),
        ("sold out but for single seats", house(|n| n % 3 == 0), false),
        ("sold out but for the last two", house(|n| n >= 59_998), true),
        ("threes in every row", house(|n| n % 4 != 0), true),
    ];
    for (name, free, has) in cases {
        let begun = Instant::now();
        let found = (0..100).filter(|_| free.best(&last, |_| false, 0).is_some()).count();
        println!("60,000 seats, {name}: {:?} a pick", begun.elapsed() / 100);
        assert_eq!(found > 0, has);
    }
}

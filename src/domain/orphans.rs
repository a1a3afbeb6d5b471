//! Single seats that a choice leaves alone: nobody who comes in company takes them.

use std::collections::HashSet;

use super::{Chart, SeatIndex};

/// What must be looked at to tell which single seats a choice leaves alone: each seat
/// that stands beside a chosen one, and the seat on its other side, unless that is
/// chosen, too, or the row ends there. Where the first is free and the second is not, or
/// is none, the first is left alone.
///
/// # Panics
/// For seats that the chart does not have.
pub fn beside(chart: &Chart, chosen: &[SeatIndex]) -> Vec<(SeatIndex, Option<SeatIndex>)> {
    let all: HashSet<_> = chosen.iter().copied().collect();
    let mut looked_at = HashSet::new();
    let mut found = Vec::new();
    for &seat in chosen {
        let (row, place) = chart.row_of(seat);
        let at = |place: Option<usize>| place.and_then(|place| row.get(place).copied());
        let sides = [
            (at(place.checked_sub(1)), at(place.checked_sub(2))),
            (at(place.checked_add(1)), at(place.checked_add(2))),
        ];
        for (next, beyond) in sides {
            if let Some(next) = next
                && !all.contains(&next)
                && looked_at.insert(next)
            {
                found.push((next, beyond.filter(|seat| !all.contains(seat))));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::{Currency, Money, PriceCategory, Row, Seat, Section};

    /// Two rows of five seats, numbered from 0.
    fn chart() -> Chart {
        let category = "stalls";
        let row = |row: u32| Row {
            row_id: format!("{row}").parse().unwrap(),
            seats: (0..5)
                .map(|n| Seat {
                    seat_id: format!("{row}-{n}").parse().unwrap(),
                    price_category_id: category.parse().unwrap(),
                    accessible: false,
                    x: 0.0,
                    y: 0.0,
                    channel: None,
                })
                .collect(),
        };
        let section = Section {
            section_id: "stalls".parse().unwrap(),
            name: String::new(),
            rows: vec![row(0), row(1)],
        };
        let currency: Currency = "EUR".parse().unwrap();
        let price = PriceCategory {
            price_category_id: category.parse().unwrap(),
            name: String::new(),
            price: Money { currency, micros: crate::domain::Micros::default() },
        };
        Chart::new(vec![price], vec![section], Vec::new(), (0..10).map(SeatIndex).collect())
    }

    #[rstest]
    #[case(&[0], &[(1, Some(2))])]
    #[case(&[1], &[(0, None), (2, Some(3))])]
    #[case(&[3], &[(2, Some(1)), (4, None)])]
    #[case(&[5], &[(6, Some(7))])]
    #[case(&[1, 3], &[(0, None), (2, None), (4, None)])]
    #[case(&[0, 1, 2, 3, 4], &[])]
    #[case(&[4, 5], &[(3, Some(2)), (6, Some(7))])]
    fn seats_beside_a_choice(#[case] chosen: &[u32], #[case] found: &[(u32, Option<u32>)]) {
        let chosen: Vec<_> = chosen.iter().copied().map(SeatIndex).collect();
        let expected: Vec<_> =
            found.iter().map(|&(seat, beyond)| (SeatIndex(seat), beyond.map(SeatIndex))).collect();
        assert_eq!(beside(&chart(), &chosen), expected);
    }
}

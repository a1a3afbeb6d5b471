//! Every seat and area of an event at one position.

use crate::{
    domain::{AreaState, Position, SeatStatus},
    holds::{Change, Snapshot},
};

/// The house as it is after all changes up to `position`.
#[derive(Debug, Clone)]
pub struct SeatMap {
    pub position: Position,
    /// By seat index.
    pub seats: Vec<SeatStatus>,
    /// By area index.
    pub areas: Vec<AreaState>,
}

impl From<Snapshot> for SeatMap {
    fn from(Snapshot { position, seats, areas }: Snapshot) -> Self {
        Self { position, seats, areas }
    }
}

impl SeatMap {
    /// Whether the entry is the very next change after this map.
    pub fn is_followed_by(&self, entry: &Change) -> bool {
        let Position { epoch, seq } = self.position;
        !entry.reset && entry.position == Position { epoch, seq: seq + 1 }
    }

    /// Makes the change; a seat or area that is new makes the map grow.
    pub fn apply(&mut self, entry: &Change) {
        for (status, seats) in &entry.seats {
            for seat in seats {
                put(&mut self.seats, seat.0, *status, SeatStatus::Available);
            }
        }
        for (area, state) in &entry.areas {
            put(&mut self.areas, area.0, *state, AreaState::default());
        }
        self.position = entry.position;
    }
}

fn put<T: Clone>(values: &mut Vec<T>, index: u32, value: T, missing: T) {
    let index = index as usize;
    if index >= values.len() {
        values.resize(index + 1, missing);
    }
    values[index] = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AreaIndex, Epoch, SeatIndex};

    #[test]
    fn a_map_takes_changes_in_order_and_grows() {
        let at = |seq| Position { epoch: Epoch(1), seq };
        let mut map = SeatMap { position: at(4), seats: vec![SeatStatus::Sold], areas: Vec::new() };
        let entry = Change {
            position: at(5),
            seats: vec![
                (SeatStatus::Held, vec![SeatIndex(2)]),
                (SeatStatus::Sold, vec![SeatIndex(2)]),
            ],
            areas: vec![(AreaIndex(0), AreaState { available: 3, capacity: 4 })],
            ..Change::default()
        };
        assert!(map.is_followed_by(&entry));
        map.apply(&entry);
        assert_eq!(map.seats, [SeatStatus::Sold, SeatStatus::Available, SeatStatus::Sold]);
        assert_eq!(map.areas, [AreaState { available: 3, capacity: 4 }]);
        assert!(!map.is_followed_by(&entry), "an entry is taken once");
    }
}

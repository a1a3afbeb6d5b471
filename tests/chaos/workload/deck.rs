//! What a client does next, drawn by weight.

use rand::{Rng, rngs::StdRng};

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Hold,
    /// A hold's id again, with other seats.
    HoldOther,
    Extend,
    ReleaseAll,
    ReleasePart,
    Confirm,
    /// By a payment that paid for another hold, perhaps.
    ConfirmShared,
    /// Whatever it is, by somebody who has no right to.
    Steal,
    GetHold,
    GetSeatMap,
    /// Something that was done before, once more.
    Again,
}

/// Each with its weight.
const WEIGHTS: [(Move, u32); 11] = [
    (Move::Hold, 34),
    (Move::HoldOther, 2),
    (Move::Extend, 7),
    (Move::ReleaseAll, 7),
    (Move::ReleasePart, 5),
    (Move::Confirm, 12),
    (Move::ConfirmShared, 1),
    (Move::Steal, 2),
    (Move::GetHold, 10),
    (Move::GetSeatMap, 10),
    (Move::Again, 10),
];

pub fn draw(random: &mut StdRng) -> Move {
    let sum = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut left = random.random_range(0..sum);
    for (drawn, weight) in WEIGHTS {
        match left.checked_sub(weight) {
            Some(rest) => left = rest,
            None => return drawn,
        }
    }
    Move::Hold
}

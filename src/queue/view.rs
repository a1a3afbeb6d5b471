//! Who waits, as it was at one moment, and where each place is in that.

use super::Scene;

/// As many numbers as each generation has; `prelude.lua` knows it, too.
const NUMBERS: u64 = 1 << 21;
const WORD_BITS: u64 = 64;

/// Where a place is in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// So many are before it.
    Waiting(u64),
    LetIn,
    /// It is not there: given up, or moved.
    Nowhere,
}

/// A queue at one moment.
#[derive(Debug)]
pub struct View {
    pub scene: Scene,
    generations: Vec<Generation>,
}

/// The numbers that were given in one go, without a loss of Redis between them.
#[derive(Debug)]
struct Generation {
    number: u64,
    waiting: Vec<u64>,
    let_in: Vec<u64>,
    /// Of each word of `waiting`, how many wait before it, in all generations.
    before: Vec<u64>,
}

impl View {
    /// From the bits of each generation, the earliest first: who waits, and who was let in.
    pub fn new(scene: Scene, generations: &[u64], bits: &[[Vec<u8>; 2]]) -> Self {
        let mut sum = 0;
        let generations = generations.iter().zip(bits).map(|(&number, [waiting, let_in])| {
            let waiting = words(waiting);
            let before = waiting.iter().map(|word| {
                let before = sum;
                sum += u64::from(word.count_ones());
                before
            });
            let before = before.collect();
            Generation { number, waiting, let_in: words(let_in), before }
        });
        let generations = generations.collect();
        Self { scene, generations }
    }

    /// Where the place of a number is.
    pub fn seen(&self, number: u64) -> Seen {
        let (generation, place) = (number / NUMBERS, number % NUMBERS);
        let found = self.generations.iter().find(|known| known.number == generation);
        let Some(Generation { waiting, let_in, before, .. }) = found else {
            return Seen::Nowhere;
        };
        let (word, bit) = ((place / WORD_BITS) as usize, place % WORD_BITS);
        // The first place is the highest bit.
        let is_set = |bits: &[u64]| bits.get(word).is_some_and(|bits| bits << bit >> 63 == 1);
        if is_set(waiting) {
            let earlier = waiting[word] >> 1 >> (WORD_BITS - 1 - bit);
            return Seen::Waiting(before[word] + u64::from(earlier.count_ones()));
        }
        if is_set(let_in) { Seen::LetIn } else { Seen::Nowhere }
    }
}

fn words(bits: &[u8]) -> Vec<u64> {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_be_bytes(word)
    };
    bits.chunks(8).map(word).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(places: &[bool]) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter().enumerate().fold(0, |byte, (i, &bit)| byte | u8::from(bit) << (7 - i))
        };
        places.chunks(8).map(byte).collect()
    }

    proptest! {
        /// As counting them one by one has it.
        #[test]
        fn each_place_has_all_before_it(
            early in proptest::collection::vec(any::<bool>(), 0..300),
            late in proptest::collection::vec(any::<bool>(), 0..300),
        ) {
            let scene = Scene { now_ms: 0, begun_ms: 0, waiting: 0, lately: 0 };
            let bits = [&early, &late].map(|places| [bytes(places), vec![0xff]]);
            let view = View::new(scene, &[7, 9], &bits);
            let mut ahead = 0;
            for (generation, places) in [(7, &early), (9, &late)] {
                for (place, &waits) in (0..).zip(places) {
                    let expected = match (waits, place < 8) {
                        (true, _) => Seen::Waiting(ahead),
                        (false, true) => Seen::LetIn,
                        (false, false) => Seen::Nowhere,
                    };
                    prop_assert_eq!(view.seen(generation * NUMBERS + place), expected);
                    ahead += u64::from(waits);
                }
            }
            prop_assert_eq!(view.seen(8 * NUMBERS), Seen::Nowhere);
            prop_assert_eq!(view.seen(9 * NUMBERS + 5_000), Seen::Nowhere);
        }
    }
}

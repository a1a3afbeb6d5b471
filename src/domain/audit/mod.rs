//! What an audit compares: pictures of one event from each place that keeps
//! it, every way in which they can differ, and the comparison.

mod compare;
mod difference;
mod pictures;
#[cfg(test)]
mod tests;
mod words;

pub use compare::{compare, compare_stream};
pub use difference::{Difference, Kind, Mend};
pub use pictures::{
    AreaBook, Counted, House, JournalRow, PostgresPicture, RULES, RecentSale, RedisPicture, Seen,
};

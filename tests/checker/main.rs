//! The checker of chaos runs is checked itself: it finds each promise broken,
//! and lets pass whatever can happen while all are kept.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the numbers of tests are small"
)]
#![expect(clippy::ptr_arg, reason = "all changes of a history have one type")]

#[path = "../chaos/checker/mod.rs"]
mod checker;
#[expect(clippy::struct_field_names, clippy::type_complexity, reason = "as in the contract")]
#[path = "../chaos/history.rs"]
mod history;

mod examples;
mod files;
mod mutants;
mod random;
mod simulator;
mod story;

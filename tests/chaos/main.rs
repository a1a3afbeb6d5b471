//! Breaks everything that can break while many clients hold, confirm, release
//! and watch few seats, and checks afterwards that every promise was kept.

mod history;

fn main() {}

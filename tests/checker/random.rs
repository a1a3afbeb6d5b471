//! Whatever can happen in a house that keeps its promises passes.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{checker, simulator};

const CASES: u32 = 400;

#[test]
fn what_keeps_every_promise_passes() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let what = (any::<u64>(), 20..400_usize, any::<bool>());
    TestRunner::new(config)
        .run(&what, |(seed, steps, journaled)| {
            let history = simulator::history(seed, steps, journaled);
            let verdict = checker::check(&history);
            prop_assert!(verdict.violations.is_empty(), "{verdict}");
            Ok(())
        })
        .unwrap();
}

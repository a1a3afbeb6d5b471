//! What a task works on: which trace it is in, and what is known of its call.

use std::{
    cell::{Cell, RefCell},
    future::Future,
};

use tokio::task_local;

use super::calls::Known;

/// A place in a trace: what is begun there is below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "as traceparent names them")]
pub struct Trace {
    /// 0 where there is none.
    pub(super) trace_id: u128,
    /// 0 where nothing was begun yet.
    pub(super) span_id: u64,
    /// Whether spans are made.
    pub(super) sampled: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Here {
    pub trace: Cell<Trace>,
    pub known: RefCell<Known>,
}

task_local! {
    pub(super) static HERE: Here;
}

/// Where this task is; nowhere, where it works for no call and no job.
pub(super) fn trace() -> Trace {
    HERE.try_with(|here| here.trace.get()).unwrap_or_default()
}

/// Says where this task is from now on.
pub(super) fn go_to(trace: Trace) {
    let _ = HERE.try_with(|here| here.trace.set(trace));
}

/// Work that is to have a task of its own, in the trace of this one.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let here = Here { trace: Cell::new(trace()), known: RefCell::default() };
    HERE.scope(here, work)
}

impl Trace {
    /// Where this task is, for whoever works for it elsewhere.
    pub fn here() -> Self {
        trace()
    }

    /// Work that is to be done at that place.
    pub fn around<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        HERE.scope(Here { trace: Cell::new(self), known: RefCell::default() }, work)
    }

    /// Whether spans are made.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }
}

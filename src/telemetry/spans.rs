//! Spans: what was done for a call or a job, from when to when. Made only where the
//! trace was sampled: otherwise each of these costs a look at the task's own memory.

use std::{borrow::Cow, future::Future, mem, time::SystemTime};

use futures_util::FutureExt as _;
use opentelemetry::{
    KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{Trace, export, here, traceparent};

/// A span under way; it ends when it is dropped. Nothing where nothing is traced.
pub struct Span(Option<Box<Open>>);

struct Open {
    data: SpanData,
    /// Where the task was before, if what is begun meanwhile is below this span.
    before: Option<Trace>,
}

/// A use case; what it does is below it.
pub fn flow(verb: &'static str) -> Span {
    Span::child(SpanKind::Internal, || format!("flow {verb}").into()).entered()
}

/// A script of Redis'. The event's hash tag is all that is told of its keys.
pub fn script(verb: &'static str, hash_tag: &str) -> Span {
    let mut span = Span::child(SpanKind::Client, || format!("redis {verb}").into());
    span.set("db.system.name", "redis");
    span.set("db.operation.name", "EVALSHA");
    span.set("db.query.summary", verb);
    span.note("holdfast.hash_tag", || format!("{{{hash_tag}}}"));
    span
}

/// A statement of Postgres', by the name in its first line; its parameters are not told.
pub fn statement(sql: &str) -> Span {
    let mut span = Span::child(SpanKind::Client, || format!("postgres {}", name_of(sql)).into());
    span.set("db.system.name", "postgresql");
    span.note("db.query.summary", || name_of(sql).to_owned());
    span
}

/// Waiting for a call that may carry what others ask for, too.
pub fn wait(verb: &'static str) -> Span {
    Span::child(SpanKind::Internal, || format!("wait {verb}").into())
}

/// Work for several who asked for the same at the same time, each in a trace of its own:
/// it is told below the first that is traced, and links to all of those.
pub fn together<F: Future>(
    what: &'static str,
    members: impl ExactSizeIterator<Item = Trace>,
    work: F,
) -> impl Future<Output = F::Output> {
    let count = members.len();
    let members: Vec<Trace> = members.filter(|member| member.sampled).collect();
    let mut first = members.first().copied().unwrap_or_default();
    let above = first.span_id;
    first.span_id = if first.sampled { new_span_id() } else { 0 };
    let mut span =
        Span::root(first, above, SpanKind::Internal, || format!("together {what}").into());
    span.joins(&members);
    span.set("holdfast.batch.size", i64::try_from(count).unwrap_or(i64::MAX));
    first.around(work).map(move |done| {
        drop(span);
        done
    })
}

/// A call of somebody else's server, who is told of it by [`Span::outgoing`].
pub fn outward(what: &'static str) -> Span {
    Span::child(SpanKind::Client, || what.into())
}

/// A run of a job: a trace of its own, where the sampler takes it.
pub fn in_job<F: Future>(name: &'static str, run: F) -> impl Future<Output = F::Output> {
    let trace = export::sampled(None, name);
    let span = Span::root(trace, 0, SpanKind::Internal, || format!("job {name}").into());
    trace.around(run).map(move |done| {
        drop(span);
        done
    })
}

fn name_of(sql: &str) -> &str {
    let first = sql.trim_start().strip_prefix("-- ").unwrap_or("statement");
    first.split(['\n', ' ']).next().unwrap_or_default()
}

impl Span {
    pub(super) const NONE: Self = Self(None);

    /// The span that the task is in already.
    pub(super) fn root(
        trace: Trace,
        parent: u64,
        kind: SpanKind,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Self {
        if !trace.sampled {
            return Self::NONE;
        }
        Self(Some(Box::new(Open { data: data(trace, parent, kind, name()), before: None })))
    }

    fn child(kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Self {
        let above = here::trace();
        let own = Trace { span_id: if above.sampled { new_span_id() } else { 0 }, ..above };
        Self::root(own, above.span_id, kind, name)
    }

    /// What this task begins from now on is below it.
    fn entered(mut self) -> Self {
        if let Some(open) = &mut self.0 {
            open.before = Some(here::trace());
            here::go_to(place(&open.data));
        }
        self
    }

    /// Its place, for what is done for it by another task.
    pub fn trace(&self) -> Trace {
        self.0.as_ref().map_or_else(here::trace, |open| place(&open.data))
    }

    /// The header that tells whoever is called which trace it is, and its name; `None` where
    /// there is none.
    pub fn outgoing(&self) -> Option<(&'static str, String)> {
        let trace = self.trace();
        let is_any = trace.trace_id != 0 && trace.span_id != 0;
        is_any.then(|| (traceparent::TRACEPARENT, traceparent::print(&trace)))
    }

    /// It is made for these, too, each of which may be of another trace.
    pub fn joins(&mut self, members: &[Trace]) {
        let Some(open) = &mut self.0 else { return };
        let members = members.iter().filter(|member| member.sampled);
        let links = members.map(|member| Link::with_context(context(*member)));
        open.data.links.links.extend(links);
    }

    /// An attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.0 {
            open.data.attributes.push(KeyValue::new(name, value));
        }
    }

    /// An attribute that costs something to make.
    pub fn note<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if self.0.is_some() {
            self.set(name, value());
        }
    }

    /// It came to nothing; `kind` is a word of ours.
    pub fn fail(&mut self, kind: &'static str) {
        self.set("error.type", kind);
        if let Some(open) = &mut self.0 {
            open.data.status = Status::error("");
        }
    }

    /// As [`Self::fail`], where a result is an error.
    pub fn of<T, E>(&mut self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|_| self.fail("error"))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(open) = mem::take(&mut self.0) else { return };
        let Open { mut data, before } = *open;
        if let Some(before) = before {
            here::go_to(before);
        }
        data.end_time = SystemTime::now();
        export::hand_over(data);
    }
}

pub(super) fn new_span_id() -> u64 {
    fastrand::u64(1..)
}

fn place(data: &SpanData) -> Trace {
    Trace {
        trace_id: u128::from_be_bytes(data.span_context.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(data.span_context.span_id().to_bytes()),
        sampled: true,
    }
}

pub(super) fn context(trace: Trace) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from(trace.trace_id), SpanId::from(trace.span_id));
    let flags = if trace.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(trace_id, span_id, flags, false, TraceState::default())
}

fn data(trace: Trace, parent: u64, kind: SpanKind, name: Cow<'static, str>) -> SpanData {
    let now = SystemTime::now();
    SpanData {
        span_context: context(trace),
        parent_span_id: SpanId::from(parent),
        parent_span_is_remote: kind == SpanKind::Server,
        span_kind: kind,
        name,
        start_time: now,
        end_time: now,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: export::scope(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_by_their_names() {
        assert_eq!(name_of("-- confirm\n    WITH asked"), "confirm");
        assert_eq!(name_of("\n  -- probe x\nSELECT"), "probe");
        assert_eq!(name_of("SELECT 'ann@example.com'"), "statement");
    }
}

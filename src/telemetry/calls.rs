//! A call: its trace, what is known of it, and the line and the metric that it leaves.

use std::{
    collections::HashMap,
    future::Future,
    str,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::trace::SpanKind;
use tokio::time::Instant;

use super::{Span, Trace, export, here::HERE, metrics, traceparent};
use crate::limits::{FAILED_CALLS_LOGGED_PER_SECOND, MAX_ID_CHARS};

/// What is known of a call, for those who tell of it. No holder, no payment: ids of
/// things alone.
#[derive(Default)]
pub(super) struct Known {
    event_id: Id,
    hold_id: Id,
    order_id: Id,
    reason: &'static str,
    cause: Option<String>,
}

/// An id as a caller wrote it, if it can be one; here, where it costs no allocation.
#[derive(Clone, Copy)]
struct Id {
    bytes: [u8; MAX_ID_CHARS],
    len: u8,
}

impl Default for Id {
    fn default() -> Self {
        Self { bytes: [0; MAX_ID_CHARS], len: 0 }
    }
}

impl Id {
    fn new(text: &str) -> Self {
        let is_of_one = |c: u8| c.is_ascii_alphanumeric() || b"._:-".contains(&c);
        let mut id = Self::default();
        if let (Some(bytes), Ok(len)) = (id.bytes.get_mut(..text.len()), u8::try_from(text.len()))
            && text.bytes().all(is_of_one)
        {
            bytes.copy_from_slice(text.as_bytes());
            id.len = len;
        }
        id
    }

    fn get(&self) -> Option<&str> {
        let text = str::from_utf8(&self.bytes[..usize::from(self.len)]).ok()?;
        (!text.is_empty()).then_some(text)
    }
}

/// A call that comes in.
pub struct Call {
    trace: Trace,
    span: Span,
}

impl Call {
    /// A call of a method, `/service/Method`, with the `traceparent` of its caller.
    pub fn begin(path: &str, traceparent: Option<&[u8]>) -> Self {
        let name = path.strip_prefix('/').unwrap_or(path);
        let (trace, mut span) = entry(name, traceparent);
        span.set("rpc.system.name", "grpc");
        span.note("rpc.method", || name.to_owned());
        Self { trace, span }
    }

    /// Makes the call; what is told within is told of it.
    pub fn around<F: Future>(
        self,
        work: impl FnOnce(Span) -> F,
    ) -> impl Future<Output = F::Output> {
        self.trace.around(work(self.span))
    }
}

/// A request of plain HTTP, by its route and never its query.
pub fn request<F: Future>(
    route: &'static str,
    traceparent: Option<&[u8]>,
    work: impl FnOnce(Span) -> F,
) -> impl Future<Output = F::Output> {
    let (trace, mut span) = entry(route, traceparent);
    span.set("http.route", route);
    trace.around(work(span))
}

fn entry(name: &str, header: Option<&[u8]>) -> (Trace, Span) {
    let header = header.and_then(|header| str::from_utf8(header).ok());
    let parent = header.and_then(traceparent::parse);
    let trace = export::sampled(parent, name);
    let above = parent.map_or(0, |parent| parent.span_id);
    (trace, Span::root(trace, above, SpanKind::Server, || name.to_owned().into()))
}

/// Notes which things the call is about; each is left as it was where it is empty.
pub fn ids([event_id, hold_id, order_id]: [&str; 3]) {
    let _ = HERE.try_with(|here| {
        let mut known = here.known.borrow_mut();
        (known.event_id, known.hold_id) = (Id::new(event_id), Id::new(hold_id));
        known.order_id = Id::new(order_id);
    });
}

/// Notes why the call is refused.
pub fn reason(reason: &'static str) {
    let _ = HERE.try_with(|here| here.known.borrow_mut().reason = reason);
}

/// Notes what went wrong inside; told at once where no call will tell it.
pub fn cause(what: &'static str, cause: String) {
    let mut cause = Some(cause);
    let _ = HERE.try_with(|here| here.known.borrow_mut().cause = cause.take());
    if let Some(error) = cause {
        tracing::warn!(error, "{what}");
    }
}

/// Notes a call that came to nothing: in its span, and in one line, but not in more than
/// [`FAILED_CALLS_LOGGED_PER_SECOND`] for a method and reason. All are told at debug.
pub fn failed_call(method: &str, code: &'static str, took: Duration, mut span: Span) {
    let told = HERE.try_with(|here| {
        let known = here.known.borrow();
        let reason = known.reason;
        span.set("rpc.response.status_code", code);
        span.set("holdfast.reason", reason);
        for (name, id) in known.ids() {
            if let Some(id) = id {
                span.note(name, || id.to_owned());
            }
        }
        if is_our_fault(code) {
            span.fail(code);
        }
        if is_defect(code) {
            metrics::fault();
        }
        match turn(method, reason) {
            Some(withheld) => known.tell(method, code, took, withheld),
            None => {
                metrics::call_unlogged();
                let ms = ms(took);
                let event_id = known.event_id.get();
                tracing::debug!(method, code, reason, ms, event_id, "call failed");
            }
        }
    });
    debug_assert!(told.is_ok(), "a call has a place");
}

/// A number in JSON, which a `u128` is not.
fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// As the conventions of OpenTelemetry have it for servers.
fn is_our_fault(code: &str) -> bool {
    let faults =
        ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
    faults.contains(&code)
}

/// What no call should end with, however stores and callers are.
fn is_defect(code: &str) -> bool {
    ["INTERNAL", "UNKNOWN", "DATA_LOSS"].contains(&code)
}

impl Known {
    fn ids(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("holdfast.event_id", self.event_id.get()),
            ("holdfast.hold_id", self.hold_id.get()),
            ("holdfast.order_id", self.order_id.get()),
        ]
    }

    /// Faults of ours at error; what an operator may have to see to at warn; what a
    /// caller did, at info.
    fn tell(&self, method: &str, code: &'static str, took: Duration, withheld: u64) {
        let [event_id, hold_id, order_id] = self.ids().map(|(_, id)| id);
        let (reason, ms) = (self.reason, ms(took));
        let (error, withheld) = (self.cause.as_deref(), (withheld > 0).then_some(withheld));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    method,
                    code,
                    reason,
                    ms,
                    event_id,
                    hold_id,
                    order_id,
                    error,
                    withheld,
                    "call failed"
                )
            };
        }
        match code {
            code if is_defect(code) => line!(error),
            "UNAVAILABLE" | "DEADLINE_EXCEEDED" => line!(warn),
            "RESOURCE_EXHAUSTED" if reason == "OVERLOADED" => line!(warn),
            _ => line!(info),
        }
    }
}

/// Which second it is, how many lines it has had, and how many it should have had.
struct Window {
    begun: Instant,
    lines: u64,
    withheld: u64,
}

/// A method's calls that fail for one reason.
type Windows = HashMap<&'static str, HashMap<String, Window>>;

/// Whether a line may be written; then how many were not since the last.
fn turn(method: &str, reason: &'static str) -> Option<u64> {
    static WINDOWS: LazyLock<Mutex<Windows>> = LazyLock::new(Mutex::default);
    let mut windows = WINDOWS.lock().unwrap_or_else(PoisonError::into_inner);
    let of_reason = windows.entry(reason).or_default();
    let Some(window) = of_reason.get_mut(method) else {
        let window = Window { begun: Instant::now(), lines: 1, withheld: 0 };
        of_reason.insert(method.to_owned(), window);
        return Some(0);
    };
    if window.begun.elapsed() >= Duration::from_secs(1) {
        (window.begun, window.lines) = (Instant::now(), 0);
    }
    if window.lines >= FAILED_CALLS_LOGGED_PER_SECOND {
        window.withheld += 1;
        return None;
    }
    window.lines += 1;
    Some(std::mem::take(&mut window.withheld))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_is_not_told() {
        assert_eq!(Id::new("event-1").get(), Some("event-1"));
        let long = "a".repeat(MAX_ID_CHARS + 1);
        for bad in ["", "ann@example.com", "a b", "a\nb", "é", &long] {
            assert_eq!(Id::new(bad).get(), None, "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_leaves_few_lines_and_its_count() {
        let flood = 5 * FAILED_CALLS_LOGGED_PER_SECOND;
        let lines = (0..flood).filter(|_| turn("Hold", "SEAT_UNAVAILABLE").is_some()).count();
        assert_eq!(lines as u64, FAILED_CALLS_LOGGED_PER_SECOND);
        assert_eq!(turn("Hold", "HOLD_EXPIRED"), Some(0), "another reason has its own");
        tokio::time::advance(Duration::from_secs(1)).await;
        let withheld = flood - FAILED_CALLS_LOGGED_PER_SECOND;
        assert_eq!(turn("Hold", "SEAT_UNAVAILABLE"), Some(withheld));
        assert_eq!(turn("Hold", "SEAT_UNAVAILABLE"), Some(0));
    }
}

//! Whether a call may begin, by what is under way already.
//!
//! Who comes while too much is under way is told so at once, before anything of his call
//! is read: he can go elsewhere, and those who are in are answered as fast as ever, since
//! what waits within a full server is what makes it slow (Little's law; "Handling
//! Overload" in Beyer et al., Site Reliability Engineering, 2016). Kinds of calls are
//! counted apart, so that none takes another's room.

mod callers;
mod pace;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::Quota;
use metrics::Gauge;
use prost::Message;

use crate::{
    access::{Needed, Peer, needed},
    config::Limits,
    domain::{Caller, Role},
    limits::{MAX_OPERATOR_CALLS, MAX_PROBES, MAX_REFLECTIONS, MAX_WATCHES, share},
    proto::FILE_DESCRIPTOR_SET,
    telemetry,
};
use callers::{Callers, Has};
use pace::Pace;
pub use pace::apart;

/// Kinds of calls, each with a count of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Health is told however much there is to do.
    Probe,
    /// What operators alone may call: whoever mends an overloaded server needs it.
    Operator,
    Unary,
    /// Waits for most of its life, and for long: it must not count as work.
    Stream,
    /// A stream of health. It is open to strangers, and lasts: it must take no room from
    /// probes.
    Watch,
    /// A stream, too, that is open to strangers.
    Reflection,
}

/// How many kinds there are.
const KINDS: usize = Kind::Reflection as usize + 1;

/// A limit that a call was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Probes,
    ProbesPerCaller,
    OperatorCalls,
    Calls,
    CallsPerMethod,
    CallsPerCaller,
    CallsASecond,
    Streams,
    StreamsPerCaller,
    Watches,
    WatchesPerCaller,
    Reflections,
    ReflectionsPerCaller,
}

/// A call that may not begin.
#[derive(Debug, PartialEq, Eq)]
pub struct Shed {
    pub limit: Limit,
    pub most: usize,
    /// When to call again.
    pub wait: Duration,
}

/// Counts what is under way.
pub struct Admit {
    /// By path; the one without is of all paths that lead nowhere.
    methods: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
    calls_per_method: usize,
    calls_per_caller: usize,
    calls_a_second: usize,
    streams_per_caller: usize,
    /// By [`Kind`].
    counts: [Count; KINDS],
    callers: Callers,
    pace: Pace,
}

/// A method, or all that there are not.
pub struct Method {
    /// Its path; `_OTHER` of what there is not, for who invents names must not fill the
    /// metrics and the log with them.
    pub name: Box<str>,
    kind: Kind,
    in_flight: AtomicUsize,
}

/// Calls of a kind that are under way.
struct Count {
    in_flight: AtomicUsize,
    most: usize,
    over: Limit,
    gauge: Gauge,
}

/// A call that may go on; it counts until this is dropped.
pub struct Pass {
    admit: Arc<Admit>,
    method: Arc<Method>,
    /// What its caller has; nothing where he is not counted.
    caller: Option<Arc<Has>>,
}

impl Limit {
    const ALL: [Self; 13] = [
        Self::Probes,
        Self::ProbesPerCaller,
        Self::OperatorCalls,
        Self::Calls,
        Self::CallsPerMethod,
        Self::CallsPerCaller,
        Self::CallsASecond,
        Self::Streams,
        Self::StreamsPerCaller,
        Self::Watches,
        Self::WatchesPerCaller,
        Self::Reflections,
        Self::ReflectionsPerCaller,
    ];

    /// As its setting is called, where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::ProbesPerCaller => "probes_per_caller",
            Self::OperatorCalls => "operator_calls",
            Self::Calls => "max_calls",
            Self::CallsPerMethod => "max_calls_per_method",
            Self::CallsPerCaller => "max_calls_per_caller",
            Self::CallsASecond => "max_calls_a_second_per_caller",
            Self::Streams => "max_streams",
            Self::StreamsPerCaller => "max_streams_per_caller",
            Self::Watches => "watches",
            Self::WatchesPerCaller => "watches_per_caller",
            Self::Reflections => "reflections",
            Self::ReflectionsPerCaller => "reflections_per_caller",
        }
    }

    /// Whether it is the caller's, and others may still call.
    pub fn is_callers(self) -> bool {
        matches!(
            self,
            Self::CallsPerCaller
                | Self::CallsASecond
                | Self::StreamsPerCaller
                | Self::ProbesPerCaller
                | Self::WatchesPerCaller
                | Self::ReflectionsPerCaller
        )
    }
}

impl Admit {
    pub fn new(limits: &Limits) -> Arc<Self> {
        let count = |kind, most, over| {
            let gauge = telemetry::in_flight(kind);
            Count { in_flight: AtomicUsize::new(0), most, over, gauge }
        };
        telemetry::limits(&Limit::ALL.map(Limit::name));
        let a_second = limits.max_calls_a_second_per_caller;
        Arc::new(Self {
            methods: methods(),
            unknown: Method::new("_OTHER", Kind::Unary),
            calls_per_method: limits.calls_per_method() as usize,
            calls_per_caller: limits.calls_per_caller() as usize,
            calls_a_second: a_second as usize,
            streams_per_caller: limits.streams_per_caller() as usize,
            counts: [
                count("probe", MAX_PROBES as usize, Limit::Probes),
                count("operator", MAX_OPERATOR_CALLS, Limit::OperatorCalls),
                count("unary", limits.max_calls as usize, Limit::Calls),
                count("stream", limits.max_streams as usize, Limit::Streams),
                count("watch", MAX_WATCHES as usize, Limit::Watches),
                count("reflection", MAX_REFLECTIONS as usize, Limit::Reflections),
            ],
            callers: Callers::new(a_second.try_into().ok().map(Quota::per_second)),
            pace: Pace::new(limits.max_calls),
        })
    }

    /// What a path leads to.
    pub fn method(&self, path: &str) -> &Arc<Method> {
        self.methods.get(path).unwrap_or(&self.unknown)
    }

    /// Lets a call of a method in.
    ///
    /// # Errors
    /// [`Shed`] where that is one too many: for its caller, for its method, or in all.
    pub fn enter(
        self: &Arc<Self>,
        method: Arc<Method>,
        caller: &Caller,
        peer: &Peer,
    ) -> Result<Pass, Shed> {
        let of_caller = match method.kind {
            Kind::Operator => None,
            Kind::Probe => Some((share(MAX_PROBES) as usize, Limit::ProbesPerCaller)),
            Kind::Unary => Some((self.calls_per_caller, Limit::CallsPerCaller)),
            Kind::Stream => Some((self.streams_per_caller, Limit::StreamsPerCaller)),
            Kind::Watch => Some((share(MAX_WATCHES) as usize, Limit::WatchesPerCaller)),
            Kind::Reflection => {
                Some((share(MAX_REFLECTIONS) as usize, Limit::ReflectionsPerCaller))
            }
        };
        let has = of_caller.map(|_| self.callers.find(caller.name.as_deref(), peer.addr.ip()));
        let paced = has.as_ref().filter(|_| !matches!(method.kind, Kind::Probe | Kind::Watch));
        if let Some(wait) = paced.and_then(|has| has.must_wait()) {
            let wait = wait.max(self.pace.wait());
            return Err(shed(Limit::CallsASecond, self.calls_a_second, wait));
        }
        // Dropped where any is over, it counts no longer.
        let pass = Pass { admit: self.clone(), method, caller: has };
        let (kind, mut over) = (pass.method.kind, None);
        if let (Some(has), Some((most, limit))) = (&pass.caller, of_caller)
            && has.count(kind).fetch_add(1, Relaxed) >= most
        {
            over = Some((limit, most));
        }
        let count = &self.counts[kind as usize];
        count.gauge.increment(1);
        if count.in_flight.fetch_add(1, Relaxed) >= count.most {
            over = over.or(Some((count.over, count.most)));
        }
        let of_method = pass.method.in_flight.fetch_add(1, Relaxed);
        if kind == Kind::Unary && of_method >= self.calls_per_method {
            over = over.or(Some((Limit::CallsPerMethod, self.calls_per_method)));
        }
        match over {
            None => Ok(pass),
            Some((limit, most)) => Err(shed(limit, most, self.pace.wait())),
        }
    }
}

fn shed(limit: Limit, most: usize, wait: Duration) -> Shed {
    telemetry::shed(limit.name());
    Shed { limit, most, wait }
}

impl Method {
    fn new(name: &str, kind: Kind) -> Arc<Self> {
        Arc::new(Self { name: name.into(), kind, in_flight: AtomicUsize::new(0) })
    }
}

impl Pass {
    pub fn kind(&self) -> Kind {
        self.method.kind
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let kind = self.kind();
        if let Some(has) = &self.caller {
            has.count(kind).fetch_sub(1, Relaxed);
        }
        let count = &self.admit.counts[kind as usize];
        count.gauge.decrement(1);
        count.in_flight.fetch_sub(1, Relaxed);
        self.method.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The kind of every method that there is, by its path.
fn methods() -> HashMap<String, Arc<Method>> {
    let described = [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = HashMap::new();
    for set in described {
        let set = prost_types::FileDescriptorSet::decode(set);
        let files = set.expect("the descriptors were made by a build").file;
        for file in files {
            for service in &file.service {
                for method in &service.method {
                    let (package, service) = (file.package(), service.name());
                    let path = format!("/{package}.{service}/{}", method.name());
                    let kind = match needed(&path) {
                        _ if package == "grpc.health.v1" => match method.server_streaming() {
                            true => Kind::Watch,
                            false => Kind::Probe,
                        },
                        _ if package.starts_with("grpc.reflection.") => Kind::Reflection,
                        Needed::Role(Role::Operator) => Kind::Operator,
                        _ if method.server_streaming() => Kind::Stream,
                        _ => Kind::Unary,
                    };
                    let known = Method::new(&path, kind);
                    methods.insert(path, known);
                }
            }
        }
    }
    methods
}

#[cfg(test)]
mod tests;

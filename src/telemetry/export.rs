//! The way of spans to a collector: a queue with an end, and a task that empties it.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue, TraceId,
    trace::{SpanKind, TraceContextExt as _},
};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SamplingDecision, ShouldSample as _, SpanData, SpanExporter as _},
};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Trace, metrics, spans};
use crate::limits::{
    SPAN_BATCH, SPAN_EXPORT_TIMEOUT, SPAN_FLUSH_TIMEOUT, SPAN_LINGER, SPAN_QUEUE, SPAN_TROUBLE_TOLD,
};

/// Where spans go, and of how many calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// An OTLP collector's gRPC port, such as `http://127.0.0.1:4317`.
    pub endpoint: String,
    /// As `OTEL_TRACES_SAMPLER` has it.
    pub sampler: String,
    /// As `OTEL_TRACES_SAMPLER_ARG` has it: the ratio of a sampler that has one.
    pub ratio: String,
}

/// Spans cannot be told to anybody.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(
        "OTEL_TRACES_SAMPLER must be always_on, always_off, traceidratio, \
         parentbased_always_on, parentbased_always_off or parentbased_traceidratio"
    )]
    Sampler,
    #[error("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")]
    Ratio,
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT must be an http URL: TLS is a local collector's part")]
    Endpoint,
    // The source would quote the settings.
    #[error("the OTEL_EXPORTER_OTLP_* variables cannot be used")]
    Exporter,
}

struct Export {
    sampler: Sampler,
    queue: Sender<SpanData>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

static EXPORT: OnceLock<Export> = OnceLock::new();

/// Tells spans from now on. Only the first call of a process counts.
///
/// # Errors
/// [`SetupError`].
pub fn start_traces(settings: &TraceSettings) -> Result<(), SetupError> {
    let sampler = sampler(&settings.sampler, &settings.ratio)?;
    let is_url = settings.endpoint.starts_with("http://");
    if !is_url {
        return Err(SetupError::Endpoint);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&settings.endpoint)
        .with_timeout(SPAN_EXPORT_TIMEOUT)
        .build()
        .map_err(|_: ExporterBuildError| SetupError::Exporter)?;
    let (queue, spans) = channel(SPAN_QUEUE);
    let stop = CancellationToken::new();
    let (exporter, until) = (with_resource(exporter), stop.clone());
    let task = tokio::spawn(async move { export_all(exporter, spans, until).await });
    let _ = EXPORT.set(Export { sampler, queue, stop, task: Mutex::new(Some(task)) });
    Ok(())
}

/// Tells what is left, and no more; gives up after [`SPAN_FLUSH_TIMEOUT`].
pub async fn end_traces() {
    let Some(export) = EXPORT.get() else { return };
    export.stop.cancel();
    let task = export.task.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(task) = task else { return };
    if timeout(SPAN_FLUSH_TIMEOUT, task).await.is_err() {
        tracing::info!("spans are left: the collector does not take them");
    }
}

/// A new place in a trace: of the caller's, or a new one.
pub(super) fn sampled(parent: Option<Trace>, name: &str) -> Trace {
    let trace_id = parent.map_or_else(|| fastrand::u128(1..), |parent| parent.trace_id);
    let own = Trace { trace_id, span_id: spans::new_span_id(), sampled: false };
    let Some(export) = EXPORT.get() else { return own };
    let above =
        parent.map(|parent| Context::new().with_remote_span_context(spans::context(parent)));
    let (id, kind) = (TraceId::from(trace_id), SpanKind::Server);
    let judged = export.sampler.should_sample(above.as_ref(), id, name, &kind, &[], &[]);
    Trace { sampled: judged.decision == SamplingDecision::RecordAndSample, ..own }
}

/// Never waits: what the queue has no room for is counted.
pub(super) fn hand_over(span: SpanData) {
    if let Some(export) = EXPORT.get()
        && export.queue.try_send(span).is_err()
    {
        metrics::spans_dropped("queue", 1);
    }
}

pub(super) fn scope() -> InstrumentationScope {
    static SCOPE: OnceLock<InstrumentationScope> = OnceLock::new();
    let make = || {
        let version = env!("CARGO_PKG_VERSION");
        InstrumentationScope::builder("holdfast").with_version(version).build()
    };
    SCOPE.get_or_init(make).clone()
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before ours.
fn with_resource(
    mut exporter: opentelemetry_otlp::SpanExporter,
) -> opentelemetry_otlp::SpanExporter {
    use opentelemetry_sdk::trace::SpanExporter as _;
    let is_named = std::env::var_os("OTEL_SERVICE_NAME").is_some()
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES")
            .is_ok_and(|given| given.contains("service.name="));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut resource = Resource::builder().with_attribute(version);
    if !is_named {
        resource = resource.with_service_name("holdfast");
    }
    exporter.set_resource(&resource.build());
    exporter
}

fn sampler(name: &str, ratio: &str) -> Result<Sampler, SetupError> {
    let by_ratio = || match ratio.parse() {
        Ok(ratio @ 0.0..=1.0) => Ok(Sampler::TraceIdRatioBased(ratio)),
        _ => Err(SetupError::Ratio),
    };
    let root = match name.strip_prefix("parentbased_").unwrap_or(name) {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => by_ratio()?,
        _ => return Err(SetupError::Sampler),
    };
    Ok(match name.starts_with("parentbased_") {
        true => Sampler::ParentBased(Box::new(root)),
        false => root,
    })
}

async fn export_all(
    exporter: opentelemetry_otlp::SpanExporter,
    mut spans: Receiver<SpanData>,
    stop: CancellationToken,
) {
    let (mut batch, mut told) = (Vec::new(), None::<Instant>);
    loop {
        if !spans.is_closed() && stop.run_until_cancelled(sleep(SPAN_LINGER)).await.is_none() {
            spans.close();
        }
        // A collector that is away keeps this waiting, and nobody else.
        while !spans.is_empty() || spans.is_closed() {
            if spans.recv_many(&mut batch, SPAN_BATCH).await == 0 {
                return;
            }
            let count = batch.len() as u64;
            match exporter.export(std::mem::take(&mut batch)).await {
                Ok(()) => metrics::spans_exported(count),
                Err(_) => {
                    metrics::spans_dropped("export", count);
                    let is_news = told.is_none_or(|told| told.elapsed() > SPAN_TROUBLE_TOLD);
                    if is_news {
                        tracing::warn!("the collector does not take spans; they are dropped");
                        told = Some(Instant::now());
                    }
                }
            }
        }
    }
}

const _: () = assert!(SPAN_LINGER.as_millis() < Duration::from_secs(5).as_millis());
const _: () = assert!(SPAN_BATCH <= SPAN_QUEUE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_by_their_standard_names() {
        for name in ["always_on", "always_off", "parentbased_always_on", "parentbased_always_off"] {
            assert!(sampler(name, "x").is_ok(), "{name}");
        }
        for (ratio, good) in
            [("0", true), ("0.01", true), ("1", true), ("1.1", false), ("x", false)]
        {
            assert_eq!(sampler("traceidratio", ratio).is_ok(), good, "{ratio}");
            assert_eq!(sampler("parentbased_traceidratio", ratio).is_ok(), good, "{ratio}");
        }
        assert!(sampler("jaeger_remote", "1").is_err());
    }
}

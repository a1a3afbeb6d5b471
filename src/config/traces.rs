//! The flags of traces. Their variables are OpenTelemetry's own: whoever runs a collector
//! has set them for other programs already.

use std::env;

use clap::Args;

use crate::{limits::DEFAULT_TRACES_RATIO, telemetry::TraceSettings};

/// Where spans go, and of how many calls.
#[derive(Debug, Clone, Args)]
pub struct Traces {
    /// Where an OTLP collector listens for gRPC, such as `http://127.0.0.1:4317`; nothing
    /// is traced where it is not given.
    #[arg(
        long,
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        hide_env_values = true,
        global = true
    )]
    pub otlp_endpoint: Option<String>,
    /// always_on, always_off, traceidratio, or one of them after `parentbased_`: then a
    /// caller's own decision goes first.
    #[arg(
        long,
        value_name = "SAMPLER",
        env = "OTEL_TRACES_SAMPLER",
        default_value = "parentbased_traceidratio",
        global = true
    )]
    pub traces_sampler: String,
    /// The part of all calls that a sampler with a ratio takes.
    #[arg(
        long,
        value_name = "RATIO",
        env = "OTEL_TRACES_SAMPLER_ARG",
        default_value = DEFAULT_TRACES_RATIO,
        global = true
    )]
    pub traces_ratio: String,
}

impl Traces {
    /// `None` where nothing is traced.
    pub fn settings(&self) -> Option<TraceSettings> {
        let is_off = |name, value| env::var(name).is_ok_and(|set| set.eq_ignore_ascii_case(value));
        if is_off("OTEL_SDK_DISABLED", "true") || is_off("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        // The variable of traces alone goes before that of all signals.
        let of_traces = env::var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").ok();
        let endpoint = of_traces.or_else(|| self.otlp_endpoint.clone());
        let endpoint = endpoint.filter(|endpoint| !endpoint.is_empty())?;
        let (sampler, ratio) = (self.traces_sampler.clone(), self.traces_ratio.clone());
        Some(TraceSettings { endpoint, sampler, ratio })
    }
}

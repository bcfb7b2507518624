//! Traces in the terms of OpenTelemetry.
//!
//! Owns which spans there are (those with the target [`SPANS`]) and how they leave the process: over a bounded queue that
//! drops what does not fit, from a thread of its own, so that a collector which is slow or gone costs the service
//! nothing. Where a span begins and ends is said where it happens.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits,
};
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::tls;

/// The target of the spans of events and executions: at `debug` of this they are made.
pub const SPANS: &str = "template_worker::trace";

/// Spans that wait for the collector; more are dropped.
const QUEUE: usize = 4_096;
/// Spans in one request.
const BATCH: usize = 512;
const SEND_EVERY: Duration = Duration::from_secs(2);
/// How long a collector may take for one request.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the service waits for what is still to be sent.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// Traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter could not be built.
    #[error(
        "failed to set up sending traces; check `telemetry.otlp_endpoint`, or leave it empty for no traces"
    )]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Sends traces until it is stopped; or does nothing.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

/// The address for traces at a collector. `None` where plain HTTP does not lead there.
pub fn traces_url(endpoint: &str) -> Option<String> {
    let address: axum::http::Uri = endpoint.trim_end_matches('/').parse().ok()?;
    let has_host = address.host().is_some_and(|host| !host.is_empty());
    let usable = address.scheme_str() == Some("http") && has_host && address.query().is_none();
    usable.then(|| match address.path() {
        "" | "/" => format!("{}/v1/traces", endpoint.trim_end_matches('/')),
        _ => endpoint.to_owned(),
    })
}

impl Traces {
    /// Sends `sampling` of all traces to the collector at `endpoint`, as those of `service`; none where there is no
    /// endpoint.
    ///
    /// # Errors
    /// [`TelemetryError`]. That the collector answers is not looked at.
    pub fn start(endpoint: &str, sampling: f64, service: &str) -> Result<Self, TelemetryError> {
        let Some(url) = traces_url(endpoint) else { return Ok(Self(None)) };
        // The exporter's client asks for it, though it speaks no TLS.
        tls::choose();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .with_timeout(PATIENCE)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(SEND_EVERY)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sampling))))
            .with_span_limits(SpanLimits::default())
            .with_resource(Resource::builder_empty().with_service_name(service.to_owned()).build())
            .build();
        Ok(Self(Some(provider)))
    }

    /// What takes the spans in.
    pub fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.0.as_ref()?.tracer("template-worker");
        let only_ours = Targets::new().with_target(SPANS, Level::DEBUG);
        Some(
            tracing_opentelemetry::layer()
                .with_location(false)
                .with_threads(false)
                .with_tracer(tracer)
                .with_filter(only_ours),
        )
    }

    /// Sends what is left, if that does not take long.
    pub fn stop(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_WITHIN)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

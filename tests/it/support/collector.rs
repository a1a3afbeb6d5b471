//! A collector: takes spans by OTLP over gRPC, and keeps them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport};

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let of_all = request.into_inner().resource_spans;
        let spans = of_all.into_iter().flat_map(|of_one| of_one.scope_spans);
        self.0.lock().unwrap().extend(spans.flat_map(|of_scope| of_scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

pub struct Collector {
    pub addr: SocketAddr,
    taken: Taken,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, taken) = (listener.local_addr().unwrap(), Taken::default());
        let service = TraceServiceServer::new(taken.clone());
        let connections = TcpListenerStream::new(listener);
        let serve = transport::Server::builder().add_service(service);
        tokio::spawn(serve.serve_with_incoming(connections));
        Self { addr, taken }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All spans that came, in the order in which they did.
    pub fn spans(&self) -> Vec<Span> {
        self.taken.0.lock().unwrap().clone()
    }

    pub fn of_trace(&self, trace_id: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| hex::encode(&span.trace_id) == trace_id);
        spans
    }
}

/// An attribute as text.
pub fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

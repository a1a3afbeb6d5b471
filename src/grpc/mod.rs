//! Room 1, the door: decode, call one flow, encode.

mod admit;
mod catalog;
mod channel;
mod checkout;
pub mod codec;
mod cork;
mod decode;
mod door;
mod draining;
mod encode;
mod frames;
#[cfg(fuzzing)]
pub mod fuzz;
mod guarded;
mod health;
mod layers;
mod mine;
mod operator;
mod order_events;
mod page_token;
mod presence;
mod queue;
mod reservation;
mod server;
mod stall;
mod status;
mod usage;
mod waiting_list;

pub use catalog::ENCODERS;
pub use draining::Draining;
pub use health::Serving;

use std::{sync::Arc, time::Duration};

use http::HeaderName;
use tokio::net::TcpListener;
use tonic::{
    codec::CompressionEncoding,
    service::{Routes, RoutesBuilder},
};
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;
use tower_http::cors::CorsLayer;

use crate::{
    access::Access,
    config::Limits,
    flow::Flows,
    limits::{MAX_CATALOG_REQUEST_BYTES, MAX_RESERVATION_REQUEST_BYTES, PREFLIGHT_KEPT},
    proto::{
        FILE_DESCRIPTOR_SET, catalog_service_server::CatalogServiceServer,
        channel_service_server::ChannelServiceServer,
        checkout_service_server::CheckoutServiceServer,
        operator_service_server::OperatorServiceServer,
        order_event_service_server::OrderEventServiceServer,
        presence_service_server::PresenceServiceServer, queue_service_server::QueueServiceServer,
        reservation_service_server::ReservationServiceServer,
        waiting_list_service_server::WaitingListServiceServer,
    },
    tls::Entrance,
};
use admit::Admit;
use catalog::Catalog;
use channel::Channels;
use checkout::Checkout;
use door::Door;
use layers::Around;
use operator::Operators;
use order_events::OrderEvents;
use presence::Presences;
use queue::Queues;
use reservation::Reservations;
use waiting_list::WaitingLists;

/// How the door is kept.
pub struct Rules {
    pub entrance: Entrance,
    pub access: Arc<Access>,
    pub limits: Limits,
    /// Whether reflection is answered.
    pub reflects: bool,
}

/// Serves until the server closes, then until all calls in flight have ended.
pub async fn serve(
    listener: TcpListener,
    Rules { entrance, access, limits, reflects }: Rules,
    flows: Arc<Flows>,
    serving: &Serving,
    draining: Draining,
) {
    let drain = draining.sign();
    let reservations = Reservations { flows: flows.clone(), drain: drain.clone() };
    let reservations = ReservationServiceServer::new(reservations)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES);
    let order_events = OrderEvents { flows: flows.clone(), drain: drain.clone() };
    let order_events = OrderEventServiceServer::new(order_events)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES);
    let queues = Queues { flows: flows.clone(), drain: drain.clone() };
    let queues = QueueServiceServer::new(queues)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES);
    let waiting_lists = WaitingLists { flows: flows.clone(), drain };
    let operators = Operators { flows: flows.clone(), draining: draining.clone() };
    let streams = (order_events, queues, waiting_lists, operators);
    let mut all = routes(reservations.clone(), streams, flows, serving);
    if reflects {
        all.add_service(described().build_v1().expect(DESCRIBED));
        all.add_service(described().build_v1alpha().expect(DESCRIBED));
    }
    let all = all.routes().prepare();
    let admit = Admit::new(&limits);
    let all = Around { service: all, access: access.clone(), admit: admit.clone() };
    let all = ServiceBuilder::new().layer(cors()).layer(GrpcWebLayer::new()).service(all);
    let reservations = Around { service: reservations, access, admit };
    let request_time = Duration::from_secs(limits.max_request_seconds.into());
    let door = Door { reservations, all, request_time, drain: draining.sign() };
    server::serve(listener, entrance, Arc::new(door), limits, draining).await;
}

fn routes(
    reservations: ReservationServiceServer<Reservations>,
    (order_events, queues, waiting_lists, operators): (
        OrderEventServiceServer<OrderEvents>,
        QueueServiceServer<Queues>,
        WaitingLists,
        Operators,
    ),
    flows: Arc<Flows>,
    serving: &Serving,
) -> RoutesBuilder {
    let mut routes = Routes::builder();
    routes
        .add_service(reservations)
        .add_service(order_events)
        .add_service(queues)
        .add_service(
            OperatorServiceServer::new(operators)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES),
        )
        .add_service(
            WaitingListServiceServer::new(waiting_lists)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES),
        )
        .add_service(
            CatalogServiceServer::new(Catalog { flows: flows.clone() })
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_CATALOG_REQUEST_BYTES),
        )
        .add_service(
            PresenceServiceServer::new(Presences { flows: flows.clone() })
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES),
        )
        .add_service(
            ChannelServiceServer::new(Channels { flows: flows.clone() })
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES),
        )
        .add_service(
            CheckoutServiceServer::new(Checkout { flows })
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_RESERVATION_REQUEST_BYTES),
        )
        .add_service(serving.service());
    routes
}

const DESCRIBED: &str = "the descriptors were made by our own build";

/// What reflection tells: the services, and the messages in errors' details.
fn described() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// Browsers may call from anywhere: there are no cookies to steal.
fn cors() -> CorsLayer {
    let exposed = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
    CorsLayer::very_permissive()
        .allow_credentials(false)
        .allow_origin(tower_http::cors::Any)
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(PREFLIGHT_KEPT)
}

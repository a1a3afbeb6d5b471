//! Room 1, the door: decode, call one flow, encode.

mod catalog;
mod channel;
mod checkout;
pub mod codec;
mod cork;
mod decode;
mod door;
mod encode;
mod frames;
mod health;
mod layers;
mod order_events;
mod page_token;
mod presence;
mod queue;
mod reservation;
mod server;
mod stall;
mod status;
mod waiting_list;

pub use catalog::ENCODERS;
pub use health::Serving;

use std::sync::Arc;

use http::HeaderName;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{codec::CompressionEncoding, service::Routes};
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;
use tower_http::cors::CorsLayer;

use crate::{
    flow::Flows,
    limits::{MAX_CATALOG_REQUEST_BYTES, MAX_RESERVATION_REQUEST_BYTES},
    proto::{
        FILE_DESCRIPTOR_SET, catalog_service_server::CatalogServiceServer,
        channel_service_server::ChannelServiceServer,
        checkout_service_server::CheckoutServiceServer,
        order_event_service_server::OrderEventServiceServer,
        presence_service_server::PresenceServiceServer, queue_service_server::QueueServiceServer,
        reservation_service_server::ReservationServiceServer,
        waiting_list_service_server::WaitingListServiceServer,
    },
};
use catalog::Catalog;
use channel::Channels;
use checkout::Checkout;
use door::Door;
use layers::Around;
use order_events::OrderEvents;
use presence::Presences;
use queue::Queues;
use reservation::Reservations;
use waiting_list::WaitingLists;

/// Serves until `drain`, then until all calls in flight have ended.
pub async fn serve(
    listener: TcpListener,
    flows: Arc<Flows>,
    serving: &Serving,
    drain: CancellationToken,
) {
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
    let waiting_lists = WaitingLists { flows: flows.clone(), drain: drain.clone() };
    let streams = (order_events, queues, waiting_lists);
    let all = Around(routes(reservations.clone(), streams, flows, serving));
    let all = ServiceBuilder::new().layer(cors()).layer(GrpcWebLayer::new()).service(all);
    let door = Door { reservations: Around(reservations), all };
    server::serve(listener, Arc::new(door), drain).await;
}

fn routes(
    reservations: ReservationServiceServer<Reservations>,
    (order_events, queues, waiting_lists): (
        OrderEventServiceServer<OrderEvents>,
        QueueServiceServer<Queues>,
        WaitingLists,
    ),
    flows: Arc<Flows>,
    serving: &Serving,
) -> Routes {
    let mut routes = Routes::builder();
    routes
        .add_service(reservations)
        .add_service(order_events)
        .add_service(queues)
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
    routes.add_service(described().build_v1().expect(DESCRIBED));
    routes.add_service(described().build_v1alpha().expect(DESCRIBED));
    routes.routes().prepare()
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
}

//! The health service, overall and for each service.

use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::{HealthReporter, HealthService},
};

use super::{
    catalog::Catalog, channel::Channels, checkout::Checkout, operator::Operators,
    order_events::OrderEvents, presence::Presences, queue::Queues, reservation::Reservations,
    waiting_list::WaitingLists,
};
use crate::proto::{
    catalog_service_server::CatalogServiceServer, channel_service_server::ChannelServiceServer,
    checkout_service_server::CheckoutServiceServer, operator_service_server::OperatorServiceServer,
    order_event_service_server::OrderEventServiceServer,
    presence_service_server::PresenceServiceServer, queue_service_server::QueueServiceServer,
    reservation_service_server::ReservationServiceServer,
    waiting_list_service_server::WaitingListServiceServer,
};

/// The server as a whole, by the empty name, and its services.
const SERVICES: [&str; 10] = [
    "",
    ReservationServiceServer::<Reservations>::NAME,
    CatalogServiceServer::<Catalog>::NAME,
    ChannelServiceServer::<Channels>::NAME,
    CheckoutServiceServer::<Checkout>::NAME,
    OperatorServiceServer::<Operators>::NAME,
    OrderEventServiceServer::<OrderEvents>::NAME,
    PresenceServiceServer::<Presences>::NAME,
    QueueServiceServer::<Queues>::NAME,
    WaitingListServiceServer::<WaitingLists>::NAME,
];

/// What the health service says.
#[derive(Clone)]
pub struct Serving {
    reporter: HealthReporter,
}

impl Serving {
    /// Not serving yet.
    pub async fn new() -> Self {
        let serving = Self { reporter: HealthReporter::new() };
        serving.set(false).await;
        serving
    }

    /// Says whether this server serves.
    pub async fn set(&self, serving: bool) {
        let status = match serving {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for service in SERVICES {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Says for good that this server serves no more, and ends the streams of those who
    /// watch: they would keep their connections.
    pub async fn leave(&self) {
        self.set(false).await;
        for service in SERVICES {
            self.reporter.clone().clear_service_status(service).await;
        }
        // Who asks from now on is told the same.
        self.set(false).await;
    }

    pub(super) fn service(&self) -> HealthServer<impl Health + use<>> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}

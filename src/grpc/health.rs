//! The health service, overall and for each service.

use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::{HealthReporter, HealthService},
};

use super::{
    catalog::Catalog, checkout::Checkout, order_events::OrderEvents, presence::Presences,
    reservation::Reservations, waiting_list::WaitingLists,
};
use crate::proto::{
    catalog_service_server::CatalogServiceServer, checkout_service_server::CheckoutServiceServer,
    order_event_service_server::OrderEventServiceServer,
    presence_service_server::PresenceServiceServer,
    reservation_service_server::ReservationServiceServer,
    waiting_list_service_server::WaitingListServiceServer,
};

/// The server as a whole, by the empty name, and its services.
const SERVICES: [&str; 7] = [
    "",
    ReservationServiceServer::<Reservations>::NAME,
    CatalogServiceServer::<Catalog>::NAME,
    CheckoutServiceServer::<Checkout>::NAME,
    OrderEventServiceServer::<OrderEvents>::NAME,
    PresenceServiceServer::<Presences>::NAME,
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

    /// Ends the streams of those who watch; they have been told the last word.
    pub async fn end_watches(&self) {
        for service in SERVICES {
            self.reporter.clone().clear_service_status(service).await;
        }
    }

    pub(super) fn service(&self) -> HealthServer<impl Health + use<>> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}

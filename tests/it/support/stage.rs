//! Servers on a test's own stores, and clients of the contract.

use std::time::Duration;

use holdfast::{
    app::App,
    config::{self, Access, Doors, Limits, Mail, Page, Payments, Queue},
    proto::{
        self, catalog_service_client::CatalogServiceClient,
        checkout_service_client::CheckoutServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
};
use tokio::time::{Instant, sleep};
use tonic::{Status, transport::Channel};

use super::{EVENT, House, Stores, Watcher, refusal, small_event};

/// A server in this process, and a connection to it.
pub struct Server {
    pub app: App,
    pub reservations: ReservationServiceClient<Channel>,
    pub catalog: CatalogServiceClient<Channel>,
    pub checkout: CheckoutServiceClient<Channel>,
}

impl Server {
    pub async fn start(stores: &Stores) -> Self {
        Self::start_on(&any_doors(), &stores.settings()).await
    }

    pub async fn start_on(doors: &Doors, stores: &config::Stores) -> Self {
        let app = App::start(doors, stores).await.unwrap();
        app.ready().await;
        let url = format!("http://{}", app.grpc_addr);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self {
            app,
            reservations: ReservationServiceClient::new(channel.clone()),
            catalog: CatalogServiceClient::new(channel.clone())
                .max_decoding_message_size(64 * 1024 * 1024),
            checkout: CheckoutServiceClient::new(channel),
        }
    }

    pub async fn hold(&self, request: proto::HoldRequest) -> Result<proto::Hold, Status> {
        let answer = self.reservations.clone().hold(request).await?;
        Ok(answer.into_inner().hold.unwrap())
    }

    pub async fn extend_hold(
        &self,
        hold: &proto::Hold,
        ttl_ms: u64,
    ) -> Result<proto::Hold, Status> {
        let request = proto::ExtendHoldRequest {
            event_id: hold.event_id.clone(),
            hold_id: hold.hold_id.clone(),
            holder_id: hold.holder_id.clone(),
            ttl: super::ms(ttl_ms),
        };
        let answer = self.reservations.clone().extend_hold(request).await?;
        Ok(answer.into_inner().hold.unwrap())
    }

    pub async fn release(
        &self,
        hold: &proto::Hold,
        seat_ids: &[&str],
        areas: Vec<proto::AreaQuantity>,
    ) -> Result<proto::Hold, Status> {
        let request = proto::ReleaseRequest {
            event_id: hold.event_id.clone(),
            hold_id: hold.hold_id.clone(),
            holder_id: hold.holder_id.clone(),
            seat_ids: seat_ids.iter().map(ToString::to_string).collect(),
            areas,
        };
        let answer = self.reservations.clone().release(request).await?;
        Ok(answer.into_inner().hold.unwrap())
    }

    pub async fn confirm(
        &self,
        hold: &proto::Hold,
        payment_reference: &str,
    ) -> Result<proto::Order, Status> {
        let request = proto::ConfirmRequest {
            event_id: hold.event_id.clone(),
            hold_id: hold.hold_id.clone(),
            holder_id: hold.holder_id.clone(),
            payment_reference: payment_reference.into(),
        };
        let answer = self.reservations.clone().confirm(request).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    /// An order of a hold, to be paid by Confirm.
    pub async fn create_order(
        &self,
        hold: &proto::Hold,
    ) -> Result<proto::CreateOrderResponse, Status> {
        let request = proto::CreateOrderRequest {
            event_id: hold.event_id.clone(),
            hold_id: hold.hold_id.clone(),
            holder_id: hold.holder_id.clone(),
            ..proto::CreateOrderRequest::default()
        };
        Ok(self.checkout.clone().create_order(request).await?.into_inner())
    }

    pub async fn get_order(&self, order_id: &str) -> Result<proto::GetOrderResponse, Status> {
        let request = proto::GetOrderRequest { order_id: order_id.into() };
        Ok(self.checkout.clone().get_order(request).await?.into_inner())
    }

    pub async fn cancel_order(&self, order_id: &str) -> Result<proto::Order, Status> {
        let request = proto::CancelOrderRequest {
            order_id: order_id.into(),
            actor: "ann".into(),
            reason: "changed my mind".into(),
        };
        let answer = self.checkout.clone().cancel_order(request).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    /// Gives back these tickets of an order, or all of it.
    pub async fn refund_order(
        &self,
        order_id: &str,
        refund_id: &str,
        ticket_ids: &[&str],
    ) -> Result<proto::RefundOrderResponse, Status> {
        let request = proto::RefundOrderRequest {
            order_id: order_id.into(),
            refund_id: refund_id.into(),
            ticket_ids: ticket_ids.iter().map(ToString::to_string).collect(),
            actor: "desk".into(),
            reason: "ill".into(),
        };
        Ok(self.checkout.clone().refund_order(request).await?.into_inner())
    }

    pub async fn get_hold(&self, event_id: &str, hold_id: &str) -> Result<proto::Hold, Status> {
        let request = proto::GetHoldRequest { event_id: event_id.into(), hold_id: hold_id.into() };
        let answer = self.reservations.clone().get_hold(request).await?;
        Ok(answer.into_inner().hold.unwrap())
    }

    pub async fn get_seat_map(&self, event_id: &str) -> Result<proto::GetSeatMapResponse, Status> {
        let event_id = event_id.into();
        let request = proto::GetSeatMapRequest { event_id, ..Default::default() };
        Ok(self.reservations.clone().get_seat_map(request).await?.into_inner())
    }

    /// Lets a hold run out, now.
    pub async fn expire(&self, hold: &proto::Hold) {
        // It may have run out, and be told so, before this is answered.
        if let Err(status) = self.extend_hold(hold, 1).await {
            assert_eq!(refusal(Err::<(), _>(status)).reason, "HOLD_EXPIRED");
        }
        eventually("the hold expires", async || {
            let hold = self.get_hold(&hold.event_id, &hold.hold_id).await.unwrap();
            (hold.state() == proto::HoldState::Expired).then_some(())
        })
        .await;
    }

    /// The house as it is now.
    pub async fn house(&self) -> House {
        House::new(&self.get_seat_map(EVENT).await.unwrap())
    }

    /// Watches an event from a snapshot on, or from a token.
    pub async fn watch(&self, event_id: &str, resume_token: &str) -> Watcher {
        Watcher::open(self.reservations.clone(), event_id, resume_token).await.unwrap()
    }

    pub async fn create_event(
        &self,
        request: proto::CreateEventRequest,
    ) -> Result<proto::Event, Status> {
        let answer = self.catalog.clone().create_event(request).await?;
        Ok(answer.into_inner().event.unwrap())
    }

    pub async fn update_event(
        &self,
        event: proto::Event,
        paths: &[&str],
    ) -> Result<proto::Event, Status> {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let request = proto::UpdateEventRequest {
            event: Some(event),
            update_mask: (!paths.is_empty()).then_some(prost_types::FieldMask { paths }),
        };
        let answer = self.catalog.clone().update_event(request).await?;
        Ok(answer.into_inner().event.unwrap())
    }
}

/// Doors on free ports.
pub fn any_doors() -> Doors {
    let any = "127.0.0.1:0".parse().unwrap();
    let (payments, mail) = (Payments::default(), Mail::default());
    let access = Access { reflection: true, ..Access::default() };
    let (limits, queue, page) = (Limits::default(), Queue::default(), Page::default());
    Doors { grpc_addr: any, http_addr: any, access, limits, payments, mail, queue, page }
}

/// A server with [`EVENT`] on sale, on stores of its own.
pub struct Stage {
    pub stores: Stores,
    pub server: Server,
}

impl Stage {
    pub async fn new() -> Self {
        let stage = Self::empty().await;
        stage.server.create_event(small_event(EVENT)).await.unwrap();
        stage
    }

    /// Without any event.
    pub async fn empty() -> Self {
        holdfast::telemetry::init_logs(
            &std::env::var("HOLDFAST_LOG").unwrap_or_else(|_| "error".into()),
            holdfast::telemetry::LogFormat::Text,
        )
        .unwrap();
        let stores = Stores::new().await;
        let server = Server::start(&stores).await;
        Self { stores, server }
    }

    /// Another server on the same stores.
    pub async fn another_server(&self) -> Server {
        Server::start(&self.stores).await
    }
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// Where there is none after 20 s.
pub async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "never came: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

//! Order events by hand, beside those of sales, and the service that tells of them.

use std::time::Duration;

use holdfast::proto::{
    self, OrderEventKind, StreamOrderEventsRequest,
    order_event_service_client::OrderEventServiceClient,
};
use tokio::time::timeout;
use tokio_postgres::Client;
use tonic::{Streaming, transport::Channel};
use uuid::Uuid;

use super::{EVENT, Server};

/// Writes an order event and commits it, as a sale does; answers the order that it
/// names.
pub async fn order_event(postgres: &Client, kind: &str, order_id: &str) {
    let sql = "INSERT INTO order_events (kind, event_id, order_id) VALUES ($1, $2, $3)";
    let order_id: Uuid = order_id.parse().unwrap();
    postgres.execute(sql, &[&kind, &EVENT, &order_id]).await.unwrap();
}

/// So many of them at once, of orders that are none; answers these.
pub async fn order_events(postgres: &Client, kind: &str, count: usize) -> Vec<String> {
    let orders: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    let sql = "INSERT INTO order_events (kind, event_id, order_id)
        SELECT $1, $2, unnest($3::uuid[])";
    postgres.execute(sql, &[&kind, &EVENT, &orders]).await.unwrap();
    orders.iter().map(ToString::to_string).collect()
}

/// The service of a server.
pub async fn order_event_service(server: &Server) -> OrderEventServiceClient<Channel> {
    let url = format!("http://{}", server.app.grpc_addr);
    OrderEventServiceClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap())
}

/// A reader of order events.
pub struct Reader {
    stream: Streaming<proto::StreamOrderEventsResponse>,
    /// What it was told last.
    pub at: i64,
    pub events: Vec<proto::OrderEvent>,
}

impl Reader {
    pub async fn open(
        server: &Server,
        after_sequence: Option<i64>,
        kinds: &[OrderEventKind],
        event_id: &str,
    ) -> Self {
        let request = StreamOrderEventsRequest {
            after_sequence,
            event_id: event_id.into(),
            kinds: kinds.iter().map(|&kind| kind.into()).collect(),
        };
        let stream = order_event_service(server).await.stream_order_events(request).await.unwrap();
        let mut reader = Self { stream: stream.into_inner(), at: 0, events: Vec::new() };
        // The first message says where it is.
        reader.next().await.unwrap();
        reader
    }

    pub async fn next(&mut self) -> Result<(), tonic::Status> {
        let message = self.stream.message().await?.expect("ends with a status");
        self.at = message.sequence;
        self.events.extend(message.events);
        Ok(())
    }

    /// Reads until it has so many; they come within 20 s.
    pub async fn read(&mut self, count: usize) {
        let read = timeout(Duration::from_secs(20), async {
            while self.events.len() < count {
                self.next().await.unwrap();
            }
        });
        let in_time = read.await.is_ok();
        assert!(in_time, "only {} of {count} came", self.events.len());
    }

    pub fn sequences(&self) -> Vec<i64> {
        self.events.iter().map(|event| event.sequence).collect()
    }

    pub fn order_ids(&self) -> Vec<String> {
        self.events.iter().map(|event| event.order_id.clone()).collect()
    }
}

/// The dead letters of a webhook, or all, the latest first.
pub async fn dead_letters(
    service: &mut OrderEventServiceClient<Channel>,
    webhook_id: &str,
) -> Vec<proto::DeadLetter> {
    let webhook_id = webhook_id.to_owned();
    let request = proto::ListDeadLettersRequest { webhook_id, ..Default::default() };
    service.list_dead_letters(request).await.unwrap().into_inner().dead_letters
}

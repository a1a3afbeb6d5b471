//! An internal service that follows the order events over the whole run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use holdfast::proto::{
    OrderEvent, StreamOrderEventsRequest, order_event_service_client::OrderEventServiceClient,
};
use tonic::transport::Channel;

#[derive(Debug, Default)]
struct Heard {
    /// Kinds, in order, of each order.
    by_order: HashMap<String, Vec<String>>,
    /// The last number.
    sequence: i64,
    wrong: Vec<String>,
}

/// What the service has heard.
#[derive(Clone)]
pub struct Events(Arc<Mutex<Heard>>);

impl Events {
    /// Follows until the run ends; resumes at the other server where one goes away.
    pub fn follow(clients: [OrderEventServiceClient<Channel>; 2]) -> Self {
        let events = Self(Arc::default());
        let follower = events.clone();
        tokio::spawn(async move {
            for client in clients.iter().cycle() {
                follower.follow_at(client.clone()).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        events
    }

    async fn follow_at(&self, mut client: OrderEventServiceClient<Channel>) {
        let after_sequence = Some(self.heard(|heard| heard.sequence));
        let request = StreamOrderEventsRequest { after_sequence, ..Default::default() };
        let Ok(answer) = client.stream_order_events(request).await else { return };
        let mut stream = answer.into_inner();
        while let Ok(Some(response)) = stream.message().await {
            self.heard(|heard| response.events.into_iter().for_each(|event| heard.take(event)));
        }
    }

    /// What was told of an order, such as `CREATED`, `PAID`.
    pub fn of(&self, order_id: &str) -> Vec<String> {
        self.heard(|heard| heard.by_order.get(order_id).cloned().unwrap_or_default())
    }

    /// Numbers that were left out, or came twice.
    pub fn wrong(&self) -> Vec<String> {
        self.heard(|heard| heard.wrong.clone())
    }

    /// The last number that was heard.
    pub fn sequence(&self) -> i64 {
        self.heard(|heard| heard.sequence)
    }

    fn heard<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Heard {
    fn take(&mut self, event: OrderEvent) {
        if event.sequence != self.sequence + 1 {
            let text = format!("order event {} came after {}", event.sequence, self.sequence);
            self.wrong.push(text);
        }
        self.sequence = event.sequence;
        let kind = event.kind().as_str_name().trim_start_matches("ORDER_EVENT_KIND_ORDER_");
        let kinds = self.by_order.entry(event.order_id).or_default();
        kinds.push(kind.to_owned());
    }
}

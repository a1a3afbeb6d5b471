//! One call, made and written down.

use std::{sync::Arc, time::Duration};

use holdfast::proto::{self, reservation_service_client::ReservationServiceClient};
use tokio::time::timeout;
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};

use super::{Floor, Tally, answer};
use crate::history::{Answer, Call, Items, Line, Operation};

/// What a client's own clock adds to a deadline, before it stops waiting.
const PATIENCE: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Somebody who calls both servers, by connections of his own.
#[derive(Clone)]
pub struct Caller {
    floor: Arc<Floor>,
    number: u32,
    servers: Vec<ReservationServiceClient<Channel>>,
}

impl Caller {
    pub fn new(floor: Arc<Floor>, number: u32) -> Self {
        let servers = floor.doors.iter().map(|&port| ReservationServiceClient::new(channel(port)));
        Self { servers: servers.collect(), floor, number }
    }

    /// Calls, and writes down what came of it. With `hang_up` the caller does
    /// not wait any longer than that.
    pub async fn call(
        &self,
        server: usize,
        event_id: &str,
        operation: &Operation,
        deadline: Duration,
        hang_up: Option<Duration>,
    ) -> Answer {
        let recorder = &self.floor.recorder;
        let (id, start_us) = (recorder.call_id(), recorder.now_us());
        let client = self.servers[server].clone();
        let wait = hang_up.unwrap_or(deadline + PATIENCE);
        let answer = match timeout(wait, send(client, event_id, operation, deadline)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => answer::why(&error),
            Err(_) => Answer::Unknown { code: "CANCELLED".into(), reason: "HUNG_UP".into() },
        };
        self.tally(operation, &answer);
        recorder.write(Line::Call(Call {
            id,
            client: self.number,
            server: u32::try_from(server).unwrap_or(u32::MAX),
            start_us,
            end_us: recorder.now_us(),
            event_id: event_id.to_owned(),
            operation: operation.clone(),
            answer: answer.clone(),
        }));
        answer
    }

    fn tally(&self, operation: &Operation, answer: &Answer) {
        let tally = &self.floor.tally;
        Tally::add(&tally.operations);
        match answer {
            Answer::Unknown { .. } => Tally::add(&tally.unknown),
            Answer::Unavailable { .. } => Tally::add(&tally.unavailable),
            Answer::Order(_) if matches!(operation, Operation::Confirm { .. }) => {
                Tally::add(&tally.confirmed);
            }
            _ => {}
        }
    }
}

/// A connection that is made when it is first used, and made again when it
/// broke.
pub fn channel(port: u16) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
    let endpoint = endpoint.expect("a port makes a URL");
    endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy()
}

async fn send(
    mut client: ReservationServiceClient<Channel>,
    event_id: &str,
    operation: &Operation,
    deadline: Duration,
) -> Result<Answer, Status> {
    let event_id = event_id.to_owned();
    Ok(match operation.clone() {
        Operation::Hold { hold_id, holder_id, items, ttl_ms } => {
            let (seat_ids, areas) = parts(items);
            let ttl = ttl_ms.and_then(span);
            let hold = proto::HoldRequest {
                event_id,
                holder_id,
                hold_id,
                seat_ids,
                areas,
                ttl,
                ..Default::default()
            };
            answer::of_hold(client.hold(within(hold, deadline)).await?.into_inner().hold)
        }
        Operation::ExtendHold { hold_id, holder_id, ttl_ms } => {
            let ttl = span(ttl_ms);
            let extend = proto::ExtendHoldRequest { event_id, hold_id, holder_id, ttl };
            answer::of_hold(client.extend_hold(within(extend, deadline)).await?.into_inner().hold)
        }
        Operation::Release { hold_id, holder_id, items } => {
            let (seat_ids, areas) = parts(items);
            let release = proto::ReleaseRequest { event_id, hold_id, holder_id, seat_ids, areas };
            answer::of_hold(client.release(within(release, deadline)).await?.into_inner().hold)
        }
        Operation::Confirm { hold_id, holder_id, payment_reference } => {
            let confirm = proto::ConfirmRequest { event_id, hold_id, holder_id, payment_reference };
            answer::of_order(client.confirm(within(confirm, deadline)).await?.into_inner().order)
        }
        Operation::GetHold { hold_id } => {
            let get = proto::GetHoldRequest { event_id, hold_id };
            answer::of_hold(client.get_hold(within(get, deadline)).await?.into_inner().hold)
        }
        Operation::GetSeatMap => {
            let get = proto::GetSeatMapRequest { event_id, snapshot_format: 0 };
            answer::of_map(client.get_seat_map(within(get, deadline)).await?.into_inner())
        }
    })
}

fn within<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

fn span(ms: u64) -> Option<prost_types::Duration> {
    Duration::from_millis(ms).try_into().ok()
}

fn parts(items: Items) -> (Vec<String>, Vec<proto::AreaQuantity>) {
    let area = |(area_id, quantity): (String, u32)| proto::AreaQuantity {
        area_id,
        quantity: i32::try_from(quantity).unwrap_or(i32::MAX),
    };
    (items.seat_ids, items.areas.into_iter().map(area).collect())
}

//! A server's stream, read as a client reads it, and compared with Redis.

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    client, config,
    domain::{
        AreaState, EventId, Position, SeatStatus,
        audit::{Difference, House, compare_stream},
    },
    flow::Flows,
    limits::{AUDIT_STREAM_WAIT, RETRY_DELAY},
    proto::{
        self, StreamSeatUpdatesRequest, StreamSeatUpdatesResponse,
        reservation_service_client::ReservationServiceClient,
        stream_seat_updates_response::Message,
    },
};

/// What the server tells, folded, and after which position.
#[derive(Default)]
struct Told {
    house: House,
    /// `None` within a snapshot or a big update.
    position: Option<Position>,
    in_snapshot: bool,
}

/// Reads the stream until it has told what Redis has, and compares every seat
/// and area. A stream that fails is asked for again, as by any client, for
/// [`AUDIT_STREAM_WAIT`] in all.
///
/// # Errors
/// Where the server cannot be reached, or goes on failing.
pub async fn compare(
    flows: &Flows,
    event_id: &EventId,
    server: &str,
    client: &config::Client,
) -> anyhow::Result<Vec<Difference>> {
    let until = Instant::now() + AUDIT_STREAM_WAIT;
    let connect = client::connect(server, client, |endpoint| endpoint);
    let connection = timeout_at(until, connect).await.context("no answer")??;
    let client = ReservationServiceClient::new(connection);
    let mut last = Position::default();
    loop {
        let asked = async {
            let request = StreamSeatUpdatesRequest {
                event_id: event_id.to_string(),
                ..StreamSeatUpdatesRequest::default()
            };
            let mut stream = client.clone().stream_seat_updates(request).await?.into_inner();
            let (mut told, mut map) = (Told::default(), None);
            loop {
                told.take(event_id, stream.message().await?.context("the stream has ended")?)?;
                let Some(position) = told.position else { continue };
                last = position;
                if let Some(redis) = flows.house_at(event_id, position, &mut map).await? {
                    return anyhow::Ok(compare_stream(server, &told.house, &redis));
                }
            }
        };
        match timeout_at(until, asked).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) if Instant::now() + RETRY_DELAY >= until => return Err(error),
            Ok(Err(_)) => sleep(RETRY_DELAY).await,
            Err(_) => {
                let server = server.to_owned();
                return Ok(vec![Difference::StreamSilent { server, after: last }]);
            }
        }
    }
}

impl Told {
    fn take(&mut self, event_id: &EventId, told: StreamSeatUpdatesResponse) -> anyhow::Result<()> {
        let StreamSeatUpdatesResponse { message, resume_token } = told;
        self.position = match resume_token.as_str() {
            "" => None,
            token => Some(Position::from_token(token, event_id)?),
        };
        match message {
            Some(Message::Snapshot(part)) => {
                if !self.in_snapshot {
                    self.house = House::default();
                }
                self.in_snapshot = !part.last;
                self.fold(part.seats, part.areas)
            }
            Some(Message::Updates(updates)) => self.fold(updates.seats, updates.areas),
            Some(Message::Heartbeat(_)) | None => Ok(()),
        }
    }

    fn fold(
        &mut self,
        seats: Vec<proto::SeatState>,
        areas: Vec<proto::AreaState>,
    ) -> anyhow::Result<()> {
        for seat in seats {
            let status = match seat.status() {
                proto::SeatStatus::Available => SeatStatus::Available,
                proto::SeatStatus::Held => SeatStatus::Held,
                proto::SeatStatus::Sold => SeatStatus::Sold,
                proto::SeatStatus::Blocked => SeatStatus::Blocked,
                proto::SeatStatus::Unspecified => bail!("seat {} has no status", seat.seat_id),
            };
            self.house.seats.insert(seat.seat_id, status);
        }
        for area in areas {
            let (available, capacity) = (area.available.try_into()?, area.capacity.try_into()?);
            self.house.areas.insert(area.area_id, AreaState { available, capacity });
        }
        Ok(())
    }
}

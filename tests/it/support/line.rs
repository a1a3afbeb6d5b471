//! The waiting room of [`EVENT`], as those who wait see it, and as Redis has it.

use std::time::Duration;

use holdfast::{
    limits::ADMISSION_LEEWAY,
    proto::{
        self, Event, EventState, JoinRequest, QueuePosition, QueueServiceLeaveRequest,
        StreamPositionRequest, StreamPositionResponse, WaitingRoom,
        queue_service_client::QueueServiceClient,
    },
};
use redis::AsyncCommands;
use tokio::time::timeout;
use tonic::{Status, Streaming, transport::Channel};

use super::{EVENT, Server, Stage, Stores, small_event};

/// How long something may take to be told.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long those who are let in may make holds.
const ADMISSION_MS: u64 = 600_000;

/// A stage whose event has a waiting room, and, as long as it is a draft, lets nobody in.
pub async fn stage(room: WaitingRoom, admissions_per_minute: i32) -> Stage {
    let stage = Stage::empty().await;
    let mut house = small_event(EVENT);
    let event = house.event.as_mut().unwrap();
    event.set_state(EventState::Draft);
    event.set_waiting_room(room);
    event.admissions_per_minute = admissions_per_minute;
    event.admission_ttl = super::ms(ADMISSION_MS);
    stage.server.create_event(house).await.unwrap();
    stage
}

/// Changes one field of the event.
pub async fn change(server: &Server, path: &str, set: impl FnOnce(&mut Event)) {
    let mut event = Event { event_id: EVENT.into(), ..Event::default() };
    set(&mut event);
    server.update_event(event, &[path]).await.unwrap();
}

/// The sale begins.
pub async fn open(server: &Server) {
    change(server, "state", |event| event.set_state(EventState::OnSale)).await;
}

/// A token with one letter of it changed.
pub fn forged(token: &str) -> String {
    let other = if &token[9..10] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..9], &token[10..])
}

/// A client of a server's queues.
#[derive(Clone)]
pub struct Line(QueueServiceClient<Channel>);

impl Line {
    pub async fn of(server: &Server) -> Self {
        let url = format!("http://{}", server.app.grpc_addr);
        Self(QueueServiceClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap()))
    }

    /// The token of a holder's place, and where it is.
    pub async fn join(&self, holder: &str) -> Result<(String, QueuePosition), Status> {
        self.join_at(EVENT, holder).await
    }

    pub async fn join_at(
        &self,
        event_id: &str,
        holder: &str,
    ) -> Result<(String, QueuePosition), Status> {
        let request = JoinRequest { event_id: event_id.into(), holder_id: holder.into() };
        let joined = self.0.clone().join(request).await?.into_inner();
        Ok((joined.place_token, joined.position.unwrap()))
    }

    pub async fn stream(&self, place_token: &str) -> Result<Waiter, Status> {
        let request =
            StreamPositionRequest { event_id: EVENT.into(), place_token: place_token.into() };
        Ok(Waiter(self.0.clone().stream_position(request).await?.into_inner()))
    }

    pub async fn leave(&self, place_token: &str) -> Result<(), Status> {
        let (event_id, place_token) = (EVENT.into(), place_token.into());
        let request = QueueServiceLeaveRequest { event_id, place_token };
        self.0.clone().leave(request).await.map(drop)
    }

    /// Joins, and waits until it is let in.
    pub async fn let_in(&self, holder: &str) -> proto::Admission {
        let (token, _) = self.join(holder).await.unwrap();
        self.stream(&token).await.unwrap().let_in().await.unwrap()
    }
}

/// A stream of where a place is.
pub struct Waiter(Streaming<StreamPositionResponse>);

impl Waiter {
    /// What is told next; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<QueuePosition>, Status> {
        let told = timeout(PATIENCE, self.0.message()).await.expect("nothing came");
        Ok(told?.map(|told| told.position.unwrap()))
    }

    /// Reads until so many are ahead.
    pub async fn until_ahead(&mut self, ahead: i64) -> QueuePosition {
        let told = async {
            loop {
                let told = self.next().await.unwrap().expect("the stream has ended");
                if told.ahead == ahead {
                    return told;
                }
            }
        };
        timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("never were {ahead} ahead"))
    }

    /// Reads to the end, which comes with the admission.
    pub async fn let_in(mut self) -> Result<proto::Admission, Status> {
        let mut admission = None;
        while let Some(told) = self.next().await? {
            assert!(admission.is_none(), "{told:?} after it was let in");
            admission = told.admission;
        }
        Ok(admission.expect("an admission at the end"))
    }
}

/// The event's queue in Redis, to look, and to break it.
pub struct Room(pub redis::aio::MultiplexedConnection);

impl Room {
    pub async fn of(stores: &Stores) -> Self {
        Self(stores.redis().await)
    }

    pub fn key(kind: &str) -> String {
        format!("hf:{{{EVENT}}}:{kind}")
    }

    /// Who was let in, and when, in ms by Redis' clock; the first first.
    pub async fn admitted(&mut self) -> Vec<(String, u64)> {
        let key = Self::key("queue:ends");
        let ends: Vec<(String, u64)> = self.0.zrange_withscores(key, 0, -1).await.unwrap();
        let lasts = ADMISSION_MS + u64::try_from(ADMISSION_LEEWAY.as_millis()).unwrap();
        ends.into_iter().map(|(holder, ends)| (holder, ends - lasts)).collect()
    }

    /// When each of these was let in.
    pub async fn admitted_at(&mut self, holders: &[String]) -> Vec<u64> {
        let all: std::collections::HashMap<_, _> = self.admitted().await.into_iter().collect();
        holders.iter().map(|holder| all[holder]).collect()
    }

    pub async fn now_ms(&mut self) -> u64 {
        let (seconds, micros): (u64, u64) =
            redis::cmd("TIME").query_async(&mut self.0).await.unwrap();
        seconds * 1_000 + micros / 1_000
    }

    /// Loses all that Redis has, once its clock can tell the next life from this one.
    pub async fn flush(&mut self) {
        let first: u64 = self.0.hget(Self::key("queue"), "first").await.unwrap();
        super::eventually("the next second", async || {
            let now_ms = Self(self.0.clone()).now_ms().await;
            (now_ms / 1_000 > first).then_some(())
        })
        .await;
        let () = redis::cmd("FLUSHDB").query_async(&mut self.0).await.unwrap();
    }

    /// As if nothing had been heard of a holder for ever, and Redis had lived longer.
    pub async fn forget(&mut self, holder: &str) {
        let () = self.0.hset(Self::key("queue"), "begun_ms", 1).await.unwrap();
        let () = self.0.zadd(Self::key("queue:seen"), holder, 1).await.unwrap();
    }
}

//! A gRPC server with nothing behind it, as tonic makes it where nothing else is
//! said: Hold is echoed, and StreamSeatUpdates tells changes that nobody made.
//! This program starts itself as it, so that it is a process of its own, as the
//! server under test is.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, future::BoxFuture, stream};
use holdfast::proto::{
    Hold, HoldRequest, HoldResponse, HoldState, SeatSnapshot, SeatState, SeatStatus, SeatUpdates,
    StreamSeatUpdatesRequest, StreamSeatUpdatesResponse, stream_seat_updates_response::Message,
};
use tokio::{sync::broadcast, time::interval};
use tokio_stream::wrappers::BroadcastStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, ServerStreamingService, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tower::Service;

use super::{
    events::seat_id,
    stream::{CHANGES_PER_SECOND, HOUSE},
    wire::{HOLD, STREAM},
};

const TICK: Duration = Duration::from_millis(100);
/// As long as a resume token of ours.
const TOKEN: &str = "1-123456-f9a49159";
/// Seats of one message of a snapshot, as ours.
const SEATS_PER_MESSAGE: usize = 2_000;

/// Serves until the process is ended.
pub async fn serve(addr: SocketAddr) -> anyhow::Result<()> {
    let (changes, _) = broadcast::channel(64);
    tokio::spawn(make_changes(changes.clone()));
    let bare = Bare { changes, snapshot: Arc::new(snapshot()) };
    Ok(Server::builder().add_service(bare).serve(addr).await?)
}

type Update = StreamSeatUpdatesResponse;

fn seat_state(seat: usize, status: SeatStatus) -> SeatState {
    SeatState { seat_id: seat_id(seat), status: status.into() }
}

/// The house, in as many messages as ours takes.
fn snapshot() -> Vec<Update> {
    let begins = (0..HOUSE).step_by(SEATS_PER_MESSAGE);
    let part = |begin: usize| {
        let end = HOUSE.min(begin + SEATS_PER_MESSAGE);
        let seats = (begin..end).map(|seat| seat_state(seat, SeatStatus::Available));
        let last = end == HOUSE;
        let snapshot = SeatSnapshot { seats: seats.collect(), last, ..SeatSnapshot::default() };
        let resume_token = if last { TOKEN.into() } else { String::new() };
        Update { message: Some(Message::Snapshot(snapshot)), resume_token }
    };
    begins.map(part).collect()
}

/// As many changes in each tick as the server under test is given.
async fn make_changes(changes: broadcast::Sender<Update>) {
    let each = CHANGES_PER_SECOND * TICK.as_millis() as usize / 1_000;
    let mut tick = interval(TICK);
    for begin in (0..).step_by(each) {
        tick.tick().await;
        let seats = (begin..begin + each).map(|i| seat_state(i % HOUSE, SeatStatus::Held));
        let updates = SeatUpdates { seats: seats.collect(), areas: Vec::new() };
        let message = Some(Message::Updates(updates));
        // Nobody may be there to hear it.
        let _ = changes.send(Update { message, resume_token: TOKEN.into() });
    }
}

#[derive(Clone)]
struct Bare {
    changes: broadcast::Sender<Update>,
    snapshot: Arc<Vec<Update>>,
}

impl NamedService for Bare {
    const NAME: &'static str = "holdfast.v1.ReservationService";
}

impl Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                HOLD => Grpc::new(ProstCodec::default()).unary(Echo, request).await,
                STREAM => Grpc::new(ProstCodec::default()).server_streaming(bare, request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

struct Echo;

impl UnaryService<HoldRequest> for Echo {
    type Response = HoldResponse;
    type Future = BoxFuture<'static, Result<Response<HoldResponse>, Status>>;

    fn call(&mut self, request: Request<HoldRequest>) -> Self::Future {
        let request = request.into_inner();
        let time = prost_types::Timestamp { seconds: 1_900_000_000, nanos: 123_000_000 };
        let hold = Hold {
            hold_id: request.hold_id,
            event_id: request.event_id,
            holder_id: request.holder_id,
            seat_ids: request.seat_ids,
            areas: request.areas,
            state: HoldState::Active.into(),
            create_time: Some(time),
            expire_time: Some(time),
            ..Hold::default()
        };
        Box::pin(async move {
            Ok(Response::new(HoldResponse { hold: Some(hold), ..Default::default() }))
        })
    }
}

impl ServerStreamingService<StreamSeatUpdatesRequest> for Bare {
    type Response = Update;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Update, Status>> + Send>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<StreamSeatUpdatesRequest>) -> Self::Future {
        let changes = BroadcastStream::new(self.changes.subscribe());
        let changes = changes.map(|change| change.map_err(|_| Status::data_loss("too slow")));
        let snapshot = self.snapshot.clone();
        let house = (0..snapshot.len()).map(move |i| Ok(snapshot[i].clone()));
        let updates: Self::ResponseStream = Box::pin(stream::iter(house).chain(changes));
        Box::pin(async move { Ok(Response::new(updates)) })
    }
}

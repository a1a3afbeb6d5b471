//! Who watches an event: each once, wherever and however often.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream};
use holdfast::{
    config,
    limits::MAX_VIEWERS,
    proto::{
        self, presence_service_client::PresenceServiceClient, stream_seat_updates_response::Message,
    },
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::support::{
    EVENT, OwnStores, Server, Stage, Stores, any_doors, code_and_reason, eventually, hold_request,
    http::get, small_event,
};

type Stream = Streaming<proto::StreamSeatUpdatesResponse>;

/// A client of PresenceService, which asks of [`EVENT`].
#[derive(Clone)]
struct Presence(PresenceServiceClient<Channel>);

impl Presence {
    async fn at(server: &Server) -> Self {
        Self::at_address(server.app.grpc_addr).await
    }

    async fn at_address(address: SocketAddr) -> Self {
        let url = format!("http://{address}");
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self(PresenceServiceClient::new(channel))
    }

    async fn heartbeat(&self, viewer_id: &str) -> Result<i32, Status> {
        let (event_id, viewer_id) = (EVENT.into(), viewer_id.into());
        let request = proto::HeartbeatRequest { event_id, viewer_id };
        Ok(self.0.clone().heartbeat(request).await?.into_inner().active_viewers)
    }

    async fn leave(&self, viewer_id: &str) -> Result<i32, Status> {
        let (event_id, viewer_id) = (EVENT.into(), viewer_id.into());
        let request = proto::LeaveRequest { event_id, viewer_id };
        Ok(self.0.clone().leave(request).await?.into_inner().active_viewers)
    }

    async fn of(&self, event_id: &str) -> Result<i32, Status> {
        let request = proto::GetPresenceRequest { event_id: event_id.into() };
        Ok(self.0.clone().get_presence(request).await?.into_inner().active_viewers)
    }

    async fn now(&self) -> i32 {
        self.of(EVENT).await.unwrap()
    }

    /// Waits until so many are there.
    async fn until(&self, viewers: i32) {
        let is_so = async || (self.of(EVENT).await.ok() == Some(viewers)).then_some(());
        eventually(&format!("{viewers} viewers"), is_so).await;
    }
}

/// A server that forgets soon.
async fn forgetful_server(stores: &Stores) -> Server {
    let settings = config::Stores { presence_ttl_seconds: 2, ..stores.settings() };
    Server::start_on(&any_doors(), &settings).await
}

/// A stream that has begun, of a viewer or of nobody.
async fn open(server: &Server, viewer_id: &str) -> Stream {
    let request = proto::StreamSeatUpdatesRequest {
        event_id: EVENT.into(),
        viewer_id: viewer_id.into(),
        ..Default::default()
    };
    server.reservations.clone().stream_seat_updates(request).await.unwrap().into_inner()
}

/// Reads on until a heartbeat tells so many viewers.
async fn told(stream: &mut Stream, viewers: i32) {
    let reading = async {
        loop {
            let message = stream.message().await.unwrap().expect("it goes on").message;
            if matches!(message, Some(Message::Heartbeat(beat)) if beat.active_viewers == viewers) {
                return;
            }
        }
    };
    let patience = Duration::from_secs(20);
    timeout(patience, reading).await.unwrap_or_else(|_| panic!("never told of {viewers} viewers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_counts_once_at_two_servers() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let (here, there) = (Presence::at(&stage.server).await, Presence::at(&other).await);
    assert_eq!(here.now().await, 0);
    assert_eq!(here.heartbeat("ann").await.unwrap(), 1);
    assert_eq!(there.heartbeat("ann").await.unwrap(), 1, "the same viewer");
    assert_eq!(there.heartbeat("bob").await.unwrap(), 2);
    let streams = [open(&stage.server, "ann").await, open(&other, "ann").await];
    let cat = open(&other, "cat").await;
    here.until(3).await;

    assert_eq!(there.leave("bob").await.unwrap(), 2);
    assert_eq!(there.leave("bob").await.unwrap(), 2, "again");
    assert_eq!(here.leave("ann").await.unwrap(), 2, "she still has streams");
    drop(streams);
    here.until(1).await;
    drop(cat);
    there.until(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_streams_may_end() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let here = Presence::at(&stage.server).await;
    let kept = open(&stage.server, "ann").await;
    here.until(1).await;
    let redis = stage.stores.redis().await;
    let sources = async || -> Option<u32> {
        let mut ask = redis::cmd("HGET");
        ask.arg(format!("hf:{{{EVENT}}}:viewers")).arg("ann");
        ask.query_async(&mut redis.clone()).await.unwrap()
    };
    let are = async |count| {
        eventually("her sources", async || (sources().await == Some(count)).then_some(())).await;
    };
    let come_and_go = async {
        for _ in 0..10 {
            drop(open(&stage.server, "ann").await);
            let second = open(&other, "ann").await;
            are(2).await;
            drop(second);
            are(1).await;
        }
    };
    let watch = async { while here.now().await == 1 && sources().await.is_some() {} };
    tokio::select! {
        () = come_and_go => {}
        () = watch => panic!("she vanished, or counted twice"),
    }
    drop(kept);
    here.until(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_more_is_off_in_time() {
    let stage = Stage::new().await;
    let forgetful = forgetful_server(&stage.stores).await;
    let (here, there) = (Presence::at(&stage.server).await, Presence::at(&forgetful).await);
    let stream = open(&forgetful, "ann").await;
    assert!(there.heartbeat("bob").await.unwrap() >= 1);
    here.until(2).await;
    // He has crashed.
    here.until(1).await;
    assert_eq!(there.heartbeat("cat").await.unwrap(), 2);
    here.until(1).await;
    assert_eq!(here.heartbeat("ann").await.unwrap(), 1, "her stream outlives any sign of life");
    assert_eq!(here.leave("ann").await.unwrap(), 1);
    drop(stream);
    here.until(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_a_server_that_crashes_are_off_in_time() {
    let stage = Stage::new().await;
    let here = Presence::at(&stage.server).await;
    let kept = open(&stage.server, "ann").await;
    here.until(1).await;

    // In a runtime of its own, which ends as a process does: with no word.
    let (stores, address) = (stage.stores.clone(), stage.server.app.grpc_addr);
    let crashing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let server = forgetful_server(&stores).await;
            let here = Presence::at_address(address).await;
            let streams = [open(&server, "bob").await, open(&server, "ann").await];
            here.until(2).await;
            std::mem::forget((server, streams));
        });
        runtime.shutdown_background();
    });
    tokio::task::spawn_blocking(move || crashing.join().unwrap()).await.unwrap();
    here.until(1).await;
    drop(kept);
    here.until(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let here = Presence::at(&stage.server).await;
    let _stream = open(&other, "ann").await;
    here.until(1).await;
    other.app.stop().await;
    assert_eq!(here.now().await, 0, "though its sources had 30 s to live");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_it_is_whole_again() {
    let mut stores = OwnStores::start().await;
    let server = forgetful_server(&stores.stores()).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    let here = Presence::at(&server).await;
    let streams = [open(&server, "ann").await, open(&server, "bob").await];
    here.until(2).await;
    // Without a restart that anybody would see.
    let mut redis = stores.stores().redis().await;
    let lost: i32 = redis::cmd("DEL")
        .arg(format!("hf:{{{EVENT}}}:presence"))
        .arg(format!("hf:{{{EVENT}}}:viewers"))
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(lost, 2);
    here.until(2).await;

    stores.kill_redis().await;
    assert_eq!(
        code_and_reason(here.heartbeat("cat").await),
        (Code::Unavailable, "STORE_UNAVAILABLE".into())
    );
    std::fs::remove_dir_all(stores.redis_data()).unwrap();
    stores.start_redis().await;
    here.until(2).await;
    drop(streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_told_how_many_watch() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let there = Presence::at(&other).await;
    let mut nobody = open(&stage.server, "").await;
    there.heartbeat("ann").await.unwrap();
    told(&mut nobody, 1).await;
    // While seats change, too, and by what another server knows.
    let busy = async {
        loop {
            let hold = stage.server.hold(hold_request("ann", &["A-1"])).await.unwrap();
            stage.server.release(&hold, &[], vec![]).await.unwrap();
        }
    };
    let bob = open(&other, "bob").await;
    tokio::select! {
        () = told(&mut nobody, 2) => {}
        () = busy => unreachable!(),
    }
    // Whoever comes later hears at once what there is to hear.
    let mut late = open(&stage.server, "").await;
    told(&mut late, 2).await;
    drop(bob);
    told(&mut nobody, 1).await;
    there.leave("ann").await.unwrap();
    told(&mut late, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_come_and_go_are_counted_exactly() {
    let stage = Stage::new().await;
    let other = stage.another_server().await;
    let servers = [&stage.server, &other];
    let presences = [Presence::at(&stage.server).await, Presence::at(&other).await];
    let viewers = (0..1_000_usize).map(|number| {
        let presences = &presences;
        async move {
            let viewer = format!("viewer-{number}");
            let mut random = fastrand::Rng::with_seed(number as u64);
            let (mut is_beating, mut streams) = (false, Vec::new());
            for _ in 0..6 {
                let at = random.usize(..2);
                match random.u8(..5) {
                    0 | 1 => {
                        presences[at].heartbeat(&viewer).await.unwrap();
                        is_beating = true;
                    }
                    2 => {
                        presences[at].leave(&viewer).await.unwrap();
                        is_beating = false;
                    }
                    3 => streams.push(open(servers[at], &viewer).await),
                    _ => drop(streams.pop()),
                }
            }
            (is_beating, streams)
        }
    });
    let left: Vec<_> = stream::iter(viewers).buffer_unordered(64).collect().await;
    let there = left.iter().filter(|(beats, streams)| *beats || !streams.is_empty()).count();
    assert!((100..900).contains(&there), "some came and some went: {there}");
    for presence in &presences {
        presence.until(there as i32).await;
    }
    let beating = left.iter().filter(|(is_beating, _)| *is_beating).count();
    let named = left.iter().filter(|(_, streams)| !streams.is_empty()).count();
    assert!(named > 50 && beating > 50);
    drop(left);
    presences[0].until(beating as i32).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_room_for_so_many() {
    let stage = Stage::new().await;
    let here = Presence::at(&stage.server).await;
    let in_a_minute = "local time = redis.call('TIME')
        for i = ARGV[1], ARGV[2] do
          redis.call('ZADD', KEYS[1], (time[1] + 60) * 1000, 'v' .. i)
          redis.call('HSET', KEYS[2], 'v' .. i, 1)
        end
        redis.call('HSET', KEYS[2], '', 0)";
    let mut redis = stage.stores.redis().await;
    for first in (1..MAX_VIEWERS).step_by(1_000) {
        let last = (first + 999).min(MAX_VIEWERS - 1);
        let mut fill = redis::cmd("EVAL");
        fill.arg(in_a_minute).arg(2);
        fill.arg(format!("hf:{{{EVENT}}}:presence")).arg(format!("hf:{{{EVENT}}}:viewers"));
        let () = fill.arg(first).arg(last).query_async(&mut redis).await.unwrap();
    }
    assert_eq!(here.heartbeat("ann").await.unwrap(), MAX_VIEWERS as i32);
    let full = (Code::ResourceExhausted, "OVERLOADED".into());
    assert_eq!(code_and_reason(here.heartbeat("bob").await), full);
    assert_eq!(here.heartbeat("v1").await.unwrap(), MAX_VIEWERS as i32, "he is one of them");
    // A stream is served all the same.
    let mut stream = open(&stage.server, "bob").await;
    told(&mut stream, MAX_VIEWERS as i32).await;
    here.leave("ann").await.unwrap();
    here.heartbeat("cat").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused() {
    let stage = Stage::new().await;
    let here = Presence::at(&stage.server).await;
    let bad = (Code::InvalidArgument, "INVALID_FIELD".to_owned());
    for viewer_id in ["", "a|b", "an n"] {
        assert_eq!(code_and_reason(here.heartbeat(viewer_id).await), bad);
        assert_eq!(code_and_reason(here.leave(viewer_id).await), bad);
    }
    assert_eq!(code_and_reason(here.of("").await), bad);
    let request = proto::StreamSeatUpdatesRequest {
        event_id: EVENT.into(),
        viewer_id: "a|b".into(),
        ..Default::default()
    };
    let opened = stage.server.reservations.clone().stream_seat_updates(request).await;
    assert_eq!(code_and_reason(opened), bad);
    let unknown = (Code::NotFound, "EVENT_NOT_FOUND".to_owned());
    assert_eq!(code_and_reason(here.of("elsewhere").await), unknown);
    let metrics = get(stage.server.app.http_addr, "/metrics").await.text();
    assert!(metrics.contains("holdfast_presence_viewers"), "{metrics}");
}

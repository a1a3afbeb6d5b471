//! What Redis is asked for: over TLS, as a user who may do the least.

use std::{collections::HashSet, fs, path::Path};

use holdfast::{
    domain::{EventId, Position},
    holds::Holds,
    proto::{
        self, BlockSeatsRequest, OrphanPolicy, SeatStatus, UnblockSeatsRequest, WaitingRoom,
        presence_service_client::PresenceServiceClient,
    },
};
use secrecy::SecretString;

use crate::operator::{force_extend, force_release, reassign};
use crate::support::{
    EVENT, Server, Stores,
    certificates::make_certificates,
    eventually, floor, hold_request,
    line::{self, Line},
    redis_fleet::{RedisServer, free_port, sample},
    small_event,
};

/// Of the commands that `users.acl` grants, those for a Cluster alone; its own
/// tests run as the same user.
const FOR_A_CLUSTER: [&str; 2] = ["cluster|info", "cluster|slots"];

/// A Redis that speaks TLS alone, to clients with a certificate; but to tests
/// on another port, as they like.
async fn start(dir: &Path) -> (RedisServer, u16) {
    make_certificates(dir);
    let file = |name: &str| dir.join(name).display().to_string();
    let (certificate, key, authority) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let tls_port = free_port();
    let port = tls_port.to_string();
    let options = [
        ["--tls-port", &port],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &authority],
        ["--tls-auth-clients", "yes"],
    ];
    let config = sample("single/redis.conf");
    let server = RedisServer::start(dir, free_port(), &config, options.as_flattened()).await;
    (server, tls_port)
}

/// What an operator does, and looks at.
async fn do_by_hand(server: &Server, holds: &Holds) {
    let hold = server.hold(hold_request("ann", &["B-3"])).await.unwrap();
    reassign(server, &hold, "bob").await.unwrap();
    force_extend(server, &hold, 60_000).await.unwrap();
    force_release(server, &hold).await.unwrap();
    let event_id = EVENT.parse().unwrap();
    assert_eq!(holds.count_open(&event_id).await.unwrap(), 0);
    assert_eq!(holds.due_page(&event_id, 0, 0, 1).await.unwrap(), []);
}

/// All that is done with Redis, but for what only an hour's work would do.
async fn do_everything(server: &Server, holds: &Holds, postgres: &tokio_postgres::Client) {
    server.create_event(small_event(EVENT)).await.unwrap();
    let mut watcher = server.watch(EVENT, "").await;
    watcher.snapshot().await;

    let sold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    server.confirm(&sold, "pay-1").await.unwrap();
    let mut request = hold_request("ann", &["B-1", "B-2"]);
    request.areas = floor(3);
    let parted = server.hold(request).await.unwrap();
    server.extend_hold(&parted, 600_000).await.unwrap();
    server.release(&parted, &["B-1"], floor(1)).await.unwrap();
    server.release(&parted, &[], vec![]).await.unwrap();
    do_by_hand(server, holds).await;
    let expired = server.hold(hold_request("bob", &["C-1"])).await.unwrap();
    server.expire(&expired).await;
    watcher.until("its seat is free", |w| w.house.seats["C-1"] == SeatStatus::Available).await;
    let held = server.hold(hold_request("bob", &["D-1"])).await.unwrap();

    let mut catalog = server.catalog.clone();
    let seat_ids = vec!["E-1".to_owned(), "E-2".to_owned()];
    let block = BlockSeatsRequest { event_id: EVENT.into(), seat_ids: seat_ids.clone() };
    catalog.block_seats(block).await.unwrap();
    let seat_ids = vec!["E-1".to_owned()];
    let unblock = UnblockSeatsRequest { event_id: EVENT.into(), seat_ids };
    catalog.unblock_seats(unblock).await.unwrap();
    let mut event = small_event(EVENT).event.unwrap();
    event.max_units_per_holder = 40;
    event.orphan_policy = OrphanPolicy::Warn.into();
    server.update_event(event, &["max_units_per_holder", "orphan_policy"]).await.unwrap();
    server.hold(hold_request("bob", &["D-3"])).await.unwrap();
    let area = proto::Area {
        area_id: "pit".into(),
        capacity: 20,
        price_category_id: "floor".into(),
        ..proto::Area::default()
    };
    let add = proto::AddAreasRequest { event_id: EVENT.into(), areas: vec![area] };
    catalog.add_areas(add).await.unwrap();
    watcher.until("the new area", |w| w.house.areas.get("pit") == Some(&20)).await;

    let channel = format!("http://{}", server.app.grpc_addr);
    let mut presence = PresenceServiceClient::connect(channel).await.unwrap();
    let (event_id, viewer_id) = (EVENT.to_owned(), "ann".to_owned());
    presence.heartbeat(proto::HeartbeatRequest { event_id, viewer_id }).await.unwrap();
    let (event_id, viewer_id) = (EVENT.to_owned(), "ann".to_owned());
    presence.leave(proto::LeaveRequest { event_id, viewer_id }).await.unwrap();
    queue(server).await;

    // The journal job, and what the hourly job asks of Redis.
    eventually("the hold is journaled", async || {
        let row = postgres
            .query_one("SELECT count(*) FROM holds WHERE hold_id::text = $1", &[&held.hold_id])
            .await
            .unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    let event_id: EventId = EVENT.parse().unwrap();
    holds.trim_log(&event_id, Position::default()).await.unwrap();
    holds.forget_ended_holds(&event_id).await.unwrap();
    // And what the audit of the next minutes does.
    // The job may have been first.
    let _ = holds.take_reconcile_turn(&event_id).await.unwrap();
    let picture = holds.audit(&event_id).await.unwrap().unwrap();
    let asked = [held.hold_id.parse().unwrap()];
    let found = holds.audit_holds(&event_id, picture.position.epoch, &asked).await.unwrap();
    assert_eq!(found.len(), 1);
}

/// All that a queue asks for, but to put back what was lost, which is no more.
async fn queue(server: &Server) {
    let room = |room| move |event: &mut proto::Event| event.set_waiting_room(room);
    line::change(server, "waiting_room", room(WaitingRoom::Inventory)).await;
    let line = Line::of(server).await;
    let admission = line.let_in("dan").await;
    let (gone, _) = line.join("eve").await.unwrap();
    line.leave(&gone).await.unwrap();
    let mut request = hold_request("dan", &["F-1"]);
    request.admission_token = admission.admission_token;
    let hold = server.hold(request).await.unwrap();
    server.release(&hold, &[], vec![]).await.unwrap();
    line::change(server, "waiting_room", room(WaitingRoom::Off)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_over_tls_as_the_user_of_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (redis, tls_port) = start(dir.path()).await;
    let at = dir.path().display();
    let url = format!(
        "rediss://holdfast:HOLDFAST-PASSWORD@127.0.0.1:{tls_port}/3\
         ?ca={at}/ca.pem&cert={at}/client.pem&key={at}/client.key"
    );
    let stores = Stores { redis_url: url, ..Stores::new().await };
    let () = redis.ask(&["CONFIG", "RESETSTAT"]).await.unwrap();
    let server = Server::start(&stores).await;
    let holds = Holds::new(&SecretString::from(stores.redis_url.clone())).unwrap();
    let postgres = stores.postgres().await;
    do_everything(&server, &holds, &postgres).await;
    let before = server.house().await;
    // What one server has put into a cache, another takes from there.
    let mut other = Server::start(&stores).await.catalog;
    other.list_events(proto::ListEventsRequest::default()).await.unwrap();

    // All is gone, and built anew.
    let () = redis.ask(&["FLUSHALL"]).await.unwrap();
    server.hold(hold_request("cat", &["J-1"])).await.unwrap();
    let house = server.house().await;
    assert_eq!(house.seats["J-1"], SeatStatus::Held);
    let same = before.seats.iter().filter(|&(seat, status)| house.seats[seat] == *status).count();
    assert_eq!(same, before.seats.len() - 1);

    // Nothing was refused; and what was allowed was needed.
    assert_eq!(redis.refused().await, []);
    let users = fs::read_to_string(sample("users.acl")).unwrap();
    let user = users.lines().find(|line| line.starts_with("user holdfast ")).unwrap();
    let granted: HashSet<&str> =
        user.split(' ').filter_map(|rule| rule.strip_prefix('+')).collect();
    let stats: String = redis.ask(&["INFO", "commandstats"]).await.unwrap();
    let is_unused = |command: &&&str| {
        !stats.contains(&format!("cmdstat_{command}:")) && !FOR_A_CLUSTER.contains(*command)
    };
    let unused: Vec<_> = granted.iter().filter(is_unused).collect();
    assert!(unused.is_empty(), "{unused:?} are granted and not needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_vouches_for_is_not_talked_to() {
    let dir = tempfile::tempdir().unwrap();
    let (_redis, tls_port) = start(dir.path()).await;
    let told = async |query: &str| {
        let url = format!("rediss://holdfast:HOLDFAST-PASSWORD@127.0.0.1:{tls_port}{query}");
        Holds::new(&SecretString::from(url)).unwrap().probe().await
    };
    let at = dir.path().display();
    let client = format!("cert={at}/client.pem&key={at}/client.key");
    assert_eq!(told(&format!("?ca={at}/ca.pem&{client}")).await, Ok(()));
    // By the system's certificates, it is nobody; and it does not take us
    // without ours.
    assert!(told(&format!("?{client}")).await.is_err());
    assert!(told(&format!("?ca={at}/ca.pem")).await.is_err());
}

//! Another Postgres takes over; and the way to it is TLS.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
};

use holdfast::{
    dev::Postgres,
    ledger::{Ledger, Settings},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::support::{
    EVENT, OwnStores, Server, Stores, certificates::make_certificates, eventually, hold_request,
    http::get, redis_fleet::free_port, small_event,
};

async fn on_sale(stores: &Stores) -> Server {
    let server = Server::start(stores).await;
    server.create_event(small_event(EVENT)).await.unwrap();
    server
}

/// A directory that every user may pass.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Both in one URL, as `deploy/` has it.
fn either(a: &str, b: &str) -> String {
    let host = |url: &str| url.split(['@', '/']).nth(3).unwrap().to_owned();
    a.replace(&host(a), &format!("{},{}", host(b), host(a)))
}

#[tokio::test(flavor = "multi_thread")]
async fn confirms_are_back_soon_after_a_replica_took_over() {
    let mut own = OwnStores::start().await;
    let dir = scratch();
    let replica = own.postgres.start_replica(dir.path()).await.unwrap();
    // What is answered, the replica has.
    own.postgres.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
    own.postgres.execute("SELECT pg_reload_conf()").await.unwrap();
    let mut stores = own.stores();
    let database = stores.postgres_url.rsplit('/').next().unwrap().to_owned();
    // The replica is named first: it is not taken.
    stores.postgres_url = either(&stores.postgres_url, &replica.url(&database));
    let server = on_sale(&stores).await;
    let sold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let order = server.confirm(&sold, "pay-1").await.unwrap();
    let held = server.hold(hold_request("bob", &["A-2"])).await.unwrap();

    let guard = i32::try_from(own.postgres.pid()).unwrap();
    killpg(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    own.postgres.ended().await.unwrap();
    let http = server.app.http_addr;
    let ready = eventually("it is not ready", async || {
        let ready = get(http, "/readyz").await;
        ready.head.starts_with("HTTP/1.1 503").then(|| ready.text())
    })
    .await;
    assert!(ready.contains("Postgres is out of reach"), "{ready}");

    replica.execute("SELECT pg_promote()").await.unwrap();
    let promoted = Instant::now();
    let sale = eventually("Confirms are back", async || server.confirm(&held, "pay-2").await.ok());
    let sale = sale.await;
    let away = promoted.elapsed();
    println!("Confirms were away for {away:?}");
    assert_eq!(sale.hold_id, held.hold_id);
    assert_eq!(server.confirm(&sold, "pay-1").await.unwrap(), order);
    server.app.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_led_to_a_replica_for_a_while_does_no_harm() {
    let own = OwnStores::start().await;
    let dir = scratch();
    let replica = own.postgres.start_replica(dir.path()).await.unwrap();
    let mut stores = own.stores();
    // The name is a link to where the sockets are.
    let sockets =
        |url: &str| url.split(['@', '/']).nth(3).unwrap().replace("%2F", "/").replace(":5432", "");
    let (at_first, after) = (sockets(&stores.postgres_url), sockets(&replica.url("x")));
    let name = dir.path().join("name");
    let lead_to = |sockets: &str| {
        let _ = fs::remove_file(&name);
        symlink(sockets, &name).unwrap();
    };
    lead_to(&at_first);
    let host = at_first.replace('/', "%2F");
    let linked = name.display().to_string().replace('/', "%2F");
    stores.postgres_url = stores.postgres_url.replace(&host, &linked);
    let server = on_sale(&stores).await;

    lead_to(&after);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'holdfast'";
    own.postgres.execute(end).await.unwrap();
    let http = server.app.http_addr;
    eventually("it is not ready", async || {
        get(http, "/readyz").await.text().contains("database does not allow writes").then_some(())
    })
    .await;
    lead_to(&at_first);
    server.app.ready().await;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    server.confirm(&hold, "pay-1").await.unwrap();
}

/// Those of our sessions.
async fn sessions(postgres: &tokio_postgres::Client) -> Vec<i32> {
    let rows = postgres
        .query("SELECT pid FROM pg_stat_activity WHERE application_name = 'holdfast'", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_may_not_write_is_not_used_again() {
    let own = OwnStores::start().await;
    let server = on_sale(&own.stores()).await;
    let hold = server.hold(hold_request("ann", &["A-1"])).await.unwrap();
    let look = own.stores().postgres().await;
    let before = sessions(&look).await;
    let set = async |to: &str| {
        let allow = "SET default_transaction_read_only = off;";
        look.batch_execute(allow).await.unwrap();
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {to}");
        look.batch_execute(&set).await.unwrap();
        look.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    };
    set("on").await;
    eventually("one of them is gone", async || {
        let _ = server.confirm(&hold, "pay-1").await;
        let now = sessions(&look).await;
        before.iter().any(|pid| !now.contains(pid)).then_some(())
    })
    .await;
    set("off").await;
    eventually("it is sold", async || server.confirm(&hold, "pay-1").await.ok()).await;
}

/// A server that takes TLS connections, too; and its port.
async fn with_tls(dir: &Path) -> (Postgres, u16) {
    make_certificates(dir);
    // The key must be the server's own: whoever that is, it has a directory now.
    Postgres::start(dir).await.unwrap().stop().await;
    let (certificate, key) = (dir.join("server.pem"), dir.join("server.key"));
    let cluster = fs::metadata(dir.join("postgres")).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&key, Some(cluster.uid()), Some(cluster.gid())).unwrap();
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    let options: Vec<&str> = settings.iter().flat_map(|one| ["-c", one.as_str()]).collect();
    let port = free_port();
    (Postgres::start_with(dir, port, &options).await.unwrap(), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_is_tls_to_whom_the_authority_vouches_for() {
    let dir = scratch();
    let (postgres, port) = with_tls(dir.path()).await;
    let at = |query: &str| {
        let url = format!("postgresql://holdfast@127.0.0.1:{port}/postgres?sslmode={query}");
        SecretString::from(url)
    };
    let vouched = format!("verify-full&sslrootcert={}/ca.pem", dir.path().display());
    Ledger::migrate(&at(&vouched)).await.unwrap();
    let ledger = |query: &str| Ledger::new(&Settings { url: at(query), pool_size: 1 }).unwrap();
    let trusting = ledger(&vouched);
    trusting.probe().await.unwrap();
    let look = tokio_postgres::connect(&postgres.url("postgres"), tokio_postgres::NoTls).await;
    let (look, connection) = look.unwrap();
    tokio::spawn(connection);
    let ours = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE application_name = 'holdfast'";
    let rows = look.query(ours, &[]).await.unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.get(0)));
    // Nobody whom the system trusts has signed.
    let told = ledger("require").probe().await.unwrap_err();
    assert!(told.contains("certificate"), "{told}");
}

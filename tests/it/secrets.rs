//! Secrets and buyers' names: that they are told to nobody whom they are not for.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use holdfast::proto::{
    self, checkout_service_client::CheckoutServiceClient,
    reservation_service_client::ReservationServiceClient,
};
use tokio::process::Command;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{
    EVENT, OwnStores, Stores,
    collector::Collector,
    eventually, hold_request, http,
    mailbox::MailServer,
    process::Process,
    small_event,
    tokens::{AUDIENCE, KeyServer, Signer, bearing},
};

/// Each in the setting that its name says; none may be found anywhere.
const POSTGRES: &str = "canary-postgres-5c1e";
const REDIS: &str = "canary-redis-77ab";
const SMTP: &str = "canary-smtp-90d2";
const VNPAY: &str = "canary-vnpay-41f0";
const QUEUE: &str = "canary-queue-key-of-32-characters-b6";
const OTLP: &str = "canary-otlp-header-e3";
const JWKS: &str = "canary-jwks-2d8f";
const SECRETS: [&str; 7] = [POSTGRES, REDIS, SMTP, VNPAY, QUEUE, OTLP, JWKS];
/// Of a buyer.
const NAME: &str = "Canary Buyerson";
const EMAIL: &str = "canary.buyer@house.example";
const PERSONAL: [&str; 3] = [NAME, EMAIL, "Buyerson"];

fn assert_silent(place: &str, text: &str) {
    for canary in SECRETS.iter().chain(&PERSONAL) {
        let at = text.find(canary);
        let begin = at.unwrap_or_default().saturating_sub(300);
        let around = || text.get(begin..).map(|rest| rest.chars().take(600).collect::<String>());
        assert!(at.is_none(), "{canary} in {place}: {:?}", around());
    }
}

/// Stores that ask for passwords: the canaries, or wrong ones are refused.
async fn guarded() -> (OwnStores, Stores) {
    let stores = OwnStores::start().await;
    let open = stores.stores();
    let client = open.postgres().await;
    let password = format!("ALTER ROLE holdfast PASSWORD '{POSTGRES}'");
    client.batch_execute(&password).await.unwrap();
    let row = client.query_one("SHOW hba_file", &[]).await.unwrap();
    fs::write(row.get::<_, String>(0), "local all all scram-sha-256\n").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let mut redis = open.redis().await;
    let set = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg(REDIS).to_owned();
    set.query_async::<()>(&mut redis).await.unwrap();
    let postgres_url = open.postgres_url.replacen("holdfast@", &format!("holdfast:{POSTGRES}@"), 1);
    let redis_url = format!("{}?pass={REDIS}", open.redis_url);
    (stores, Stores { postgres_url, redis_url })
}

fn with_canaries(command: &mut Command, mail: &MailServer, collector: &Collector, log: &Path) {
    let log = File::create(log).unwrap();
    command
        .env("HOLDFAST_SMTP_URL", mail.url_with(SMTP))
        .env("HOLDFAST_MAIL_FROM", "The House <tickets@house.example>")
        .env("HOLDFAST_VNPAY_TMN_CODE", "HOLDFAST")
        .env("HOLDFAST_VNPAY_HASH_SECRET", VNPAY)
        .env("HOLDFAST_VNPAY_API_URL", "http://127.0.0.1:9/api")
        .env("HOLDFAST_QUEUE_KEY", QUEUE)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={OTLP}"))
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .args(["--log", "trace"])
        .stdout(log.try_clone().unwrap())
        .stderr(log);
}

fn told(status: &Status) -> String {
    let details = String::from_utf8_lossy(status.details()).into_owned();
    format!("{status:?} {details} {}", status.message())
}

/// A sale to a buyer with an address, calls that fail, and a mail that is not taken.
async fn exercise(process: &Process) -> String {
    let mut answers = String::new();
    process.catalog.clone().create_event(small_event(EVENT)).await.unwrap();
    let mut client = ReservationServiceClient::new(process.channel.clone());
    let mut checkout = CheckoutServiceClient::new(process.channel.clone());
    let held = client.hold(hold_request("ann", &["A-1"])).await.unwrap().into_inner().hold.unwrap();
    let order = proto::CreateOrderRequest {
        event_id: EVENT.into(),
        hold_id: held.hold_id.clone(),
        holder_id: "ann".into(),
        buyer: Some(proto::Buyer { name: NAME.into(), email: EMAIL.into(), ..Default::default() }),
        ..Default::default()
    };
    // Of another holder, with what can be no id; then as it should be.
    let other = proto::CreateOrderRequest { holder_id: "bob".into(), ..order.clone() };
    answers += &told(&checkout.create_order(other).await.unwrap_err());
    let malformed = proto::CreateOrderRequest { event_id: EMAIL.into(), ..order.clone() };
    let malformed = checkout.create_order(malformed).await.unwrap_err();
    assert!(!told(&malformed).contains(EMAIL));
    let mut by_page = order.clone();
    by_page.payment_provider = "vnpay".into();
    let refused = checkout.create_order(by_page).await;
    answers += &refused.err().map(|status| told(&status)).unwrap_or_default();
    checkout.create_order(order).await.unwrap();
    let confirm = proto::ConfirmRequest {
        event_id: EVENT.into(),
        hold_id: held.hold_id,
        holder_id: "ann".into(),
        payment_reference: Uuid::now_v7().to_string(),
    };
    client.confirm(confirm).await.unwrap();
    client.hold(hold_request("bob", &["A-1"])).await.unwrap_err();
    for path in ["/payments/vnpay/callback?vnp_SecureHash=x", "/payments/vnpay/return", "/readyz"] {
        let answer = http::get(process.http, path).await;
        answers += &answer.head;
        answers += &answer.text();
    }
    eventually("the mail server does not take the password", async || {
        let page = process.metrics().await;
        let failed = "holdfast_deliveries_total{target=\"mail\",result=\"failed\"}";
        page.lines().any(|line| line.starts_with(failed) && !line.ends_with(" 0")).then_some(())
    })
    .await;
    answers + &process.metrics().await
}

/// Postgres refuses an order's row, and quotes it with the buyer in it.
async fn refused_row(process: &Process, stores: &Stores) -> String {
    let client = stores.postgres().await;
    let check = "ALTER TABLE orders ADD CONSTRAINT canary CHECK (buyer_name <> 'Canary Buyerson')";
    client.batch_execute(&format!("{check} NOT VALID")).await.unwrap();
    let mut client = ReservationServiceClient::new(process.channel.clone());
    let held = client.hold(hold_request("ann", &["A-3"])).await.unwrap().into_inner().hold.unwrap();
    let order = proto::CreateOrderRequest {
        event_id: EVENT.into(),
        hold_id: held.hold_id,
        holder_id: "ann".into(),
        buyer: Some(proto::Buyer { name: NAME.into(), email: EMAIL.into(), ..Default::default() }),
        ..Default::default()
    };
    let mut checkout = CheckoutServiceClient::new(process.channel.clone());
    let before = process.metric("holdfast_faults_total").await;
    let fault = checkout.create_order(order).await.unwrap_err();
    assert_eq!(fault.code(), Code::Internal, "{fault:?}");
    assert_eq!(process.metric("holdfast_faults_total").await, before + 1);
    told(&fault)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_buyer_is_told_by_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (mut own, stores) = guarded().await;
    let (mail, collector) = (MailServer::start().await, Collector::start().await);
    let set = |command: &mut Command| with_canaries(command, &mail, &collector, &log);
    let process = Process::start_with(&stores, set).await;
    assert_silent("answers and metrics", &exercise(&process).await);
    assert_silent("a fault's status", &refused_row(&process, &stores).await);
    let title = fs::read_to_string(format!("/proc/{}/cmdline", process.pid())).unwrap();
    assert_silent("the process's title", &title);
    // Stores that go away leave errors with what they were reached by.
    own.redis.stop().await;
    own.postgres.stop().await;
    let mut client = ReservationServiceClient::new(process.channel.clone());
    let status = client.hold(hold_request("ann", &["A-2"])).await.unwrap_err();
    assert_silent("an error's status", &told(&status));
    eventually("it says so", async || {
        let ready = http::get(process.http, "/readyz").await;
        assert_silent("/readyz", &ready.text());
        ready.head.contains("503").then_some(())
    })
    .await;
    process.stop().await;
    assert!(!collector.spans().is_empty());
    assert_silent("spans", &format!("{:?}", collector.spans()));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("call failed"), "{log}");
    assert!(log.contains("violates check constraint"), "the fault is told, its row is not");
    assert_silent("the log", &log);
}

/// The URL of keys may have a secret in its query; one with a password is refused.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_the_url_of_keys_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (_own, stores) = guarded().await;
    let keys = KeyServer::start(None).await;
    let url = format!("{}?key={JWKS}", keys.url());
    let set = |command: &mut Command| {
        let log = File::create(&log).unwrap();
        command
            .env("HOLDFAST_JWT_KEYS", &url)
            .env("HOLDFAST_JWT_AUDIENCE", AUDIENCE)
            .args(["--log", "trace"])
            .stdout(log.try_clone().unwrap())
            .stderr(log);
    };
    let process = Process::start_with(&stores, set).await;
    let token = Signer::new("first").token("ann", "viewer");
    let status = process
        .catalog
        .clone()
        .list_events(bearing(&token, proto::ListEventsRequest::default()))
        .await;
    assert_silent("a status", &told(&status.unwrap_err()));
    let failed = "the keys of tokens cannot be read";
    eventually("it says so", async || {
        fs::read_to_string(&log).unwrap().contains(failed).then_some(())
    })
    .await;
    process.stop().await;
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains(&keys.url()), "which URL it is, is told: {log}");
    assert_silent("the log", &log);
    let host = format!("{}/keys", keys.addr);
    for url in [
        format!("http://ann:{JWKS}@{host}"),
        format!("https://{JWKS}@{host}"),
        format!("http:/ann:{JWKS}@{host}"),
        format!("ann:{JWKS}@{host}"),
        format!("ftp://{host}?key={JWKS}"),
    ] {
        let all = [
            ("HOLDFAST_POSTGRES_URL", &*stores.postgres_url),
            ("HOLDFAST_REDIS_URL", &*stores.redis_url),
            ("HOLDFAST_JWT_KEYS", &*url),
            ("HOLDFAST_JWT_AUDIENCE", AUDIENCE),
            ("HOLDFAST_GRPC_ADDR", "127.0.0.1:0"),
            ("HOLDFAST_HTTP_ADDR", "127.0.0.1:0"),
        ];
        for (args, part) in [
            (&["serve"][..], "HOLDFAST_JWT_KEYS must be"),
            (&["serve", "--help"], "HOLDFAST_JWT_KEYS"),
        ] {
            let said = said(args, &all).await;
            assert!(said.contains(part), "{said}");
            assert_silent("what is said", &said);
        }
    }
}

/// What a program says that cannot start.
async fn said(args: &[&str], set: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(args).args(["--log", "trace"]).envs(set.iter().copied());
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let [out, err] =
        [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    format!("{out}{err}")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_by_a_program_that_does_not_start() {
    let (_own, stores) = guarded().await;
    let good = (stores.postgres_url.as_str(), stores.redis_url.as_str());
    let wrong = stores.postgres_url.replacen(POSTGRES, SMTP, 1);
    let unparsable = format!("postgres://user:{POSTGRES}@[/no url");
    let unreadable = format!("redis://user:{REDIS}@host:port/x");
    for (postgres, redis, part) in [
        (&*wrong, good.1, "Postgres"),
        (&*unparsable, good.1, "Postgres"),
        (good.0, &*unreadable, "Redis"),
        (&format!("no://{POSTGRES}"), good.1, "Postgres"),
        (good.0, &format!("{REDIS} at no URL"), "Redis"),
    ] {
        let set = [("HOLDFAST_POSTGRES_URL", postgres), ("HOLDFAST_REDIS_URL", redis)];
        let said = said(&["audit"], &set).await;
        assert!(said.contains(part), "{said}");
        assert_silent("what is said", &said);
    }
    let all = [
        ("HOLDFAST_POSTGRES_URL", good.0),
        ("HOLDFAST_REDIS_URL", good.1),
        ("HOLDFAST_SMTP_URL", SMTP),
        ("HOLDFAST_MAIL_FROM", "The House <tickets@house.example>"),
        ("HOLDFAST_QUEUE_KEY", QUEUE),
        ("HOLDFAST_VNPAY_HASH_SECRET", VNPAY),
        ("HOLDFAST_VNPAY_TMN_CODE", "HOLDFAST"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", OTLP),
        ("HOLDFAST_GRPC_ADDR", "127.0.0.1:0"),
        ("HOLDFAST_HTTP_ADDR", "127.0.0.1:0"),
    ];
    for args in [
        &["serve", "--help"][..],
        &["--help"],
        &["audit", "--help"],
        &["serve"],
        &["serve", "--no-such"],
    ] {
        let said = said(args, &all).await;
        assert!(!said.is_empty());
        assert_silent("what is said", &said);
    }
    // A mail server's URL that is none.
    let said =
        said(&["serve"], &all.map(|set| if set.1 == OTLP { (set.0, "") } else { set })).await;
    assert!(said.contains("HOLDFAST_SMTP_URL"), "{said}");
    assert_silent("what is said", &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_from_files() {
    let (_own, stores) = guarded().await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        path.display().to_string()
    };
    let (postgres, redis) =
        (file("postgres", &stores.postgres_url), file("redis", &stores.redis_url));
    let set = |command: &mut Command| {
        command
            .env_remove("HOLDFAST_POSTGRES_URL")
            .env_remove("HOLDFAST_REDIS_URL")
            .env("HOLDFAST_POSTGRES_URL_FILE", &postgres)
            .env("HOLDFAST_REDIS_URL_FILE", &redis);
    };
    let process = Process::start_with(&stores, set).await;
    process.catalog.clone().create_event(small_event(EVENT)).await.unwrap();
    let files = [("HOLDFAST_POSTGRES_URL_FILE", &*postgres), ("HOLDFAST_REDIS_URL_FILE", &*redis)];
    assert_silent("help", &said(&["serve", "--help"], &files).await);
    let both = [files[0], ("HOLDFAST_POSTGRES_URL", &*stores.postgres_url), files[1]];
    let twice = said(&["audit"], &both).await;
    assert!(twice.contains("both given"), "{twice}");
    assert_silent("what is said", &twice);
    let none = said(&["audit"], &[("HOLDFAST_POSTGRES_URL_FILE", "/nowhere"), files[1]]).await;
    assert!(none.contains("HOLDFAST_POSTGRES_URL_FILE: /nowhere cannot be read"), "{none}");
}

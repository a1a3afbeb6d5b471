//! TLS on both doors, and certificates that say who calls.

use std::{net::SocketAddr, time::Duration};

use holdfast::{
    app::App,
    client::{self, Connection},
    config::{Access, Client, Doors},
    proto::{ListEventsRequest, catalog_service_client::CatalogServiceClient},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Status};

use crate::support::{
    Stores, any_doors,
    certificates::{Authority, Names},
    eventually, http, seat, small_event,
    tokens::{Signer, jwks, taking},
};

/// A directory with certificates, and settings that use them.
struct Secrets {
    dir: TempDir,
}

impl Secrets {
    /// By one authority: the server's, and those of clients with roles.
    fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        let authority = Authority::new("authority");
        authority.write(&this.path("ca.pem"));
        this.issue(&authority, "server", Names::Ip("127.0.0.1"));
        this.issue(&authority, "web", Names::Dns("web.example"));
        this.issue(&authority, "desk", Names::Uri("spiffe://house/desk"));
        this.issue(&authority, "ops", Names::Common("ops"));
        this.issue(&authority, "stranger", Names::Common("stranger"));
        this.roles(
            r#""web.example" = "viewer"
            "spiffe://house/desk" = "confirmer"
            ops = "operator""#,
        );
        this
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn issue(&self, authority: &Authority, name: &str, names: Names<'_>) {
        let (certificate, key) = authority.issue(names);
        std::fs::write(self.path(&format!("{name}.key")), key).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate).unwrap();
    }

    fn roles(&self, text: &str) {
        std::fs::write(self.path("roles.toml"), text).unwrap();
    }

    /// Certificates alone.
    fn access(&self) -> Access {
        Access {
            tls_cert_file: Some(self.path("server.pem")),
            tls_key_file: Some(self.path("server.key")),
            tls_client_ca_file: Some(self.path("ca.pem")),
            certificate_roles_file: Some(self.path("roles.toml")),
            reflection: true,
            ..Access::default()
        }
    }

    /// Whom the test is, to servers of this authority.
    fn client(&self, name: Option<&str>, ca: &str) -> Client {
        let of = |ending: &str| name.map(|name| self.path(&format!("{name}.{ending}")));
        Client {
            ca_file: Some(self.path(ca)),
            client_cert_file: of("pem"),
            client_key_file: of("key"),
            token_file: None,
        }
    }
}

async fn serve(access: Access) -> App {
    let stores = Stores::new().await;
    let app = App::start(&Doors { access, ..any_doors() }, &stores.settings()).await.unwrap();
    app.ready().await;
    app
}

async fn connect(addr: SocketAddr, client: &Client) -> Result<Connection, String> {
    let url = format!("https://{addr}");
    let connected = client::connect(&url, client, |endpoint| endpoint).await;
    connected.map_err(|error| format!("{error:#}"))
}

/// What every caller may.
async fn list(connection: &Connection) -> Result<(), Status> {
    let mut catalog = CatalogServiceClient::new(connection.clone());
    catalog.list_events(ListEventsRequest::default()).await.map(|_| ())
}

/// Whether somebody gets so far as to be answered, of a client without certificate; TLS 1.3
/// says so only then.
async fn is_let_in(addr: SocketAddr, client: &Client) -> bool {
    match connect(addr, client).await {
        Err(_) => false,
        Ok(connection) => match list(&connection).await {
            Ok(()) => true,
            // What the server says has details; that the connection broke has none.
            Err(status) => !status.details().is_empty(),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_say_who_calls() {
    let secrets = Secrets::new();
    let app = serve(secrets.access()).await;
    let call = async |name: &str, path: &str| {
        let connection = connect(app.grpc_addr, &secrets.client(Some(name), "ca.pem")).await;
        let mut grpc = tonic::client::Grpc::new(connection.unwrap());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let told = grpc.unary(tonic::Request::new(()), path.parse().unwrap(), codec).await;
        told.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    const LIST: &str = "/holdfast.v1.CatalogService/ListEvents";
    const CONFIRM: &str = "/holdfast.v1.ReservationService/Confirm";
    const CREATE: &str = "/holdfast.v1.CatalogService/CreateEvent";
    const NOT_FOR_HIM: Code = Code::PermissionDenied;
    for (name, told) in [
        ("web", [Code::Ok, NOT_FOR_HIM, NOT_FOR_HIM]),
        ("desk", [Code::Ok, Code::InvalidArgument, NOT_FOR_HIM]),
        ("ops", [Code::Ok, Code::InvalidArgument, Code::InvalidArgument]),
        ("stranger", [NOT_FOR_HIM; 3]),
    ] {
        for (path, code) in [LIST, CONFIRM, CREATE].into_iter().zip(told) {
            assert_eq!(call(name, path).await, code, "{name} {path}");
        }
    }
    // Without one, nobody comes in.
    assert!(!is_let_in(app.grpc_addr, &secrets.client(None, "ca.pem")).await);
    // Roles are read again.
    secrets.roles("\"stranger\" = \"viewer\"");
    eventually("roles are read", async || (call("stranger", LIST).await == Code::Ok).then_some(()))
        .await;
    assert_eq!(call("ops", LIST).await, NOT_FOR_HIM);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tokens_are_taken_certificates_need_not_be() {
    let secrets = Secrets::new();
    let signer = Signer::new("first");
    let keys = secrets.path("keys.json");
    std::fs::write(&keys, jwks(&[signer.jwk()])).unwrap();
    let tokens = taking(keys.display().to_string());
    let access = Access { reflection: true, ..secrets.access() };
    let app = serve(Access {
        tls_cert_file: access.tls_cert_file,
        tls_key_file: access.tls_key_file,
        tls_client_ca_file: access.tls_client_ca_file,
        certificate_roles_file: access.certificate_roles_file,
        ..tokens
    })
    .await;
    let told = async |client: &Client| {
        let connection = connect(app.grpc_addr, client).await.unwrap();
        list(&connection).await.map_err(|status| status.code())
    };
    let nobody = secrets.client(None, "ca.pem");
    assert_eq!(told(&nobody).await, Err(Code::Unauthenticated));
    assert_eq!(told(&secrets.client(Some("web"), "ca.pem")).await, Ok(()));
    let token = secrets.path("token");
    std::fs::write(&token, signer.token("ann", "viewer") + "\n").unwrap();
    let with_token = Client { token_file: Some(token.clone()), ..nobody };
    assert_eq!(told(&with_token).await, Ok(()));
    // A token that is no good is not made so by a certificate.
    std::fs::write(&token, Signer::new("first").token("ann", "viewer")).unwrap();
    let both = Client { token_file: Some(token), ..secrets.client(Some("web"), "ca.pem") };
    assert_eq!(told(&both).await, Err(Code::Unauthenticated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_for_new_connections() {
    let secrets = Secrets::new();
    let app = serve(secrets.access()).await;
    let old = secrets.client(Some("web"), "ca.pem");
    let before = connect(app.grpc_addr, &old).await.unwrap();
    list(&before).await.unwrap();
    // Another authority signs servers from now on; clients are signed as before.
    let other = Authority::new("other");
    other.write(&secrets.path("other.pem"));
    let new = secrets.client(Some("web"), "other.pem");
    assert!(!is_let_in(app.grpc_addr, &new).await);
    std::fs::write(secrets.path("server.pem"), "half a certificate").unwrap();
    let failed = "holdfast_reloads_total{what=\"tls\",result=\"failed\"}";
    eventually("it is told that it cannot be used", async || {
        holdfast::telemetry::metrics().render().contains(failed).then_some(())
    })
    .await;
    assert!(is_let_in(app.grpc_addr, &old).await, "the old one is in use");
    secrets.issue(&other, "server", Names::Ip("127.0.0.1"));
    eventually("the new one is shown", async || is_let_in(app.grpc_addr, &new).await.then_some(()))
        .await;
    assert!(!is_let_in(app.grpc_addr, &old).await);
    // By a connection that would not be made anew: it trusts the old authority alone.
    list(&before).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_taken_away_lets_nobody_in() {
    let secrets = Secrets::new();
    std::fs::copy(secrets.path("ca.pem"), secrets.path("servers.pem")).unwrap();
    let app = serve(secrets.access()).await;
    let client = secrets.client(Some("web"), "servers.pem");
    assert!(is_let_in(app.grpc_addr, &client).await);
    let other = Authority::new("other");
    other.write(&secrets.path("ca.pem"));
    eventually("nobody comes in by the old one", async || {
        (!is_let_in(app.grpc_addr, &client).await).then_some(())
    })
    .await;
    secrets.issue(&other, "web", Names::Dns("web.example"));
    assert!(is_let_in(app.grpc_addr, &client).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_side_door_is_locked_too_and_needs_no_certificate() {
    let secrets = Secrets::new();
    let app = serve(secrets.access()).await;
    let get = async |path: &str, name: Option<&str>| {
        let client = secrets.client(name, "ca.pem");
        http::get_tls(app.http_addr, path, &client).await.head[9..12].to_owned()
    };
    assert_eq!(get("/readyz", None).await, "200");
    let told = http::get_tls(app.http_addr, "/page.json", &secrets.client(None, "ca.pem")).await;
    let grpc_url = format!("\"https://127.0.0.1:{}\"", app.grpc_addr.port());
    assert!(told.text().contains(&grpc_url), "{told:?}");
    assert_eq!(get("/metrics", None).await, "401");
    assert_eq!(get("/metrics", Some("stranger")).await, "403");
    assert_eq!(get("/metrics", Some("web")).await, "200");
}

/// What comes of bytes that are no handshake, until the server closes.
async fn answer_to(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
    let _ = read.await.expect("the server closes");
    answer
}

/// A ClientHello of TLS 1.1 (RFC 4346, 7.4.1.2).
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    // No session; two cipher suites; no compression.
    body.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    // The signature algorithms that it knows, which TLS 1.1 does not ask for yet.
    body.extend([0, 10, 0, 13, 0, 6, 0, 4, 4, 3, 8, 4]);
    let mut hello = vec![1, 0, 0, body.len() as u8];
    hello.extend(body);
    let mut record = vec![22, 3, 1, 0, hello.len() as u8];
    record.extend(hello);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_is_closed_and_harms_nobody() {
    let secrets = Secrets::new();
    let app = serve(secrets.access()).await;
    let client = secrets.client(Some("web"), "ca.pem");
    let connection = connect(app.grpc_addr, &client).await.unwrap();
    for addr in [app.grpc_addr, app.http_addr] {
        // Says nothing at all, while others come and go.
        let silent = tokio::spawn(async move { answer_to(addr, &[]).await });
        const ALERT: u8 = 21;
        const PROTOCOL_VERSION: u8 = 70;
        let told = answer_to(addr, &hello_of_tls_1_1()).await;
        assert_eq!((told.first(), told.last()), (Some(&ALERT), Some(&PROTOCOL_VERSION)));
        for plain in [&b"GET /readyz HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let told = answer_to(addr, plain).await;
            assert!(told.is_empty() || told[0] == ALERT, "{told:?}");
        }
        assert!(!silent.is_finished());
        list(&connection).await.unwrap();
        assert!(is_let_in(app.grpc_addr, &client).await);
        assert_eq!(silent.await.unwrap(), Vec::<u8>::new());
    }
}

/// More than any buffer between takes.
#[tokio::test(flavor = "multi_thread")]
async fn large_answers_and_streams_pass() {
    use holdfast::proto::{
        GetSeatMapRequest, Row, StreamSeatUpdatesRequest,
        reservation_service_client::ReservationServiceClient,
        stream_seat_updates_response::Message,
    };
    let secrets = Secrets::new();
    let app = serve(secrets.access()).await;
    let connection = connect(app.grpc_addr, &secrets.client(Some("ops"), "ca.pem")).await.unwrap();
    let mut house = small_event("large");
    let rows = (0..20).map(|r| Row {
        row_id: r.to_string(),
        seats: (0..1_000).map(|n| seat(&format!("{r}:{n}"))).collect(),
    });
    house.chart.as_mut().unwrap().sections[0].rows = rows.collect();
    CatalogServiceClient::new(connection.clone()).create_event(house).await.unwrap();
    let reservations = ReservationServiceClient::new(connection);
    let mut client = reservations.clone().max_decoding_message_size(64 * 1024 * 1024);
    let request = GetSeatMapRequest { event_id: "large".into(), ..Default::default() };
    let map = client.get_seat_map(request).await.unwrap().into_inner();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let request = StreamSeatUpdatesRequest { event_id: "large".into(), ..Default::default() };
        streams.push(client.stream_seat_updates(request).await.unwrap().into_inner());
    }
    for mut stream in streams {
        let mut seats = 0;
        loop {
            let told = stream.message().await.unwrap().unwrap();
            let Some(Message::Snapshot(part)) = told.message else { panic!("{told:?}") };
            seats += part.seats.len();
            if part.last {
                break;
            }
        }
        assert_eq!(seats, map.seats.len());
    }
}

//! Who may call what: every method, without credentials, with too small a role, and with
//! the right one.

use std::collections::BTreeMap;

use holdfast::{
    access::{Needed, needed},
    config::{Access, Doors},
    domain::Role,
};
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::{Code, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt as _;

use crate::support::{
    Stores, any_doors, eventually, http,
    tokens::{Guarded, Raw, taking},
};

/// What reflection lists: each method's path, and where its request has a `holder_id`.
pub async fn listed(channel: &Channel) -> BTreeMap<String, Option<u32>> {
    let mut asked = vec![MessageRequest::ListServices(String::new())];
    let mut methods = BTreeMap::new();
    while let Some(question) = asked.pop() {
        let request =
            ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let requests = tokio_stream::iter([request]);
        let mut client = ServerReflectionClient::new(channel.clone());
        let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response.unwrap() {
            MessageResponse::ListServicesResponse(all) => {
                let names = all.service.into_iter().map(|service| service.name);
                asked.extend(names.map(MessageRequest::FileContainingSymbol));
            }
            MessageResponse::FileDescriptorResponse(files) => {
                for file in files.file_descriptor_proto {
                    let file = FileDescriptorProto::decode(&*file).unwrap();
                    methods.extend(methods_of(&file));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    methods
}

fn methods_of(file: &FileDescriptorProto) -> Vec<(String, Option<u32>)> {
    let holder = |request: &str| {
        let name = request.rsplit('.').next().unwrap();
        let message = file.message_type.iter().find(|message| message.name() == name)?;
        let field = message.field.iter().find(|field| field.name() == "holder_id")?;
        Some(field.number() as u32)
    };
    let mut methods = Vec::new();
    for service in &file.service {
        for method in &service.method {
            let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
            methods.push((path, holder(method.input_type())));
        }
    }
    methods
}

/// Code, reason, and which method and role the metadata name.
type Told = (Code, String, Option<String>, Option<String>);

async fn told(guarded: &Guarded, path: &str, token: Option<&str>) -> Option<Told> {
    let status = guarded.call(path, token, Raw::default()).await.err()?;
    let code = status.code();
    let info = status.get_details_error_info().unwrap();
    let named = |name: &str| info.metadata.get(name).cloned();
    Some((code, info.reason.clone(), named("method"), named("role")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_takes_its_role() {
    let guarded = Guarded::new().await;
    let token = |role: Role| guarded.signer.token("somebody", role.as_str());
    let mut methods: Vec<String> = listed(&guarded.channel).await.into_keys().collect();
    assert!(methods.len() > 50, "{methods:?}");
    // It does what it says.
    methods.sort_by_key(|path| path.ends_with("/Drain"));
    for path in &methods {
        let Needed::Role(needed) = needed(path) else {
            let told = guarded.call(path, None, Raw::default()).await;
            let is_open = !matches!(&told, Err(no) if no.code() == Code::Unauthenticated);
            assert!(is_open, "{path}: {told:?}");
            continue;
        };
        let nobody = told(&guarded, path, None).await;
        let unknown = (Code::Unauthenticated, "UNAUTHENTICATED".into(), None, None);
        assert_eq!(nobody, Some(unknown), "{path}");
        for role in Role::ALL {
            let told = told(&guarded, path, Some(&token(role))).await;
            if role < needed {
                let (method, role) = (Some(path.clone()), Some(needed.to_string()));
                let refused = (Code::PermissionDenied, "ROLE_REQUIRED".into(), method, role);
                assert_eq!(told, Some(refused), "{path}");
            } else if role == needed {
                let shut = [Code::Unauthenticated, Code::PermissionDenied];
                assert!(!told.as_ref().is_some_and(|told| shut.contains(&told.0)), "{told:?}");
            }
        }
    }
}

/// `docs/SECURITY.md` says of each method which role it takes.
#[tokio::test(flavor = "multi_thread")]
async fn the_table_for_readers_is_the_one_that_is_kept() {
    let guarded = Guarded::new().await;
    let text = include_str!("../../docs/SECURITY.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, service, method, role, _] = cells[..] else { return None };
        let is_row = service.ends_with("Service");
        is_row.then(|| (format!("/holdfast.v1.{service}/{method}"), role.to_owned()))
    });
    let told: BTreeMap<String, String> = rows.collect();
    let kept = listed(&guarded.channel).await.into_keys();
    let kept = kept.filter(|path| path.starts_with("/holdfast.")).map(|path| {
        let Needed::Role(role) = needed(&path) else { panic!("{path} is open") };
        (path, role.to_string())
    });
    assert_eq!(told, kept.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_is_a_setting_and_what_there_is_not_is_told_to_callers_alone() {
    let guarded = Guarded::with(|access| access.reflection = false).await;
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let viewer = guarded.signer.token("somebody", "viewer");
    let status = guarded.call(path, Some(&viewer), Raw::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let nowhere = "/holdfast.v1.ReservationService/Steal";
    let status = guarded.call(nowhere, None, Raw::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = guarded.call(nowhere, Some(&viewer), Raw::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_side_door_tells_probes_all_and_metrics_to_viewers() {
    let guarded = Guarded::new().await;
    let addr = guarded.app.http_addr;
    for open in ["/livez", "/readyz"] {
        let answer = http::get(addr, open).await;
        assert!(answer.head.starts_with("HTTP/1.1 200"), "{open}: {}", answer.head);
    }
    // Whoever is not known may knock; what he says has to be signed.
    let answer = http::get(addr, "/payments/manual/callback").await;
    assert!(!["401", "403"].contains(&&answer.head[9..12]), "{}", answer.head);
    let metrics = async |authorization: &str| {
        let headers = [("authorization", authorization)];
        let answer = http::send(addr, "GET", "/metrics", &headers, &[]).await;
        (answer.head[9..12].to_owned(), answer.text().contains("rpc_server_call_duration_seconds"))
    };
    assert!(http::get(addr, "/metrics").await.head.starts_with("HTTP/1.1 401"));
    assert_eq!(metrics("Bearer nonsense").await, ("401".into(), false));
    let idle = guarded.signer.token("somebody", "gardener");
    assert_eq!(metrics(&format!("Bearer {idle}")).await, ("403".into(), false));
    let viewer = guarded.signer.token("somebody", "viewer");
    assert_eq!(metrics(&format!("bearer {viewer}")).await, ("200".into(), true));
}

async fn start(access: Access, grpc: &str, http: &str) -> Result<(), String> {
    let stores = Stores::new().await;
    let (grpc_addr, http_addr) = (grpc.parse().unwrap(), http.parse().unwrap());
    let doors = Doors { grpc_addr, http_addr, access, ..any_doors() };
    match holdfast::app::App::start(&doors, &stores.settings()).await {
        Ok(app) => {
            app.stop().await;
            Ok(())
        }
        Err(error) => Err(format!("{error:#}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_beyond_this_machine_needs_tls_and_credentials() {
    const HERE: &str = "127.0.0.1:0";
    for (grpc, http) in [("0.0.0.0:0", HERE), (HERE, "0.0.0.0:0"), ("[::]:0", HERE)] {
        let told = start(Access::default(), grpc, http).await.unwrap_err();
        assert!(told.contains("without TLS") && told.contains("HOLDFAST_INSECURE"), "{told}");
        assert!(told.contains("HOLDFAST_JWT_KEYS"), "{told}");
    }
    let tokens = taking("/nowhere/keys.json".into());
    let told = start(tokens, "0.0.0.0:0", HERE).await.unwrap_err();
    assert!(told.contains("without TLS") && !told.contains("HOLDFAST_JWT_KEYS"), "{told}");
    let insecure = Access { insecure: true, ..Access::default() };
    start(insecure, "0.0.0.0:0", "0.0.0.0:0").await.unwrap();
    start(Access::default(), HERE, "[::1]:0").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_not_safe_are_refused() {
    const HERE: &str = "127.0.0.1:0";
    for (keys, part) in [
        ("http://issuer.example/keys", "HOLDFAST_JWT_KEYS must be"),
        ("ftp://127.0.0.1/keys", "HOLDFAST_JWT_KEYS must be"),
        ("/nowhere/keys.json", "/nowhere/keys.json"),
    ] {
        let told = start(taking(keys.into()), HERE, HERE).await.unwrap_err();
        assert!(told.contains(part), "{told}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    for bad in [&rcgen::KeyPair::generate().unwrap().serialize_pem(), "{\"keys\": []}", ""] {
        std::fs::write(&path, bad).unwrap();
        let told = start(taking(path.display().to_string()), HERE, HERE).await.unwrap_err();
        assert!(told.contains("token keys cannot be used"), "{told}");
        assert!(!told.contains("BEGIN"), "{told}");
    }
    for bad in ["none", "ES257", ""] {
        let access =
            Access { jwt_algorithms: vec![bad.into()], ..taking("http://127.0.0.1:1/keys".into()) };
        let told = start(access, HERE, HERE).await.unwrap_err();
        assert!(told.contains("HOLDFAST_JWT_ALGORITHMS"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_invents_methods_leaves_no_name_behind() {
    let guarded = Guarded::new().await;
    let viewer = guarded.signer.token("somebody", "viewer");
    for n in 0..100 {
        let service = ["holdfast.v1.ReservationService", "grpc.health.v1.Health", "invented.V"];
        let path = format!("/{}/Invented{n}", service[n % 3]);
        for (token, code) in [(None, Code::Unauthenticated), (Some(&*viewer), Code::Unimplemented)]
        {
            // Health is open to all.
            let code = if n % 3 == 1 { Code::Unimplemented } else { code };
            assert_eq!(told(&guarded, &path, token).await.unwrap().0, code, "{path}");
        }
    }
    let authorization = format!("Bearer {viewer}");
    let headers = [("authorization", &*authorization)];
    let http = guarded.app.http_addr;
    for code in ["UNAUTHENTICATED", "UNIMPLEMENTED"] {
        let line = format!("rpc_method=\"_OTHER\",rpc_response_status_code=\"{code}\"}}");
        let page = eventually(&line, async || {
            let page = http::send(http, "GET", "/metrics", &headers, &[]).await.text();
            page.contains(&line).then_some(page)
        })
        .await;
        assert!(!page.to_lowercase().contains("invented"), "{page}");
    }
}

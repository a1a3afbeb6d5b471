//! What `deploy/` and the Dockerfile say of the program is true of it, and what is not
//! ours says whose it is. That each is well formed is for `.ci/lint-deploy`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{CommandFactory as _, Parser as _};
use holdfast::{
    config::{Cli, IN_FILES},
    domain::Role,
    limits::DRAIN_TIMEOUT,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Stage, http::get};

/// From SIGTERM to the end, at most: calls in flight, what works behind the doors, and
/// deliveries, as `App::stop` waits for them.
const STOPS_WITHIN: Duration = Duration::from_secs(DRAIN_TIMEOUT.as_secs() * 5 / 3);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The one document of a Kubernetes file that has this kind and name.
fn document(file: &str, kind: &str, name: &str) -> Value {
    let is_it = |it: &Value| it["kind"] == kind && it["metadata"]["name"] == name;
    yaml(file).into_iter().find(is_it).unwrap_or_else(|| panic!("{file}: no {kind} {name}"))
}

/// The texts of a map, by their names.
fn texts(map: &Value) -> BTreeMap<String, String> {
    let of = |(name, text): (&String, &Value)| (name.clone(), text.as_str().unwrap().to_owned());
    map.as_object().unwrap().iter().map(of).collect()
}

/// `NAME=value` of each line, also of those that only show how.
fn assignments(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(|line| line.trim_start_matches('#'));
    let of = |line: &str| line.split_once('=').map(|(name, it)| (name.to_owned(), it.to_owned()));
    lines.filter(|line| line.starts_with("HOLDFAST_")).filter_map(of).collect()
}

/// Each word of a text that begins with HOLDFAST_.
fn variables(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let begins = text.match_indices("HOLDFAST_").map(|(at, _)| &text[at..]);
    let names = begins.map(|rest| rest.split(|c| !is_of_name(c)).next().unwrap().to_owned());
    names.filter(|name| name != "HOLDFAST_").collect()
}

/// The flags of `holdfast serve`, by their variables.
fn flags_of_serve() -> BTreeMap<String, String> {
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").unwrap();
    let with_variable = |arg: &clap::Arg| {
        let variable = arg.get_env()?.to_str()?.to_owned();
        Some((variable, arg.get_long()?.to_owned()))
    };
    cli.get_arguments().chain(serve.get_arguments()).filter_map(with_variable).collect()
}

fn kubernetes_settings() -> BTreeMap<String, String> {
    let config = document("deploy/kubernetes/config.yaml", "ConfigMap", "holdfast");
    let secret = document("deploy/kubernetes/secrets.example.yaml", "Secret", "holdfast");
    let mut all = texts(&config["data"]);
    // Of the runtime, not ours.
    all.remove("TOKIO_WORKER_THREADS").unwrap();
    all.extend(texts(&secret["stringData"]));
    all
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            // What `prepare` has made, and what the page is built with.
            true if path.ends_with("compose/run") || path.ends_with("node_modules") => {}
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn every_setting_that_is_named_exists() {
    let flags = flags_of_serve();
    let mut named = vec![root().join("Dockerfile"), root().join("docs/DEPLOY.md")];
    files(&root().join("deploy"), &mut named);
    let in_files = IN_FILES.map(|(variable, _)| format!("{variable}_FILE"));
    for file in named {
        for variable in variables(&fs::read_to_string(&file).unwrap()) {
            let is_one = flags.contains_key(&variable) || in_files.contains(&variable);
            assert!(is_one, "{}: no setting {variable}", file.display());
        }
    }
}

#[test]
fn servers_take_the_settings_that_they_are_given() {
    let flags = flags_of_serve();
    for (from, settings) in [
        ("holdfast.env", assignments(&read("deploy/holdfast.env"))),
        ("compose", assignments(&read("deploy/compose/prepare"))),
        ("kubernetes", kubernetes_settings()),
    ] {
        assert!(settings.len() > 5, "{from}: {settings:?}");
        let mut line = vec!["holdfast".to_owned(), "serve".to_owned()];
        for (variable, value) in &settings {
            line.push(format!("--{}={value}", flags[variable]));
        }
        if let Err(error) = Cli::try_parse_from(line) {
            panic!("{from}: {error}");
        }
    }
}

#[test]
fn every_file_that_a_setting_names_is_mounted() {
    let servers = document("deploy/kubernetes/servers.yaml", "Deployment", "holdfast");
    let pod = &servers["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    let mut mounted = BTreeSet::new();
    for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        let parts = match volume["secret"]["secretName"].as_str() {
            Some(secret) => {
                let secret = document("deploy/kubernetes/secrets.example.yaml", "Secret", secret);
                texts(&secret["stringData"])
            }
            None => {
                let name = volume["configMap"]["name"].as_str().unwrap();
                let config = document("deploy/kubernetes/config.yaml", "ConfigMap", name);
                texts(&config["data"])
            }
        };
        let path = mount["mountPath"].as_str().unwrap();
        mounted.extend(parts.keys().map(|part| format!("{path}/{part}")));
    }
    for (variable, value) in kubernetes_settings() {
        let Some(at) = value.find("/etc/holdfast/") else { continue };
        let file = value[at..].split(['?', '&']).next().unwrap();
        assert!(mounted.remove(file), "{variable}: {file} is not mounted");
    }
    assert!(mounted.is_empty(), "mounted for nobody: {mounted:?}");
}

#[test]
fn roles_of_certificates_are_roles() {
    let config = document("deploy/kubernetes/config.yaml", "ConfigMap", "holdfast-roles");
    let given = config["data"]["roles.toml"].as_str().unwrap().to_owned();
    for text in [given, read("deploy/compose/roles.toml")] {
        let roles: BTreeMap<String, String> = toml::from_str(&text).unwrap();
        assert!(roles.len() > 1);
        for (name, role) in roles {
            assert!(Role::ALL.iter().any(|known| known.as_str() == role), "{name}: {role}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_and_where_is_answered() {
    // 1. The ports are those that the settings name.
    let servers = document("deploy/kubernetes/servers.yaml", "Deployment", "holdfast");
    let container = &servers["spec"]["template"]["spec"]["containers"][0];
    let settings = kubernetes_settings();
    let port_in = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    let listens = BTreeMap::from([
        ("grpc".to_owned(), port_in(&settings["HOLDFAST_GRPC_ADDR"])),
        ("http".to_owned(), port_in(&settings["HOLDFAST_HTTP_ADDR"])),
    ]);
    let of = |port: &Value| {
        (port["name"].as_str().unwrap().to_owned(), port["containerPort"].to_string())
    };
    let ports: BTreeMap<_, _> = container["ports"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(ports, listens);
    let exposed = format!("EXPOSE {} {}", listens["grpc"], listens["http"]);
    assert!(read("Dockerfile").contains(&exposed), "{exposed}");
    for service in yaml("deploy/kubernetes/services.yaml") {
        for port in service["spec"]["ports"].as_array().unwrap() {
            let target = port["targetPort"].as_str().unwrap();
            assert_eq!(port["port"].to_string(), listens[target], "{}", service["metadata"]);
        }
    }

    // 2. A server has the paths, and by the scheme: TLS, where settings name a certificate.
    let stage = Stage::new().await;
    let monitor =
        document("deploy/kubernetes/monitoring/servicemonitor.yaml", "ServiceMonitor", "holdfast");
    let mut asked = vec![monitor["spec"]["endpoints"][0].clone()];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        asked.push(container[probe]["httpGet"].clone());
    }
    assert!(settings.contains_key("HOLDFAST_TLS_CERT_FILE"));
    for asks in asked {
        assert_eq!(asks["port"], "http");
        assert!(asks["scheme"].as_str().unwrap().eq_ignore_ascii_case("https"), "{asks}");
        let answer = get(stage.server.app.http_addr, asks["path"].as_str().unwrap()).await;
        assert!(answer.head.starts_with("HTTP/1.1 200"), "{asks}: {answer:?}");
    }
}

#[test]
fn who_is_stopped_gets_the_time_for_it() {
    let seconds = |text: &str| Duration::from_secs(text.trim_end_matches('s').parse().unwrap());
    let servers = document("deploy/kubernetes/servers.yaml", "Deployment", "holdfast");
    let pod = &servers["spec"]["template"]["spec"];
    let grace = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
    let first = &pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"];
    let first = Duration::from_secs(first.as_u64().unwrap());
    assert!(first + STOPS_WITHIN < grace, "Kubernetes: {grace:?}");

    let compose = &yaml("deploy/compose/compose.yaml")[0];
    for server in ["server-1", "server-2"] {
        let grace = seconds(compose["services"][server]["stop_grace_period"].as_str().unwrap());
        assert!(STOPS_WITHIN < grace, "{server}: {grace:?}");
    }

    let unit = read("deploy/holdfast.service");
    let timeout = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(STOPS_WITHIN < seconds(timeout), "systemd: {timeout}");
}

#[test]
fn one_version_of_all() {
    let pinned = read("rust-toolchain.toml");
    let pinned: toml::Table = toml::from_str(&pinned).unwrap();
    let channel = pinned["toolchain"]["channel"].as_str().unwrap();
    let base = format!("ARG RUST=rust:{channel}-");
    assert!(read("Dockerfile").contains(&base), "Dockerfile: {base}");
    for part in ["deploy/kubernetes", "deploy/kubernetes/migrate"] {
        let part = &yaml(&format!("{part}/kustomization.yaml"))[0];
        assert_eq!(part["images"][0]["newTag"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn the_image_is_built_from_all_that_the_program_includes() {
    let ignored = read(".dockerignore");
    let given: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut sources = Vec::new();
    files(&root().join("src"), &mut sources);
    let mut included = BTreeSet::from([PathBuf::from("build.rs"), PathBuf::from("Cargo.lock")]);
    sources.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        for (at, _) in text.match_indices("include_str!(\"../") {
            let path = text[at..].split('"').nth(1).unwrap();
            let path = source.parent().unwrap().join(path).canonicalize().unwrap();
            included.insert(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    assert!(included.iter().any(|path| path.starts_with("templates")), "{included:?}");
    // Cargo looks for what it has no path of, even where it does not build it.
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    for kind in ["test", "bench"] {
        for target in manifest[kind].as_array().unwrap() {
            assert!(target.get("path").is_some(), "{kind} without a path: {target}");
        }
    }
    for path in included {
        assert!(given.iter().any(|part| path.starts_with(part)), "not given: {}", path.display());
    }
}

#[test]
fn protos_that_are_not_ours_are_as_they_came() {
    let told = read("proto/google/README.md");
    let mut protos = Vec::new();
    files(&root().join("proto/google"), &mut protos);
    protos.retain(|path| path.extension().is_some_and(|ending| ending == "proto"));
    assert!(!protos.is_empty());
    for proto in protos {
        let name = proto.strip_prefix(root().join("proto/google")).unwrap().display();
        let text = fs::read_to_string(&proto).unwrap();
        assert!(text.contains("Licensed under the Apache License, Version 2.0"), "{name}");
        let row = format!("| `{name}` | `{}` |", hex::encode(Sha256::digest(&text)));
        assert!(told.contains(&row), "not told: {row}");
    }
    assert!(read("proto/google/LICENSE").contains("Version 2.0, January 2004"));
}

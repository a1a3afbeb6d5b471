//! The house is kept as `docs/ARCHITECTURE.md` says: who may use whom, which
//! crate is at home where, and how long things may be.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_LINE_CHARS: usize = 100;

/// The rooms, and which others each may use. Every room may use limits; the
/// rooms of one line may use each other.
const ROOMS: [(&str, &[&str]); 29] = [
    ("main", &["app", "audit", "config", "dev", "inspect", "ledger", "load", "telemetry"]),
    (
        "app",
        &[
            "access",
            "cache",
            "config",
            "feed",
            "flow",
            "grpc",
            "health",
            "holds",
            "http",
            "jobs",
            "ledger",
            "mail",
            "payments",
            "presence",
            "queue",
            "redis",
            "telemetry",
            "tls",
            "webhooks",
        ],
    ),
    ("audit", &["app", "client", "config", "domain", "flow", "proto"]),
    ("inspect", &["app", "client", "config", "domain", "flow", "proto"]),
    ("client", &["config", "reload"]),
    ("load", &["client", "config", "proto"]),
    ("dev", &["app", "config", "domain", "http", "ledger", "proto"]),
    ("tls", &["reload", "telemetry"]),
    ("access", &["domain", "proto", "reload", "telemetry"]),
    ("batch", &["deadline"]),
    ("connections", &["telemetry"]),
    (
        "grpc",
        &[
            "access",
            "config",
            "connections",
            "deadline",
            "flow",
            "domain",
            "proto",
            "telemetry",
            "tls",
        ],
    ),
    (
        "http",
        &[
            "access",
            "config",
            "connections",
            "domain",
            "failpoint",
            "flow",
            "health",
            "payments",
            "telemetry",
            "tls",
        ],
    ),
    ("jobs", &["flow", "domain", "health", "telemetry"]),
    (
        "flow",
        &[
            "batch",
            "cache",
            "deadline",
            "domain",
            "failpoint",
            "feed",
            "holds",
            "ledger",
            "mail",
            "payments",
            "presence",
            "queue",
            "telemetry",
            "webhooks",
        ],
    ),
    ("feed", &["domain", "holds", "telemetry"]),
    ("holds", &["batch", "domain", "mutants", "redis", "telemetry"]),
    ("cache", &["batch", "domain", "redis", "telemetry"]),
    ("presence", &["domain", "redis", "telemetry"]),
    ("queue", &["domain", "holds", "redis"]),
    ("redis", &["batch", "telemetry"]),
    ("ledger", &["batch", "domain", "mutants", "telemetry"]),
    ("payments", &["domain", "telemetry"]),
    ("mail", &["domain", "telemetry"]),
    ("webhooks", &["domain", "telemetry"]),
    ("domain", &[]),
    ("config", &["domain", "telemetry"]),
    ("reload", &["telemetry"]),
    ("limits", &[]),
];

/// Rooms that use no other.
const PLAIN: [&str; 6] = ["deadline", "failpoint", "health", "mutants", "telemetry", "proto"];

/// Crates that are at home in some rooms only.
const HOMES: [(&str, &[&str]); 39] = [
    ("governor", &["grpc"]),
    // Clients of the contract read what it says of errors.
    ("tonic", &["client", "grpc", "load", "proto"]),
    ("tonic_types", &["grpc", "load"]),
    ("hdrhistogram", &["load"]),
    ("indicatif", &["load"]),
    ("plotters", &["load"]),
    ("fastrand", &["cache", "flow", "load", "telemetry"]),
    ("flate2", &["cache"]),
    ("axum", &["grpc", "http"]),
    ("http_body", &["grpc"]),
    ("hyper", &["grpc", "http"]),
    ("hyper_util", &["grpc", "http"]),
    ("deadpool_redis", &["redis"]),
    ("crc16", &["redis"]),
    ("rustls", &["access", "redis", "ledger", "payments", "tls", "webhooks"]),
    ("tokio_rustls", &["tls"]),
    ("x509_parser", &["tls"]),
    ("arc_swap", &["access", "reload"]),
    ("jsonwebtoken", &["access"]),
    ("getrandom", &["queue", "webhooks"]),
    ("lettre", &["mail"]),
    ("minijinja", &["mail"]),
    ("qrcode", &["mail"]),
    ("image", &["mail"]),
    ("iso_currency", &["mail"]),
    ("rmp_serde", &["holds", "queue"]),
    ("rust_embed", &["http"]),
    ("deadpool_postgres", &["ledger"]),
    ("tokio_postgres", &["ledger", "dev"]),
    ("tokio_postgres_rustls", &["ledger"]),
    ("tokio_cron_scheduler", &["jobs"]),
    ("reqwest", &["access", "payments", "webhooks"]),
    ("hmac", &["payments", "queue", "webhooks"]),
    ("form_urlencoded", &["payments"]),
    ("metrics", &["connections", "grpc", "telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory with an ending, and its text.
fn files(dir: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("node_modules") => {}
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(dir), &mut found);
    found.sort();
    found
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The code of a file, without its comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

fn room(file: &str) -> &str {
    let path = file.strip_prefix("src/").unwrap();
    path.split(['/', '.']).next().unwrap()
}

/// The names that stand after `prefix` in the code: of a path, or of a group
/// `{a, b}` of paths.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => names.push(name(rest)),
            Some(group) => {
                let (mut depth, mut begins) = (0, true);
                for (i, c) in group.char_indices() {
                    if begins && depth == 0 && !c.is_whitespace() {
                        names.push(name(&group[i..]));
                        begins = false;
                    }
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => begins = true,
                        _ => {}
                    }
                }
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let allowed: BTreeMap<_, _> = ROOMS.into_iter().collect();
    let mut broken = Vec::new();
    for (file, text) in files("src", "rs") {
        let (room, code) = (room(&file), code(&text));
        if room == "lib" {
            continue;
        }
        let may: &[&str] = allowed.get(room).copied().unwrap_or_default();
        assert!(allowed.contains_key(room) || PLAIN.contains(&room), "{file} is in no room");
        let prefix = if room == "main" { "holdfast::" } else { "crate::" };
        for used in names_after(&code, prefix) {
            let is_room = allowed.contains_key(&*used) || PLAIN.contains(&&*used);
            if is_room && used != room && used != "limits" && !may.contains(&&*used) {
                broken.push(format!("{file} uses {used}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn crates_stay_at_home() {
    let mut broken = Vec::new();
    for (file, text) in files("src", "rs") {
        let (room, code) = (room(&file), code(&text));
        for (name, homes) in HOMES {
            let used = code.contains(&format!("use {name}::"))
                || code.contains(&format!(" {name}::"))
                || code.contains(&format!("<{name}::"))
                || code.contains(&format!("({name}::"));
            if used && !homes.contains(&room) {
                broken.push(format!("{file} uses {name}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn nothing_is_too_long() {
    let mut broken = Vec::new();
    let all = ["src", "tests", "benches", "examples"].map(|dir| files(dir, "rs")).concat();
    for (file, text) in all {
        if text.lines().count() > MAX_FILE_LINES {
            broken.push(format!("{file} has {} lines", text.lines().count()));
        }
        let mut begun: Option<(usize, usize, String)> = None;
        for (i, line) in text.lines().enumerate() {
            if line.chars().count() > MAX_LINE_CHARS {
                broken.push(format!("{file}:{} has {} characters", i + 1, line.chars().count()));
            }
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            let words: Vec<&str> = head.split(' ').take(5).collect();
            if begun.is_none() && words.contains(&"fn") && !head.ends_with(';') {
                begun = Some((i, indent, head.to_owned()));
            }
            if let Some((first, its_indent, name)) = &begun
                && indent == *its_indent
                && head.starts_with('}')
            {
                if i - first + 1 > MAX_FUNCTION_LINES {
                    broken.push(format!(
                        "{file}:{}: {name} has {} lines",
                        first + 1,
                        i - first + 1
                    ));
                }
                begun = None;
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn scripts_and_statements_say_what_they_are() {
    for (file, text) in files("src", "lua") {
        if !file.ends_with("prelude.lua") {
            assert!(text.starts_with("#!lua"), "{file} has no shebang");
            for part in ["-- Input:", "-- Output:", "-- Events:"] {
                assert!(text.contains(part), "{file} does not say its {part}");
            }
            let verb = Path::new(&file).file_stem().unwrap().to_str().unwrap();
            let called = files("src", "rs").iter().any(|(_, rust)| {
                rust.contains(&format!("verb!(\"{verb}\")"))
                    || rust.contains(&format!("lua/{verb}.lua"))
            });
            assert!(called, "{file} is called by nobody");
        }
    }
    for (file, text) in files("src/ledger", "rs") {
        let code = code(&text);
        for statement in code.split(": &str = ").skip(1) {
            let text = statement.trim_start_matches("concat!(").trim_start();
            let is_sql = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "]
                .iter()
                .any(|keyword| text.split(';').next().is_some_and(|text| text.contains(keyword)));
            let names_itself = text.starts_with("\"-- ");
            assert!(!is_sql || names_itself, "{file}: no name: {}", &text[..60.min(text.len())]);
        }
    }
}

#[test]
fn every_failpoint_is_listed_and_used_once() {
    let list = fs::read_to_string(root().join("src/failpoint.rs")).unwrap();
    let list = list.split_once("const NAMES").unwrap().1.split_once("];").unwrap().0;
    let mut listed: Vec<String> =
        list.split('"').skip(1).step_by(2).map(ToString::to_string).collect();
    let mut used = Vec::new();
    for (_, text) in files("src/flow", "rs") {
        for (at, _) in text.match_indices("failpoint!(\"") {
            used.push(text[at..].split('"').nth(1).unwrap().to_owned());
        }
    }
    used.sort();
    listed.sort();
    assert_eq!(used, listed);
}

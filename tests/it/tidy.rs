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
const ROOMS: [(&str, &[&str]); 22] = [
    ("main", &["app", "audit", "config", "dev", "ledger", "load", "telemetry"]),
    (
        "app",
        &[
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
            "webhooks",
        ],
    ),
    ("audit", &["app", "config", "domain", "flow", "proto"]),
    ("load", &["config", "proto"]),
    ("dev", &["app", "config", "ledger", "proto"]),
    ("grpc", &["flow", "domain", "proto", "telemetry"]),
    ("http", &["domain", "failpoint", "flow", "health", "payments", "telemetry"]),
    ("jobs", &["flow", "domain", "health", "telemetry"]),
    (
        "flow",
        &[
            "batch",
            "cache",
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
    ("feed", &["domain", "holds"]),
    ("holds", &["batch", "domain", "mutants", "redis"]),
    ("cache", &["batch", "domain", "redis", "telemetry"]),
    ("presence", &["domain", "redis", "telemetry"]),
    ("queue", &["domain", "holds", "redis"]),
    ("redis", &["batch"]),
    ("ledger", &["batch", "domain", "mutants"]),
    ("payments", &["domain"]),
    ("mail", &["domain"]),
    ("webhooks", &["domain"]),
    ("domain", &[]),
    ("config", &["domain", "telemetry"]),
    ("limits", &[]),
];

/// Rooms that use no other.
const PLAIN: [&str; 6] = ["batch", "failpoint", "health", "mutants", "telemetry", "proto"];

/// Crates that are at home in some rooms only.
const HOMES: [(&str, &[&str]); 28] = [
    // Clients of the contract read what it says of errors.
    ("tonic", &["grpc", "load", "proto"]),
    ("tonic_types", &["grpc", "load"]),
    ("hdrhistogram", &["load"]),
    ("indicatif", &["load"]),
    ("plotters", &["load"]),
    ("fastrand", &["cache", "flow", "load"]),
    ("flate2", &["cache"]),
    ("axum", &["grpc", "http"]),
    ("http_body", &["grpc"]),
    ("hyper", &["grpc"]),
    ("hyper_util", &["grpc"]),
    ("deadpool_redis", &["redis"]),
    ("crc16", &["redis"]),
    ("rustls", &["redis", "ledger", "payments", "webhooks"]),
    ("getrandom", &["queue", "webhooks"]),
    ("lettre", &["mail"]),
    ("minijinja", &["mail"]),
    ("qrcode", &["mail"]),
    ("image", &["mail"]),
    ("iso_currency", &["mail"]),
    ("rmp_serde", &["holds", "queue"]),
    ("deadpool_postgres", &["ledger"]),
    ("tokio_postgres", &["ledger", "dev"]),
    ("tokio_postgres_rustls", &["ledger"]),
    ("tokio_cron_scheduler", &["jobs"]),
    ("reqwest", &["payments", "webhooks"]),
    ("hmac", &["payments", "queue", "webhooks"]),
    ("form_urlencoded", &["payments"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory with an ending, and its text.
fn files(dir: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
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

#[test]
fn the_contract_promises_the_bounds_that_are_kept() {
    use holdfast::limits as l;
    let proto = |name: &str| {
        let text = fs::read_to_string(root().join("proto/holdfast/v1").join(name)).unwrap();
        text.replace("\n  // ", " ").replace("\n// ", " ").replace(',', "")
    };
    let (event, catalog) = (proto("event.proto"), proto("catalog.proto"));
    let (reservation, errors) = (proto("reservation.proto"), proto("errors.proto"));
    let (told, presence) = (proto("order_event.proto"), proto("presence.proto"));
    let waiting = proto("waiting_list.proto");
    let hours = l::MAX_HOLD_TIME.as_secs() / 3_600;
    for (text, promise) in [
        (&errors, format!("the first {}", l::MAX_VIOLATIONS)),
        (&event, format!("At most {} seats in {} sections", l::MAX_SEATS, l::MAX_SECTIONS)),
        (&event, format!("{} areas and {} price", l::MAX_AREAS, l::MAX_PRICE_CATEGORIES)),
        (&event, format!("at most {} rows", l::MAX_ROWS)),
        (&event, format!("1 to {} characters.", l::MAX_NAME_CHARS)),
        (&event, format!("At most {} characters.", l::MAX_CITY_CHARS)),
        (&event, format!("1 s to {hours} h and")),
        (&event, format!("{} s where not given or max", l::DEFAULT_HOLD_TTL.as_secs())),
        (&event, format!("{} s where not given", l::DEFAULT_MAX_HOLD_TIME.as_secs())),
        (
            &event,
            format!(
                "1 to {} {} where not given",
                l::MAX_UNITS_PER_HOLD,
                l::DEFAULT_MAX_UNITS_PER_HOLD
            ),
        ),
        (&event, format!("At most {}.", l::MAX_UNITS_PER_HOLDER)),
        (&event, format!("0 to {} units", l::MAX_PRICE_UNITS)),
        (&event, format!("1 to {} in the order", l::MAX_SEATS_PER_ROW)),
        (&event, format!("1 to {}. It can grow", l::MAX_AREA_CAPACITY)),
        (&catalog, format!("1 to {}; {} where not given", l::MAX_PAGE_SIZE, l::DEFAULT_PAGE_SIZE)),
        (&catalog, format!("at most {} characters of which", l::MAX_QUERY_CHARS)),
        (&catalog, format!("the first {} words", l::MAX_SEARCH_WORDS)),
        (&catalog, format!("1 to {} rows", l::MAX_ROWS)),
        (&catalog, format!("1 to {} areas", l::MAX_AREAS)),
        (&catalog, format!("1 to {} seats", l::MAX_SEATS_BLOCKED_AT_ONCE)),
        (&reservation, format!("At most {} units in all", l::MAX_UNITS_PER_HOLD)),
        (&reservation, format!("1 to {} printable", l::MAX_PAYMENT_REFERENCE_CHARS)),
        (&reservation, format!("at most {} in one message", l::FEED_SEATS_PER_MESSAGE)),
        (&reservation, format!("nothing changes for {} s", l::FEED_HEARTBEAT.as_secs())),
        (&reservation, format!("is reset after {} s", l::STREAM_STALLED.as_secs())),
        (&reservation, format!("room for {} streams", l::MAX_SUBSCRIBERS)),
        (&reservation, format!("has changed at most every {} s", l::PRESENCE_TOLD.as_secs())),
        (&presence, format!("is there for {} s", l::DEFAULT_PRESENCE_TTL_SECONDS)),
        (&presence, format!("has room for {} viewers", l::MAX_VIEWERS)),
        (&waiting, format!("beyond {} entries of one", l::MAX_OPEN_ENTRIES_PER_HOLDER)),
        (&waiting, format!("beyond {} that wait", l::MAX_WAITING_PER_EVENT)),
        (&waiting, format!("has {} such streams", l::MAX_WAITING_LIST_STREAMS)),
        (&waiting, format!("at most {} s; so are", l::FIRST_PICK_KEPT.as_secs())),
        (&waiting, format!("after {} s without", l::FEED_HEARTBEAT.as_secs())),
        (&waiting, format!("for {} days after", l::WAITING_LIST_KEPT.as_secs() / 86_400)),
        (&told, format!("has {} such streams", l::MAX_ORDER_EVENT_STREAMS)),
        (&told, format!("at most {}.", l::MAX_WEBHOOKS)),
        (&errors, format!("are {} webhooks already", l::MAX_WEBHOOKS)),
        (&told, format!("of at most {} characters without", l::MAX_WEBHOOK_URL_CHARS)),
        (&told, format!("looks through {} numbers", l::MAX_REPLAYED)),
        (&told, format!("and after {} s without", l::FEED_HEARTBEAT.as_secs())),
        (&told, format!("1 to {}; {} where not given", l::MAX_PAGE_SIZE, l::DEFAULT_PAGE_SIZE)),
        (&told, format!("at most {}; those that are none", l::MAX_DEAD_LETTERS_AT_ONCE)),
        (&told, format!("the oldest {} of them", l::MAX_DEAD_LETTERS_RETRIED)),
    ] {
        assert!(text.contains(&promise), "nowhere promised: {promise}");
    }
}

//! What a server's page of metrics has, and what is built upon it: the table in the
//! documentation, the dashboard, the recording rules and the alerts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::PathBuf,
    time::Duration,
};

use holdfast::{
    proto::{
        self, checkout_service_client::CheckoutServiceClient,
        operator_service_client::OperatorServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
    telemetry::{ALL, Kind},
};
use tokio::{process::Command, time::timeout};
use uuid::Uuid;

use crate::support::{EVENT, Stores, eventually, hold_request, ms, process::Process, small_event};

/// A little less than what is waited for by `eventually`, so as to tell what is missing.
const ALL_MEASURED: Duration = Duration::from_secs(19);

/// What PromQL has beside metrics and labels.
const WORDS: [&str; 20] = [
    "and",
    "by",
    "humanizeDuration",
    "histogram_quantile",
    "increase",
    "label_values",
    "le",
    "max",
    "min",
    "min_over_time",
    "or",
    "rate",
    "sum",
    "unless",
    "without",
    "__range",
    "__rate_interval",
    "m",
    "s",
    "up",
];

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Metrics by name with their labels, as a page has them.
fn on_page(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, labels) = line.split_once('{').unwrap_or((line, ""));
        let labels = labels.split('}').next().unwrap();
        let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0));
        let name = name.split(' ').next().unwrap();
        found.entry(name.to_owned()).or_default().extend(names.map(ToOwned::to_owned));
    }
    found
}

/// Names in an expression, and the labels that it asks of each: those in braces of the
/// metric before them, those of `by (...)` of all that the expression has.
fn asked(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut bare = String::new();
    let mut is_text = false;
    for c in expression.chars() {
        match c {
            '"' => is_text = !is_text,
            _ if !is_text => bare.push(c),
            _ => {}
        }
    }
    let (mut names, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let (mut word, mut in_labels, mut before) = (String::new(), false, String::new());
    for c in bare.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            match in_labels {
                true => {
                    labels.insert(word.clone());
                }
                false if !is_number && !WORDS.contains(&&*word) => {
                    names.insert(word.clone());
                }
                false => {}
            }
            before = std::mem::take(&mut word);
        }
        match c {
            '{' => in_labels = true,
            '(' if before == "by" => in_labels = true,
            '}' | ')' => in_labels = false,
            ' ' => continue,
            _ => {}
        }
        before.clear();
    }
    (names, labels)
}

/// Everything that a dashboard, a rule or an alert asks for, and where.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in ["deploy/prometheus/alerts.yml", "deploy/prometheus/holdfast.rules.yml"] {
        let text = read(file);
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(expression) = line.trim().strip_prefix("expr: ") else { continue };
            let mut expression = expression.trim_matches('\'').to_owned();
            if expression == "|" {
                expression.clear();
                while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
                    expression.push_str(more);
                }
            }
            found.push((file.to_owned(), expression));
        }
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("deploy/grafana/holdfast.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap().to_owned();
            found.push((title, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

/// A little of everything.
async fn exercise(process: &Process) {
    process.catalog.clone().create_event(small_event(EVENT)).await.unwrap();
    let mut client = ReservationServiceClient::new(process.channel.clone());
    let request = proto::StreamSeatUpdatesRequest { event_id: EVENT.into(), ..Default::default() };
    let mut stream = client.stream_seat_updates(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let mut short = hold_request("bob", &["B-1"]);
    short.ttl = ms(1_000);
    client.hold(short).await.unwrap();
    let held = client.hold(hold_request("ann", &["A-1"])).await.unwrap().into_inner();
    client.hold(hold_request("bob", &["A-1"])).await.unwrap_err();
    let held = held.hold.unwrap();
    let confirm = proto::ConfirmRequest {
        event_id: EVENT.into(),
        hold_id: held.hold_id,
        holder_id: "ann".into(),
        payment_reference: Uuid::now_v7().to_string(),
    };
    client.confirm(confirm).await.unwrap();
    let held = client.hold(hold_request("ann", &["A-2"])).await.unwrap().into_inner();
    let order = proto::CreateOrderRequest {
        event_id: EVENT.into(),
        hold_id: held.hold.unwrap().hold_id,
        holder_id: "ann".into(),
        ..Default::default()
    };
    CheckoutServiceClient::new(process.channel.clone()).create_order(order).await.unwrap();
    let held = client.hold(hold_request("cat", &["A-3"])).await.unwrap().into_inner();
    let release = proto::ForceReleaseHoldRequest {
        event_id: EVENT.into(),
        hold_id: held.hold.unwrap().hold_id,
        actor: "olga".into(),
        reason: "a bot".into(),
    };
    let mut operators = OperatorServiceClient::new(process.channel.clone());
    operators.force_release_hold(release).await.unwrap();
    // One is open, with an order; one was confirmed; one ran out; one was released.
    for line in [
        "holdfast_holds_open 1",
        "holdfast_holds_made_total 4",
        "holdfast_holds_ended_total{outcome=\"confirmed\"} 1",
        "holdfast_holds_ended_total{outcome=\"expired\"} 1",
        "holdfast_holds_ended_total{outcome=\"released\"} 1",
        "holdfast_orders_pending 1",
        "holdfast_order_events_total{kind=\"ORDER_PAID\"} 1",
    ] {
        eventually(line, async || {
            process.metrics().await.lines().any(|found| found == line).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_on_the_metrics_finds_them() {
    let process = Process::start(&Stores::new().await).await;
    exercise(&process).await;
    // Some of it is measured by jobs, each in its own time.
    let measured = async || {
        let page = on_page(&process.metrics().await);
        missing(&page).is_empty().then_some(page)
    };
    let found = timeout(ALL_MEASURED, eventually("all that is asked for", measured)).await;
    let Ok(page) = found else {
        panic!("{:#?}", missing(&on_page(&process.metrics().await)));
    };

    // Where an alert says how late is too late, that is a bucket's bound.
    for bound in ["hold_expiry_lag_seconds_bucket{le=\"4\"}", "stream_lag_seconds_bucket{le=\"1\"}"]
    {
        process.metric(&format!("holdfast_{bound}")).await;
    }

    // Nothing is on the page that the table does not have.
    let known: HashMap<&str, _> = ALL.iter().map(|metric| (metric.name, metric)).collect();
    for (name, labels) in &page {
        let base = ["_bucket", "_count", "_sum"]
            .iter()
            .filter_map(|end| name.strip_suffix(end))
            .find(|base| known.get(base).is_some_and(|metric| metric.kind == Kind::Histogram));
        let metric = known.get(base.unwrap_or(name)).unwrap_or_else(|| panic!("{name} is new"));
        let has: BTreeSet<_> = labels.iter().map(String::as_str).filter(|l| *l != "le").collect();
        assert_eq!(has, metric.labels.iter().copied().collect(), "{name}");
    }
}

/// What is asked for that is not there: neither on the page nor computed by a rule.
fn missing(page: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut page = page.clone();
    for line in read("deploy/prometheus/holdfast.rules.yml").lines() {
        if let Some(record) = line.trim().strip_prefix("- record: ") {
            let labels = ["rpc_method", "rpc_response_status_code", "outcome"];
            page.insert(record.to_owned(), labels.map(ToOwned::to_owned).into());
        }
    }
    let mut wrong = Vec::new();
    for (place, expression) in expressions() {
        let (names, labels) = asked(&expression);
        let mut has = BTreeSet::from(["instance", "job", "le"]);
        for name in &names {
            match page.get(name) {
                None => wrong.push(format!("{place}: no {name}")),
                Some(labels) => has.extend(labels.iter().map(String::as_str)),
            }
        }
        let unknown = labels.iter().filter(|label| !has.contains(label.as_str()));
        wrong.extend(unknown.map(|label| format!("{place}: no label {label}: {expression}")));
    }
    wrong
}

#[test]
fn expressions_are_taken_apart() {
    let (names, labels) = asked(
        "histogram_quantile(0.9, sum by (le, kind) (rate(a_bucket{b=\"x{y}\", c!~\"z\"}[5m]))) > 4",
    );
    assert_eq!(names, BTreeSet::from(["a_bucket".to_owned()]));
    assert_eq!(labels, ["b", "c", "kind", "le"].map(ToOwned::to_owned).into());
}

#[test]
fn every_metric_is_in_the_documentation_and_nothing_else() {
    let row = |metric: &holdfast::telemetry::Metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (metric.name, metric.kind.as_str());
        format!("| `{name}` | {kind} | {} | {} |", labels.join(", "), metric.what)
    };
    let table: Vec<String> = ALL.iter().map(row).collect();
    let text = read("docs/OBSERVABILITY.md");
    let begun = text.lines().skip_while(|line| !line.starts_with("| metric |")).skip(2);
    let found: Vec<&str> = begun.take_while(|line| line.starts_with('|')).collect();
    assert_eq!(found, table, "the table is to be:\n{}", table.join("\n"));
}

#[test]
fn every_alert_has_its_line_in_the_runbook() {
    let (alerts, runbook) = (read("deploy/prometheus/alerts.yml"), read("docs/RUNBOOK.md"));
    let names = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 15);
    for name in names {
        assert!(runbook.contains(&format!("`{name}` |")), "{name}");
        let anchor = name.to_lowercase();
        assert!(alerts.contains(&format!("docs/RUNBOOK.md#{anchor}\n")), "{name}");
        assert!(runbook.contains(&format!("<a id=\"{anchor}\"></a>")), "{name}");
    }
}

/// What promtool has to say, where the system has it.
#[tokio::test]
async fn rules_and_alerts_are_what_prometheus_takes() {
    let run = async |args: &[&str]| {
        let dir = env!("CARGO_MANIFEST_DIR");
        Command::new("promtool").args(args).current_dir(dir).output().await
    };
    let check = ["check", "rules", "deploy/prometheus/alerts.yml"];
    let Ok(checked) = run(&check).await else {
        eprintln!("skipped: there is no promtool");
        return;
    };
    assert!(checked.status.success(), "{checked:?}");
    let tested = run(&["test", "rules", "deploy/prometheus/alerts.test.yml"]).await.unwrap();
    assert!(tested.status.success(), "{tested:?}");
}

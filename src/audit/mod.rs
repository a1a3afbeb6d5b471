//! `holdfast audit`: the operator's command that compares everything with
//! everything, and prints what differs.

mod stream;

use anyhow::Context as _;

use crate::{
    app,
    config::{AuditOptions, Stores},
    domain::{EventId, audit::Difference},
    flow::{Audited, Flows},
};

/// What the command ends with.
const NOTHING: u8 = 0;
const DIFFERENCES: u8 = 1;
const TROUBLE: u8 = 2;

/// Sums for the last line.
#[derive(Default)]
struct Sums {
    events: usize,
    seats: usize,
    holds: usize,
    differences: usize,
    notes: usize,
    trouble: usize,
}

/// Audits, prints, and answers with what to exit: 0 where nothing differs, 1
/// where something does, 2 where something could not be compared.
pub async fn run(stores: &Stores, audit: &AuditOptions) -> u8 {
    let mut sums = Sums::default();
    if let Err(error) = audit_all(stores, audit, &mut sums).await {
        eprintln!("holdfast: {error:#}");
        sums.trouble += 1;
    }
    sums.print(audit);
    match sums {
        Sums { trouble: 1.., .. } => TROUBLE,
        Sums { differences: 1.., .. } => DIFFERENCES,
        _ => NOTHING,
    }
}

async fn audit_all(stores: &Stores, audit: &AuditOptions, sums: &mut Sums) -> anyhow::Result<()> {
    let flows = app::connect(stores).await?;
    let event_ids = match audit.events.is_empty() {
        true => flows.all_events().await?,
        false => audit.events.clone(),
    };
    for (event_id, audited) in flows.audit(event_ids).await {
        let audited = match audited {
            Ok(found) if audit.repair && found.wrong() > 0 => {
                for difference in found.differences.iter().filter(|found| found.counts()) {
                    print(audit, &event_id, "found", difference);
                }
                flows.repair(found).await
            }
            other => other,
        };
        let audited = audited.map_err(anyhow::Error::from);
        match audited.with_context(|| format!("event {event_id} was not compared")) {
            Ok(found) => {
                // To ask for a stream would load the event.
                let streams = match found.is_loaded {
                    true => of_streams(&flows, audit, &event_id, sums).await,
                    false => Vec::new(),
                };
                sums.add(audit, &found, &streams);
            }
            Err(error) => {
                eprintln!("holdfast: {error:#}");
                sums.trouble += 1;
            }
        }
    }
    // What repair has begun is carried through.
    flows.settle().await;
    Ok(())
}

/// What the servers' streams tell otherwise.
async fn of_streams(
    flows: &Flows,
    audit: &AuditOptions,
    event_id: &EventId,
    sums: &mut Sums,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for server in &audit.servers {
        match stream::compare(flows, event_id, server, &audit.client).await {
            Ok(differences) => found.extend(differences),
            Err(error) => {
                eprintln!("holdfast: the stream of {server} was not compared: {error:#}");
                sums.trouble += 1;
            }
        }
    }
    found
}

impl Sums {
    fn add(&mut self, audit: &AuditOptions, audited: &Audited, of_streams: &[Difference]) {
        self.events += 1;
        self.seats += audited.seats;
        self.holds += audited.holds;
        for difference in audited.differences.iter().chain(of_streams) {
            let what = if difference.counts() { "difference" } else { "note" };
            *(if difference.counts() { &mut self.differences } else { &mut self.notes }) += 1;
            print(audit, &audited.event_id, what, difference);
        }
    }

    fn print(&self, audit: &AuditOptions) {
        let Self { events, seats, holds, differences, notes, trouble } = self;
        let servers = audit.servers.len();
        if audit.json {
            let line = serde_json::json!({
                "events": events, "seats": seats, "holds": holds, "streams": servers,
                "differences": differences, "notes": notes, "trouble": trouble,
            });
            return println!("{line}");
        }
        let streams = match servers {
            0 => "no stream (none was named by --server)".to_owned(),
            servers => format!("the streams of {servers} server(s)"),
        };
        println!(
            "compared {events} event(s), {seats} seats, {holds} live holds, {streams}: \
             {differences} difference(s), {notes} note(s), {trouble} trouble(s)"
        );
    }
}

fn print(audit: &AuditOptions, event_id: &EventId, what: &str, difference: &Difference) {
    if audit.json {
        let line = serde_json::json!({
            "event_id": event_id,
            "what": what,
            "kind": difference.kind(),
            "seat_id": difference.seat(),
            "hold_id": difference.hold().map(|hold| hold.to_string()),
            "text": difference.to_string(),
        });
        return println!("{line}");
    }
    println!("{what}: event {event_id}: {difference}");
}

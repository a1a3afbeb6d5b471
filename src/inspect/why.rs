//! `holdfast why`: who had a seat when.

use std::fmt::Write as _;

use serde_json::json;

use super::time;
use crate::{
    config::WhyOptions,
    domain::{Happening, SeatStatus},
    flow::{Error, Flows, SeatHistory},
    limits::MAX_WHY_LINES,
};

pub async fn print(flows: &Flows, options: &WhyOptions) -> Result<(), Error> {
    let WhyOptions { event_id, seat_id, told } = options;
    let history = flows.seat_history(event_id, seat_id).await?;
    if told.json {
        for happening in &history.happened {
            println!("{}", object(happening));
        }
        return Ok(());
    }
    println!("seat {seat_id} of event {event_id} is {}", now(&history));
    println!("{:<24}  {:<9} {:<18} WHAT", "TIME", "SOURCE", "KIND");
    if history.is_cut {
        println!("(earlier things are left out: the latest {MAX_WHY_LINES} are told)");
    }
    for happening in &history.happened {
        println!("{}", line(happening));
    }
    println!("{}", limits(&history));
    Ok(())
}

fn now(history: &SeatHistory) -> String {
    let in_redis = match history.status {
        None => "not in Redis now",
        Some(SeatStatus::Available) => "AVAILABLE in Redis",
        Some(SeatStatus::Held) => "HELD in Redis",
        Some(SeatStatus::Sold) => "SOLD in Redis",
        Some(SeatStatus::Blocked) => "BLOCKED in Redis",
    };
    let in_postgres = match (history.owned_by, history.blocked) {
        (Some(order_id), _) => format!("owned by order {order_id} in Postgres"),
        (None, true) => "blocked in Postgres".to_owned(),
        (None, false) => "nobody's in Postgres".to_owned(),
    };
    format!("{in_redis}, {in_postgres}")
}

fn line(happening: &Happening) -> String {
    let Happening { at, source, kind, .. } = happening;
    let mut line = format!("{:<24}  {source:<9} {kind:<18}", time(*at));
    let named = |name: &str, value: Option<String>| match value {
        Some(value) => format!(" {name} {value}"),
        None => String::new(),
    };
    for (name, value) in [
        ("hold", happening.hold_id.map(|hold_id| hold_id.to_string())),
        ("of", happening.holder_id.as_ref().map(ToString::to_string)),
        ("order", happening.order_id.map(|order_id| order_id.to_string())),
        ("to", happening.to.clone()),
        ("until", happening.until.map(time)),
        ("by", happening.actor.clone()),
        ("because", happening.reason.clone()),
    ] {
        let _ = write!(line, "{}", named(name, value));
    }
    if !happening.is_done {
        line.push_str(" (not known to be done)");
    }
    line.trim_end().to_owned()
}

fn object(happening: &Happening) -> serde_json::Value {
    let Happening { at, source, kind, holder_id, actor, reason, to, until, .. } = happening;
    json!({
        "time": time(*at), "source": source, "kind": kind, "holder_id": holder_id,
        "hold_id": happening.hold_id.map(|hold_id| hold_id.to_string()),
        "order_id": happening.order_id.map(|order_id| order_id.to_string()),
        "to": to, "until": until.map(time), "actor": actor, "reason": reason,
        "done": happening.is_done,
    })
}

/// What is not known.
fn limits(history: &SeatHistory) -> String {
    let log = match history.log_since {
        Some(since) => format!("the log has all since {}", time(since)),
        None => "the log has nothing".to_owned(),
    };
    format!(
        "{log}; before that, the journal has each hold as it was last: one that gave the seat \
         back in part, or changed it for another, and when seats were blocked, is not known. \
         A FAST hold that was lost with Redis within its first second or so is nowhere."
    )
}

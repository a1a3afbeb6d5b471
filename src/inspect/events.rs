//! `holdfast events`: all events, in numbers.

use serde_json::json;

use super::time;
use crate::{
    config::Told,
    flow::{Error, Flows, Overview},
};

pub async fn print(flows: &Flows, told: &Told) -> Result<(), Error> {
    if !told.json {
        println!(
            "{:<24} {:<9} {:>7} {:>7} {:>7} {:>7} {:>6} {:>5}  {:<24}  NAME",
            "EVENT", "STATE", "SOLD", "HELD", "FREE", "BLOCKED", "HOLDS", "EPOCH", "START"
        );
    }
    let mut unloaded = 0;
    for event_id in flows.all_events().await? {
        let seen = flows.overview(&event_id).await?;
        unloaded += usize::from(!seen.is_loaded);
        match told.json {
            true => println!("{}", object(&seen)),
            false => println!("{}", line(&seen)),
        }
    }
    if unloaded > 0 && !told.json {
        println!("* Redis does not have it now: what is held is told by the journal");
    }
    Ok(())
}

fn line(seen: &Overview) -> String {
    let Overview { event, epoch, is_loaded, sold, held, free, blocked, open_holds } = seen;
    let mark = if *is_loaded { "" } else { "*" };
    let held = format!("{held}{mark}");
    format!(
        "{:<24} {:<9} {sold:>7} {held:>7} {free:>7} {blocked:>7} {open_holds:>6} {:>5}  {:<24}  {}",
        event.event_id.as_str(),
        event.state.as_str(),
        epoch.0,
        time(event.start_time),
        event.name,
    )
}

fn object(seen: &Overview) -> serde_json::Value {
    let Overview { event, epoch, is_loaded, sold, held, free, blocked, open_holds } = seen;
    json!({
        "event_id": event.event_id, "name": event.name, "state": event.state.as_str(),
        "sold": sold, "held": held, "free": free, "blocked": blocked, "open_holds": open_holds,
        "epoch": epoch.0, "start_time": time(event.start_time), "in_redis": is_loaded,
    })
}

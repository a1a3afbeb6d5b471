//! `holdfast holds`: an event's open holds.

use serde_json::json;

use super::{items, state, time};
use crate::{
    config::HoldsOptions,
    flow::{Error, Flows, OpenHold},
    limits::HOLDS_PAGE,
};

pub async fn print(flows: &Flows, options: &HoldsOptions) -> Result<(), Error> {
    let mut read = flows.open_holds(&options.event_id, None).await?;
    let is_text = !options.told.json;
    if is_text && !read.is_loaded {
        println!("Redis does not have the event now: these are the holds of the journal");
    }
    if is_text {
        println!(
            "{:<36}  {:<20} {:<10} {:<24}  {:<36}  PLACES",
            "HOLD", "HOLDER", "STATE", "EXPIRES", "ORDER"
        );
    }
    let mut count = 0;
    while read.next.is_some() {
        let page = flows.next_open_holds(&mut read, HOLDS_PAGE).await?;
        count += page.len();
        for open in &page {
            if is_text { println!("{}", line(open)) } else { println!("{}", object(open)) }
        }
    }
    if is_text {
        println!("{count} open hold(s)");
    }
    Ok(())
}

fn line(OpenHold { hold, order_id }: &OpenHold) -> String {
    format!(
        "{:<36}  {:<20} {:<10} {:<24}  {:<36}  {}",
        hold.hold_id.to_string(),
        hold.holder_id.as_str(),
        state(hold.state),
        time(hold.expire_time),
        order_id.map_or_else(|| "-".to_owned(), |order_id| order_id.to_string()),
        items(&hold.seat_ids, &hold.areas),
    )
}

fn object(OpenHold { hold, order_id }: &OpenHold) -> serde_json::Value {
    let areas = hold.areas.iter();
    let areas: Vec<_> = areas
        .map(|(area_id, quantity)| json!({"area_id": area_id, "quantity": quantity}))
        .collect();
    json!({
        "hold_id": hold.hold_id.to_string(), "holder_id": hold.holder_id,
        "state": state(hold.state), "create_time": time(hold.create_time),
        "expire_time": time(hold.expire_time), "seat_ids": hold.seat_ids, "areas": areas,
        "order_id": order_id.map(|order_id| order_id.to_string()),
    })
}

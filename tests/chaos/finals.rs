//! Both stores at rest: waiting for it, and writing it down.

use std::{collections::HashMap, time::Duration};

use holdfast::domain::{HoldRecord, HoldState, SeatStatus};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{
    history::{Answer, Final, Operation, Order, Status, Ticket},
    logbook::{key, status},
    process::until,
    stage::{SERVERS, Stage},
    workload::{Caller, Floor, Show},
};

const REST_PATIENCE: Duration = Duration::from_secs(60);
const MAP_PATIENCE: Duration = Duration::from_secs(20);
const MAP_DEADLINE: Duration = Duration::from_secs(5);
/// Of the one who asks for the last maps.
const CALLER: u32 = 0;

/// Waits until every hold has ended, and all that follows from it is done.
///
/// # Errors
/// Where that never comes, and what was left then.
pub async fn rest(stage: &Stage, shows: &[std::sync::Arc<Show>]) -> anyhow::Result<()> {
    let left = async || match left_to_do(stage, shows).await {
        Ok(left) if left.is_empty() => None,
        Ok(left) => Some(left),
        Err(error) => Some(format!("{error:#}")),
    };
    let is_at_rest = async || left().await.is_none().then_some(());
    match until("rest", REST_PATIENCE, is_at_rest).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let left = left().await.unwrap_or_default();
            Err(error.context(format!("left to do: {left}")))
        }
    }
}

async fn left_to_do(stage: &Stage, shows: &[std::sync::Arc<Show>]) -> anyhow::Result<String> {
    let client = stage.postgres.connect().await?;
    const LEFT: &str = "-- left_to_do
        SELECT (SELECT count(*) FROM outbox WHERE done_at IS NULL),
               (SELECT count(*) FROM holds h WHERE NOT EXISTS (
                   SELECT FROM hold_outcomes o
                   WHERE o.event_id = h.event_id AND o.hold_id = h.hold_id))";
    let row = client.query_one(LEFT, &[]).await?;
    let (outbox, journal): (i64, i64) = (row.get(0), row.get(1));
    let mut live = 0;
    for show in shows {
        live += live_holds(stage, &show.event_id).await?.len();
    }
    Ok(match (outbox, journal, live) {
        (0, 0, 0) => String::new(),
        _ => format!("{outbox} outbox rows, {journal} journaled holds, {live} holds in Redis"),
    })
}

async fn live_holds(stage: &Stage, event_id: &str) -> anyhow::Result<Vec<String>> {
    let mut redis = stage.redis.owner(event_id).await?.connect().await?;
    let holds: HashMap<String, Vec<u8>> =
        redis::cmd("HGETALL").arg(key(event_id, "holds")).query_async(&mut redis).await?;
    let mut live = Vec::new();
    for (hold_id, packed) in holds.into_iter().filter(|(hold_id, _)| !hold_id.is_empty()) {
        let record: HoldRecord = rmp_serde::from_slice(&packed)?;
        if matches!(record.state, HoldState::Active | HoldState::Confirming) {
            live.push(uuid(&hold_id));
        }
    }
    live.sort();
    Ok(live)
}

/// Writes down how an event is at rest.
pub async fn dump(
    stage: &Stage,
    floor: &std::sync::Arc<Floor>,
    show: &Show,
) -> anyhow::Result<Final> {
    let client = stage.postgres.connect().await?;
    let event_id = &show.event_id;
    let (redis_seats, redis_areas) = redis_places(stage, show).await?;
    Ok(Final {
        event_id: event_id.clone(),
        at_us: floor.recorder.now_us(),
        orders: orders(&client, show).await?,
        outcomes: outcomes(&client, event_id).await?,
        open_holds: open_holds(&client, event_id).await?,
        areas_sold: areas_sold(&client, event_id).await?,
        outbox_open: outbox_open(&client, event_id).await?,
        redis_seats,
        redis_areas,
        redis_holds: live_holds(stage, event_id).await?,
        maps: maps(floor, event_id).await,
        audit: crate::audit::differences(stage, event_id).await?,
    })
}

async fn orders(client: &Client, show: &Show) -> anyhow::Result<Vec<Order>> {
    const ORDERS: &str = "-- orders
        SELECT order_id::text, hold_id::text, holder_id, payment_reference
        FROM orders WHERE event_id = $1 ORDER BY order_id";
    const TICKETS: &str = "-- tickets
        SELECT order_id::text, ticket_id::text, seat_index, area_index
        FROM tickets WHERE event_id = $1 ORDER BY seat_index, area_index, ticket_id";
    let mut tickets: HashMap<String, Vec<Ticket>> = HashMap::new();
    for row in client.query(TICKETS, &[&show.event_id]).await? {
        let (seat, area): (Option<i32>, Option<i32>) = (row.get(2), row.get(3));
        let seat_id = seat.and_then(|seat| show.seat_ids.get(usize::try_from(seat).ok()?).cloned());
        let area_id = area.map(|_| show.area_id.clone());
        let ticket = Ticket { ticket_id: row.get(1), seat_id, area_id };
        tickets.entry(row.get(0)).or_default().push(ticket);
    }
    let order = |row: &tokio_postgres::Row| {
        let order_id: String = row.get(0);
        Order {
            tickets: tickets.remove(&order_id).unwrap_or_default(),
            order_id,
            hold_id: row.get(1),
            holder_id: row.get(2),
            payment_reference: row.get(3),
        }
    };
    Ok(client.query(ORDERS, &[&show.event_id]).await?.iter().map(order).collect())
}

async fn outcomes(
    client: &Client,
    event_id: &String,
) -> anyhow::Result<Vec<(String, String, Option<String>)>> {
    const SQL: &str = "-- outcomes
        SELECT hold_id::text, outcome, order_id::text
        FROM hold_outcomes WHERE event_id = $1 ORDER BY end_time, hold_id";
    let rows = client.query(SQL, &[event_id]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

async fn open_holds(client: &Client, event_id: &String) -> anyhow::Result<Vec<String>> {
    const SQL: &str = "-- open_holds
        SELECT hold_id::text FROM holds h WHERE event_id = $1 AND NOT EXISTS (
            SELECT FROM hold_outcomes o WHERE o.event_id = h.event_id AND o.hold_id = h.hold_id)
        ORDER BY 1";
    Ok(client.query(SQL, &[event_id]).await?.iter().map(|row| row.get(0)).collect())
}

async fn areas_sold(client: &Client, event_id: &String) -> anyhow::Result<Vec<(String, u32, u32)>> {
    const SQL: &str = "-- areas_sold
        SELECT area_id, capacity, sold FROM areas WHERE event_id = $1 ORDER BY area_index";
    let rows = client.query(SQL, &[event_id]).await?;
    let units = |count: i32| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(rows.iter().map(|row| (row.get(0), units(row.get(1)), units(row.get(2)))).collect())
}

async fn outbox_open(client: &Client, event_id: &String) -> anyhow::Result<u32> {
    const SQL: &str = "-- outbox_open
        SELECT count(*) FROM outbox WHERE event_id = $1 AND done_at IS NULL";
    let count: i64 = client.query_one(SQL, &[event_id]).await?.get(0);
    Ok(u32::try_from(count)?)
}

type Places = (Vec<(String, Status, Option<String>)>, Vec<(String, u32)>);

async fn redis_places(stage: &Stage, show: &Show) -> anyhow::Result<Places> {
    let mut redis = stage.redis.owner(&show.event_id).await?.connect().await?;
    let mut all = redis::cmd("HGETALL");
    let seats: HashMap<String, String> =
        all.arg(key(&show.event_id, "seats")).query_async(&mut redis).await?;
    let mut field = redis::cmd("HGET");
    let free: Option<i64> =
        field.arg(key(&show.event_id, "areas")).arg("f0").query_async(&mut redis).await?;
    let mut places = Vec::new();
    // One entry has no name, so that the key is never empty.
    for (index, value) in seats.into_iter().filter(|(index, _)| !index.is_empty()) {
        let index: usize = index.parse()?;
        let seat_id = show.seat_ids.get(index).cloned().unwrap_or_else(|| format!("#{index}"));
        let code = value.bytes().next().and_then(SeatStatus::from_code);
        let code = code.ok_or_else(|| anyhow::anyhow!("seat {seat_id} is {value:?} in Redis"))?;
        let owner = value.get(1..).filter(|owner| !owner.is_empty()).map(uuid);
        places.push((seat_id, status(code), owner));
    }
    places.sort_by(|a, b| a.0.cmp(&b.0));
    let free = free.map(|free| u32::try_from(free).unwrap_or(u32::MAX));
    Ok((places, free.map(|free| (show.area_id.clone(), free)).into_iter().collect()))
}

type Map = (u32, Vec<(String, Status)>, Vec<(String, u32)>);

/// Each server's map; one that does not come is missing.
async fn maps(floor: &std::sync::Arc<Floor>, event_id: &str) -> Vec<Map> {
    let caller = Caller::new(floor.clone(), CALLER);
    let mut maps = Vec::new();
    for server in 0..SERVERS {
        let ask = async || {
            let map = caller.call(server, event_id, &Operation::GetSeatMap, MAP_DEADLINE, None);
            match map.await {
                Answer::SeatMap { seats, areas, .. } => Some((seats, areas)),
                _ => None,
            }
        };
        if let Ok((seats, areas)) = until("a map", MAP_PATIENCE, ask).await {
            maps.push((u32::try_from(server).unwrap_or(u32::MAX), seats, areas));
        }
    }
    maps
}

/// A hold's id as the contract has it, from its 32 digits.
fn uuid(digits: &str) -> String {
    Uuid::try_parse(digits).map_or_else(|_| digits.to_owned(), |id| id.to_string())
}

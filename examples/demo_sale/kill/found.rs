//! What must be true after all of it.

use std::collections::HashMap;

use holdfast::proto::{OrderState, SeatStatus};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{EVENT, buyer::Bought};
use crate::{process::until, stage::Stage, watch::Watch};

pub struct Found {
    pub summary: String,
    pub wrong: Vec<String>,
}

/// An order as Postgres has it.
struct Order {
    state: String,
    tickets: i64,
    /// Places that it is for.
    places: i64,
    refunds: i64,
    is_late: bool,
}

/// Answers once nothing waits: no order, payment, letter, or word to Redis.
pub async fn rest(stage: &Stage) -> Option<()> {
    const SQL: &str = "-- demo: rest
        SELECT NOT EXISTS (SELECT FROM orders WHERE event_id = $1 AND state = 'PENDING')
            AND NOT EXISTS (SELECT FROM payments WHERE state = 'PAID' AND settlement IS NULL)
            AND NOT EXISTS (SELECT FROM outbox WHERE done_at IS NULL)
            AND NOT EXISTS (SELECT FROM order_events WHERE sequence IS NULL)
            AND NOT EXISTS (SELECT FROM deliveries WHERE state = 'DUE')";
    let row = stage.postgres.query_one(SQL, &[&EVENT]).await.ok()?;
    row.get::<_, bool>(0).then_some(())
}

/// Compares what buyers, VNPAY's books, Postgres, the stream, and the mail say.
pub async fn look(stage: &Stage, watch: &Watch, paid: &[Bought]) -> anyhow::Result<Found> {
    let orders = orders(stage).await?;
    let books: HashMap<String, serde_json::Value> = stage
        .till
        .books()
        .await?
        .into_iter()
        .map(|known| (known["txn_ref"].as_str().unwrap_or_default().to_owned(), known))
        .collect();
    let mut wrong = Vec::new();
    let (mut sold, mut due, mut late, mut ipns) = (0, 0, 0, 0);
    let (mut letters, mut copies) = (0, 0);
    for bought in paid {
        let order_id = bought.order_id;
        let Some(order) = orders.get(&order_id) else {
            wrong.push(format!("order {order_id} was paid, and is not there"));
            continue;
        };
        match (&*order.state, order.tickets, order.refunds) {
            ("PAID", tickets, 0) if tickets == order.places => sold += 1,
            ("REFUND_DUE", 0, 1) => due += 1,
            (state, tickets, refunds) => wrong.push(format!(
                "order {order_id} was paid, and is {state}: {tickets} of {} tickets, {refunds} \
                 refunds",
                order.places
            )),
        }
        late += usize::from(order.is_late && order.state == "PAID");
        if let Some(state) = bought.confirmed
            && OrderState::as_str_name(&state) != format!("ORDER_STATE_{}", order.state)
        {
            wrong.push(format!("Confirm of order {order_id} answered {state:?}"));
        }
        if let Some(known) = bought.txn_ref.as_ref().and_then(|txn_ref| books.get(txn_ref)) {
            let told = known["ipns"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_taken =
                |ipn: &serde_json::Value| ipn["rsp_code"] == "00" || ipn["rsp_code"] == "02";
            ipns += told.len();
            if known["state"] != "PAID" || !(told.is_empty() || told.iter().any(is_taken)) {
                wrong.push(format!("order {order_id}, in VNPAY's books: {known}"));
            }
        }
        let paid_letters: Vec<_> = stage.letters(order_id);
        let expected = usize::from(order.state == "PAID");
        let found = paid_letters.iter().filter(|letter| letter.about == "order_paid").count();
        if found != expected {
            wrong.push(format!("order {order_id}, {}: {found} e-mails", order.state));
        }
        letters += found;
        copies += paid_letters.iter().map(|letter| letter.copies).sum::<usize>();
    }
    wrong.extend(seats_wrong(stage, watch).await?);
    let lost = orders.values().filter(|order| order.state == "PAID").count();
    if lost != sold {
        wrong.push(format!("{lost} orders are PAID, {sold} were paid"));
    }
    let summary = format!(
        "{sold} PAID with their tickets ({late} late, by other holds), {due} REFUND_DUE with \
         their refunds; {ipns} IPNs; {letters} e-mails by Message-ID, {copies} received"
    );
    Ok(Found { summary, wrong })
}

async fn orders(stage: &Stage) -> anyhow::Result<HashMap<Uuid, Order>> {
    const SQL: &str = "-- demo: orders
        SELECT order_id, state,
            (SELECT count(*) FROM tickets t WHERE t.order_id = o.order_id),
            (SELECT sum(quantity) FROM order_items i WHERE i.order_id = o.order_id),
            (SELECT count(*) FROM refunds r WHERE r.order_id = o.order_id),
            EXISTS (SELECT FROM former_holds f WHERE f.order_id = o.order_id)
        FROM orders o WHERE event_id = $1";
    let order = |row: &Row| {
        let order = Order {
            state: row.get(1),
            tickets: row.get(2),
            places: row.get::<_, Option<i64>>(3).unwrap_or_default(),
            refunds: row.get(4),
            is_late: row.get(5),
        };
        (row.get(0), order)
    };
    Ok(stage.postgres.query(SQL, &[&EVENT]).await?.iter().map(order).collect())
}

/// No seat is sold twice, units are counted right, and the stream says the same.
async fn seats_wrong(stage: &Stage, watch: &Watch) -> anyhow::Result<Vec<String>> {
    const SQL: &str = "-- demo: seats
        SELECT count(seat_index), count(DISTINCT seat_index), count(area_index),
            (SELECT sum(sold) FROM areas WHERE event_id = $1),
            (SELECT sum(capacity) FROM areas WHERE event_id = $1)
        FROM tickets WHERE event_id = $1";
    let row = stage.postgres.query_one(SQL, &[&EVENT]).await?;
    let (seats, different, units): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let (sold, capacity): (i64, i64) = (row.get(3), row.get(4));
    let mut wrong = Vec::new();
    if seats != different || units != sold {
        wrong.push(format!("{seats} tickets of {different} seats; {units} units, {sold} counted"));
    }
    let told = async || {
        let is_sold = i64::try_from(watch.count(SeatStatus::Sold)) == Ok(seats);
        let is_rest = watch.count(SeatStatus::Held) == 0;
        (is_sold && is_rest && watch.units("floor").map(i64::from) == Some(capacity - sold))
            .then_some(())
    };
    if until("the stream says the same", super::PATIENCE, told).await.is_err() {
        let (sold, held) = (watch.count(SeatStatus::Sold), watch.count(SeatStatus::Held));
        let units = watch.units("floor");
        wrong.push(format!("the stream: {sold} sold of {seats}, {held} held, {units:?} units"));
    }
    Ok(wrong)
}

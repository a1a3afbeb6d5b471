//! What must be true after all of it.

use std::{collections::HashMap, fmt};

use holdfast::proto::SeatStatus;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{EVENT, buyer::Bought};
use crate::{letters::Letter, process::until, stage::Stage, watch::Watch};

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

/// Answers once nothing waits: no order, payment, refund, letter, or word to Redis.
pub async fn rest(stage: &Stage) -> Option<()> {
    const SQL: &str = "-- demo: rest
        SELECT NOT EXISTS (SELECT FROM orders WHERE event_id = $1 AND state = 'PENDING')
            AND NOT EXISTS (SELECT FROM payments WHERE state = 'PAID' AND settlement IS NULL)
            AND NOT EXISTS (SELECT FROM refunds WHERE state = 'ASKED')
            AND NOT EXISTS (SELECT FROM outbox WHERE done_at IS NULL)
            AND NOT EXISTS (SELECT FROM order_events WHERE sequence IS NULL)
            AND NOT EXISTS (SELECT FROM deliveries WHERE state = 'DUE')";
    let row = stage.postgres.query_one(SQL, &[&EVENT]).await.ok()?;
    row.get::<_, bool>(0).then_some(())
}

/// Compares what buyers, VNPAY's books, Postgres, the stream, and the mail say.
pub async fn look(stage: &Stage, watch: &Watch, paid: &[Bought]) -> anyhow::Result<Found> {
    let orders = orders(stage).await?;
    let name = |known: &Value| known["txn_ref"].as_str().unwrap_or_default().to_owned();
    let books = stage.till.books().await?.into_iter().map(|known| (name(&known), known));
    let books: HashMap<String, Value> = books.collect();
    let mut tally = Tally::default();
    for bought in paid {
        let Some(order) = orders.get(&bought.order_id) else {
            tally.wrong(bought, "is not there");
            continue;
        };
        tally.order(bought, order);
        if let Some(txn_ref) = &bought.txn_ref {
            tally.books(bought, books.get(txn_ref).unwrap_or(&Value::Null));
        }
        tally.letters(bought, &stage.letters(bought.order_id));
    }
    let all = orders.values().filter(|order| order.state == "PAID").count();
    if all != tally.sold {
        tally.wrong.push(format!("{all} orders are PAID, {} were paid", tally.sold));
    }
    tally.wrong.extend(seats_wrong(stage, watch).await?);
    Ok(Found { summary: tally.to_string(), wrong: tally.wrong })
}

#[derive(Default)]
struct Tally {
    sold: usize,
    late: usize,
    due: usize,
    given_back: usize,
    ipns: usize,
    letters: usize,
    copies: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn wrong(&mut self, of: &Bought, what: impl fmt::Display) {
        self.wrong.push(format!("order {}, which was paid: {what}", of.order_id));
    }

    fn order(&mut self, bought: &Bought, order: &Order) {
        if order.state != bought.expected {
            self.wrong(bought, format!("{}, not {}", order.state, bought.expected));
        }
        match (&*order.state, order.tickets, order.refunds) {
            ("PAID", tickets, 0) if tickets == order.places => self.sold += 1,
            ("REFUND_DUE", 0, 1) => self.due += 1,
            ("REFUNDED", 0, 1) => self.given_back += 1,
            (state, tickets, refunds) => {
                let places = order.places;
                let what = format!("{state}, {tickets} of {places} tickets, {refunds} refunds");
                self.wrong(bought, what);
            }
        }
        self.late += usize::from(order.is_late);
        if let Some(state) = bought.confirmed
            && state.as_str_name() != format!("ORDER_STATE_{}", order.state)
        {
            self.wrong(bought, format!("{}, and Confirm answered {state:?}", order.state));
        }
    }

    /// Paid there, told until a server had it, and given back once or never.
    fn books(&mut self, bought: &Bought, known: &Value) {
        let list = |name: &str| known[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let told = list("ipns");
        let is_taken = |ipn: &Value| ipn["rsp_code"] == "00" || ipn["rsp_code"] == "02";
        let refunds = usize::from(bought.expected == "REFUNDED");
        self.ipns += told.len();
        let is_told = told.is_empty() || told.iter().any(is_taken);
        if known["state"] != "PAID" || !is_told || list("refunds").len() != refunds {
            self.wrong(bought, format!("in VNPAY's books {known}"));
        }
    }

    /// One letter for what became of it, however often it came. Who is given their money
    /// back at once may not be sent the tickets any more.
    fn letters(&mut self, bought: &Bought, letters: &[Letter]) {
        let count = |about| letters.iter().filter(|letter| letter.about == about).count();
        let found = (count("order_paid"), count("order_refunded"), letters.len());
        let is_right = match bought.expected {
            "PAID" => found == (1, 0, 1),
            "REFUNDED" => found.0 <= 1 && found.1 == 1 && found.2 == found.0 + 1,
            _ => found.2 == 0,
        };
        if !is_right {
            self.wrong(bought, format!("{}, letters {letters:?}", bought.expected));
        }
        self.letters += letters.len();
        self.copies += letters.iter().map(|letter| letter.copies).sum::<usize>();
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sold, late, due, given_back, ipns, letters, copies, .. } = self;
        write!(
            f,
            "{sold} PAID with their tickets ({late} late, by other holds), {due} REFUND_DUE and \
             {given_back} REFUNDED, each with its refund; {ipns} IPNs; {letters} e-mails by \
             Message-ID, {copies} received"
        )
    }
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

//! How a case ends: in Postgres, on the stream, in VNPAY's books; found, and as it
//! should be.

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{letters::Letter, stage::Stage, watch::Watch};

/// Where an order has got to, wherever that can be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct End {
    pub order: String,
    /// `PAID/ORDER`: the provider has the money, and it paid the order.
    pub payments: Vec<String>,
    /// With how much, in currency units: `DONE 1500000`.
    pub refunds: Vec<String>,
    /// Valid ones.
    pub tickets: i64,
    pub void_tickets: i64,
    /// How the hold ended that the order was made of.
    pub hold: String,
    /// What downstream is told of the order.
    pub events: Vec<String>,
    /// What the stream told of the seats, each in order.
    pub seats: Vec<String>,
    /// What the stream says is left of the area's four units.
    pub units_left: Option<i32>,
    /// How the servers answered VNPAY, of all attempts to pay.
    pub ipn: Vec<String>,
    /// Money that VNPAY gave back: whole (02) or a part (03), in currency units.
    pub given_back: Vec<String>,
    /// What an internal service heard of the order.
    pub told: Vec<String>,
    /// E-mail that the buyer received, and of how many tickets the codes in it are.
    pub mails: Vec<String>,
}

/// Whose end is looked for.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    pub order_id: String,
    pub hold_id: String,
    pub seats: Vec<String>,
    pub area: String,
    pub txn_refs: Vec<String>,
}

impl End {
    pub async fn find(stage: &Stage, watch: &Watch, traces: &Traces) -> anyhow::Result<Self> {
        const SQL: &str = "-- demo: end
            SELECT o.state,
                ARRAY(SELECT state || coalesce('/' || settlement, '') FROM payments p
                    WHERE p.order_id = o.order_id ORDER BY payment_id),
                ARRAY(SELECT state || ' ' || amount_micros / 1000000 FROM refunds r
                    WHERE r.order_id = o.order_id ORDER BY create_time, refund_id),
                (SELECT count(*) FROM tickets t WHERE t.order_id = o.order_id),
                (SELECT count(*) FROM void_tickets v WHERE v.order_id = o.order_id),
                coalesce((SELECT outcome FROM hold_outcomes h WHERE h.hold_id = $2), 'open'),
                ARRAY(SELECT ticket_id FROM tickets t WHERE t.order_id = o.order_id
                    UNION ALL
                    SELECT ticket_id FROM void_tickets v WHERE v.order_id = o.order_id),
                ARRAY(SELECT replace(kind, 'ORDER_', '') FROM order_events e
                    WHERE e.order_id = o.order_id ORDER BY order_event_id)
            FROM orders o WHERE o.order_id = $1";
        let (order_id, hold_id) =
            (traces.order_id.parse::<Uuid>()?, traces.hold_id.parse::<Uuid>()?);
        let row = stage.postgres.query_opt(SQL, &[&order_id, &hold_id]).await?;
        let row = row.context("no such order in Postgres")?;
        let (mut ipn, mut given_back) = (Vec::new(), Vec::new());
        for txn_ref in &traces.txn_refs {
            let known = stage.till.known(txn_ref).await?;
            ipn.extend(each(&known["ipns"], answered));
            given_back.extend(each(&known["refunds"], |refund| {
                let amount = refund["amount"].as_u64().unwrap_or_default() / 100;
                format!("{} {amount}", refund["transaction_type"].as_str().unwrap_or_default())
            }));
        }
        Ok(Self {
            order: row.get(0),
            payments: row.get(1),
            refunds: row.get(2),
            tickets: row.get(3),
            void_tickets: row.get(4),
            hold: row.get(5),
            events: row.get(7),
            seats: traces.seats.iter().map(|seat| watch.seat(seat)).collect(),
            units_left: watch.units(&traces.area),
            ipn,
            given_back,
            told: stage.events.of(&traces.order_id),
            mails: mails(&stage.letters(order_id), &row.get::<_, Vec<Uuid>>(6)),
        })
    }

    /// Whether that was to be found. A stream may leave out what a seat was for a
    /// moment; what it tells is in order, and ends as it should.
    pub fn fits(&self, expected: &Self) -> bool {
        let told = self.seats.len() == expected.seats.len()
            && self.seats.iter().zip(&expected.seats).all(|(told, all)| is_part_of(told, all));
        // Who follows the events hears of each that there is.
        let told = told && self.told == expected.events;
        let rest =
            Self { seats: expected.seats.clone(), told: expected.told.clone(), ..self.clone() };
        told && rest == *expected
    }
}

/// What the letters are about; of the tickets, how many their codes are.
fn mails(letters: &[Letter], tickets: &[Uuid]) -> Vec<String> {
    let is_one = |code: &&String| tickets.iter().any(|ticket| ticket.to_string() == **code);
    let mut mails: Vec<String> = letters
        .iter()
        .map(|letter| match letter.codes.iter().filter(is_one).count() {
            0 => letter.about.clone(),
            codes => format!("{} with {codes} codes", letter.about),
        })
        .collect();
    mails.sort();
    mails
}

fn each(list: &Value, tell: impl Fn(&Value) -> String) -> Vec<String> {
    list.as_array().into_iter().flatten().map(tell).collect()
}

fn answered(ipn: &Value) -> String {
    let status = ipn["http_status"].as_u64().map_or("none".to_owned(), |n| format!("HTTP {n}"));
    ipn["rsp_code"].as_str().map_or(status, ToOwned::to_owned)
}

fn is_part_of(told: &str, all: &str) -> bool {
    let mut rest = all.split(' ');
    let last = |text: &str| text.rsplit(' ').next().map(ToOwned::to_owned);
    last(told) == last(all) && told.split(' ').all(|word| rest.any(|other| other == word))
}

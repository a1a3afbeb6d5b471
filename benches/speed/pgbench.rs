//! Postgres alone, by its own benchmark, on a database that no server works on.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use holdfast::ledger::CONFIRM_NEW;
use tokio::process::Command;
use tokio_postgres::NoTls;

use super::{
    confirm::{HOT_ONE_IN, OTHERS},
    stage::Stage,
};

/// What each sale is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Confirm's own statement.
    Statement,
    /// The same work as it is usual: BEGIN, a statement for each table, COMMIT.
    Transaction,
    /// Without fence and journal: what somebody writes who has no Redis to agree
    /// with.
    Bare,
}

impl Script {
    pub const ALL: [Self; 3] = [Self::Statement, Self::Transaction, Self::Bare];

    pub fn name(self) -> &'static str {
        match self {
            Self::Statement => "the same statement",
            Self::Transaction => "BEGIN..COMMIT of the same work",
            Self::Bare => "BEGIN..COMMIT without fence and journal",
        }
    }

    fn sql(self, tag: usize) -> String {
        match self {
            Self::Statement => statement(tag),
            Self::Transaction => transaction(tag, true),
            Self::Bare => transaction(tag, false),
        }
    }
}

/// Events in a database of their own, and how many sales a run makes.
pub struct Pgbench {
    url: String,
    sales: usize,
}

const DATABASE: &str = "pgbench";

impl Pgbench {
    /// Makes room for so many runs, each under a tag from 0 on.
    pub async fn new(stage: &Stage, sales: usize, runs: usize) -> anyhow::Result<Self> {
        let url = stage.database(DATABASE).await?;
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        for event in 0..=OTHERS {
            let seats = runs * if event == 0 { sales / HOT_ONE_IN } else { sales / OTHERS };
            client
                .batch_execute(&format!(
                    "INSERT INTO events (event_id, name, venue, city, start_time, state,
                        hold_ttl_ms, max_hold_ms, max_units_per_hold, max_units_per_holder,
                        fingerprint, epoch)
                    VALUES ('e{event}', 'Speed', '', '', now(), 'ON_SALE', 900000, 7200000,
                        50, 0, '', 1);
                    INSERT INTO price_categories VALUES ('e{event}', 'all', 0, 'All', 'GBP', 1);
                    INSERT INTO sections VALUES ('e{event}', 'A', 0, 'A');
                    INSERT INTO seats (event_id, seat_index, seat_id, section_id, row_index,
                        row_id, price_category_id, accessible, x, y)
                    SELECT 'e{event}', n, 'A:' || n, 'A', 0, 'A', 'all', false, 0, 0
                    FROM generate_series(0, {seats} - 1) AS n"
                ))
                .await?;
        }
        client.batch_execute("VACUUM ANALYZE").await?;
        Ok(Self { url, sales })
    }

    /// Answers sales a second.
    pub async fn run(
        &self,
        stage: &Stage,
        script: Script,
        clients: usize,
        tag: usize,
    ) -> anyhow::Result<f64> {
        let each = self.sales / clients;
        let file = stage.path("pgbench.sql");
        fs::write(&file, format!("{}{};\n", self.variables(each, tag), script.sql(tag)))?;
        let file = file.display().to_string();
        let bin = stage.postgres.bin().join("pgbench").display().to_string();
        let output = Command::new(&bin)
            .args(["-n", "-M", "prepared", "-D", "n=-1", "-j", "2"])
            .args(["-c", &clients.to_string(), "-t", &each.to_string(), "-f", &file, &self.url])
            .current_dir(Path::new("/"))
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot run {bin}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        // Every client says the same.
        let first = complaint.lines().take(5).collect::<Vec<_>>().join("\n");
        ensure!(output.status.success() && !complaint.contains("ERROR"), "{said}{first}");
        self.check(tag, each * clients).await?;
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let tps = tps.and_then(|rest| rest.split(' ').next()).context(said.clone())?;
        Ok(tps.parse()?)
    }

    /// The sale's number, and from it the event and the seat: one in
    /// [`HOT_ONE_IN`] is of event 0, the others are of the others in turn.
    fn variables(&self, each: usize, tag: usize) -> String {
        let hot_first = tag * (self.sales / HOT_ONE_IN);
        let other_first = tag * (self.sales / OTHERS);
        format!(
            "\\set n :n + 1
            \\set i :client_id * {each} + :n
            \\set other :i - :i / {HOT_ONE_IN} - 1
            \\if :i % {HOT_ONE_IN} = 0
            \\set event 0
            \\set seat {hot_first} + :i / {HOT_ONE_IN}
            \\else
            \\set event 1 + :other % {OTHERS}
            \\set seat {other_first} + :other / {OTHERS}
            \\endif\n"
        )
        .replace("            ", "")
    }

    /// Every sale is there.
    async fn check(&self, tag: usize, sales: usize) -> anyhow::Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        let count = "SELECT count(*) FROM orders JOIN tickets USING (order_id)
            WHERE payment_reference LIKE $1";
        let row = client.query_one(count, &[&format!("pay-{tag}-%")]).await?;
        let sold: i64 = row.get(0);
        ensure!(usize::try_from(sold)? == sales, "pgbench sold {sold} of {sales}");
        Ok(())
    }
}

const EVENT: &str = "('e' || :event::int::text)";

/// A UUID of the sale; one for each thing that needs one.
fn uuid(kind: usize, tag: usize) -> String {
    format!("('0000000{kind}-{tag:04}-4000-8000-' || lpad(to_hex(:i::int), 12, '0'))::uuid")
}

fn payment(tag: usize) -> String {
    format!("'pay-{tag}-' || :i::int::text")
}

/// Confirm's statement, of one sale, with pgbench's variables in place of its
/// parameters.
fn statement(tag: usize) -> String {
    let one = |value: String, of: &str| format!("ARRAY[{value}]::{of}[]");
    let text = |value: &str| one(value.into(), "text");
    let number = |value: &str| one(value.into(), "int8");
    let id = |kind| one(uuid(kind, tag), "uuid");
    let parameters = [
        text(EVENT),
        number("1"),
        id(1),
        id(2),
        text("'ann'"),
        text("'GBP'"),
        number("150000000"),
        one(payment(tag), "text"),
        text("'0123456789abcdef'"),
        number("1800000000000"),
        number("1800000900000"),
        number("1"),
        text("'{' || :seat::int::text || '}'"),
        id(2),
        id(3),
        one(":seat::int".into(), "int"),
        number("150000000"),
        "5.0".into(),
    ];
    let mut statement = CONFIRM_NEW.split_once('\n').map_or(CONFIRM_NEW, |(_, sql)| sql).to_owned();
    for (i, value) in parameters.iter().enumerate().rev() {
        statement = statement.replace(&format!("${}", i + 1), value);
    }
    statement
}

/// What is usual, on the same tables; and, if told so, what the statement does
/// besides: the fence, the journal of the hold, and what downstream is told.
fn transaction(tag: usize, with_all: bool) -> String {
    let (hold_id, order_id, ticket_id) = (uuid(1, tag), uuid(2, tag), uuid(3, tag));
    let payment = payment(tag);
    let (fence, journal) = match with_all {
        false => (String::new(), String::new()),
        true => (
            format!("SELECT FROM events WHERE event_id = {EVENT} AND epoch = 1 FOR SHARE;"),
            format!(
                "INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
                    expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
                    epoch, seq)
                VALUES ({hold_id}, {EVENT}, 'ann', '0123456789abcdef', to_timestamp(1800000000),
                    to_timestamp(1800000900), ARRAY[:seat::int], '{{}}', '{{}}', '{{}}', 1, 1)
                ON CONFLICT (event_id, hold_id) DO UPDATE SET expire_time = excluded.expire_time
                WHERE (holds.epoch, holds.seq) < (excluded.epoch, excluded.seq);
                INSERT INTO order_events (kind, event_id, order_id)
                VALUES ('ORDER_PAID', {EVENT}, {order_id});"
            ),
        ),
    };
    format!(
        "BEGIN; {fence}
        INSERT INTO hold_outcomes (hold_id, event_id, outcome, order_id)
        VALUES ({hold_id}, {EVENT}, 'confirmed', {order_id});
        INSERT INTO orders (order_id, event_id, hold_id, holder_id, state, currency,
            total_micros, payment_reference, pay_time)
        VALUES ({order_id}, {EVENT}, {hold_id}, 'ann', 'PAID', 'GBP', 150000000,
            {payment}, now());
        INSERT INTO tickets (ticket_id, order_id, event_id, seat_index, price_micros)
        VALUES ({ticket_id}, {order_id}, {EVENT}, :seat::int, 150000000); {journal}
        INSERT INTO outbox (kind, event_id, hold_id, lease_until)
        VALUES ('sold', {EVENT}, {hold_id}, now() + interval '5 seconds');
        COMMIT"
    )
}

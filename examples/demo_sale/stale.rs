//! Very many orders whose time is up at once, and two servers that see to them.

use std::{sync::Arc, time::Instant};

use anyhow::Context as _;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast::proto::{self, SeatStatus};
use uuid::Uuid;

use crate::{chart, process::until, report::Line, stage::Stage};

const EVENT: &str = "demo-stale";
/// Calls under way while the orders are made.
const IN_FLIGHT: usize = 48;
/// Of so many orders, one waits for VNPAY: it is asked whether that was paid.
const ONE_BY_VNPAY: usize = 20;
/// Of so many orders, each server has at least this part of the work.
const ENOUGH_FOR_TWO: usize = 2_000;
const FAIR: f64 = 0.1;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(180);

/// Makes `count` orders by the contract, each with a seat and a unit; moves their
/// deadlines by one statement; waits until none is PENDING.
pub async fn play(stage: &Arc<Stage>, count: usize) -> anyhow::Result<Line> {
    let units = i32::try_from(count)?;
    let watch = stage.create_event(chart::of_rows(EVENT, count.div_ceil(10), units)).await?;
    let begun = Instant::now();
    stream::iter(0..count)
        .map(|n| make(stage, n))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<()>>()
        .await?;
    let made_s = begun.elapsed().as_secs_f32();

    let idle_s = busy_s(stage).await?;
    const TIME: &str = "-- demo: stale
        UPDATE orders SET price_expire_time = now() - interval '1 second'
        WHERE event_id = $1 AND state = 'PENDING'";
    let moved = stage.postgres.execute(TIME, &[&EVENT]).await?;
    let begun = Instant::now();
    until("no order is PENDING", PATIENCE, async || {
        const SQL: &str = "-- demo: pending
            SELECT NOT EXISTS (SELECT FROM orders WHERE event_id = $1 AND state = 'PENDING')";
        let row = stage.postgres.query_one(SQL, &[&EVENT]).await.ok()?;
        row.get::<_, bool>(0).then_some(())
    })
    .await?;
    let reaped_s = begun.elapsed().as_secs_f32();
    let busy_s = busy_s(stage).await?;
    let seats = count.div_ceil(10) * 10;
    let is_back = async || {
        let is_all = watch.count(SeatStatus::Available) == seats;
        (is_all && watch.units("floor") == Some(units)).then_some(())
    };
    let back = until("all seats are back on the stream", PATIENCE, is_back).await;

    let mut wrong = found_wrong(stage, count, moved).await?;
    wrong.extend(back.err().map(|error| format!("{error:#}")));
    let rate = f64::from(units) / f64::from(reaped_s);
    let worked_s = [busy_s[0] - idle_s[0], busy_s[1] - idle_s[1]];
    let is_shared = count >= ENOUGH_FOR_TWO;
    if is_shared && worked_s.iter().any(|&one_s| one_s < (worked_s[0] + worked_s[1]) * FAIR) {
        wrong.push(format!("the servers worked for {worked_s:.1?} s"));
    }
    let done = format!(
        "{count} orders made by the contract in {made_s:.0} s, one in {ONE_BY_VNPAY} by vnpay; \
         the time of all is up"
    );
    let how = if wrong.is_empty() { "CANCELLED once each" } else { "not as it should be" };
    let summary = format!(
        "{how}, in {reaped_s:.1} s ({rate:.0} a second); the servers worked for {worked_s:.1?} s"
    );
    Ok(Line::summed_up("stale", done, summary, wrong))
}

async fn make(stage: &Arc<Stage>, n: usize) -> anyhow::Result<()> {
    let holder_id = format!("holder-{n}");
    let request = proto::HoldRequest {
        event_id: EVENT.to_owned(),
        holder_id: holder_id.clone(),
        hold_id: Uuid::now_v7().to_string(),
        seat_ids: vec![format!("{}-{}", n / 10 + 1, n % 10 + 1)],
        areas: vec![proto::AreaQuantity { area_id: "floor".to_owned(), quantity: 1 }],
        ttl: None,
        ..Default::default()
    };
    let hold = stage
        .call("Hold", async |server| server.reservations.clone().hold(request.clone()).await)
        .await?
        .hold
        .context("a hold")?;
    let provider = if n.is_multiple_of(ONE_BY_VNPAY) { "vnpay" } else { "manual" };
    let request = proto::CreateOrderRequest {
        event_id: EVENT.to_owned(),
        hold_id: hold.hold_id,
        holder_id,
        payment_provider: provider.to_owned(),
        ..proto::CreateOrderRequest::default()
    };
    let made = stage.call("CreateOrder", async |server| {
        server.checkout.clone().create_order(request.clone()).await
    });
    made.await.map(|_| ())
}

/// How long each server has seen to such orders until now.
async fn busy_s(stage: &Stage) -> anyhow::Result<[f64; 2]> {
    let [one, other] = &stage.servers;
    let job = "cancel_stale_orders";
    Ok([one.busy_s(&stage.http, job).await?, other.busy_s(&stage.http, job).await?])
}

/// Each order was cancelled once, and told of once; nothing is left of it.
async fn found_wrong(stage: &Stage, count: usize, moved: u64) -> anyhow::Result<Vec<String>> {
    const SQL: &str = "-- demo: reaped
        SELECT (SELECT count(*) FROM orders WHERE event_id = $1 AND state = 'CANCELLED'),
            (SELECT count(*) FROM order_events
                WHERE event_id = $1 AND kind = 'ORDER_CANCELLED'),
            (SELECT count(DISTINCT order_id) FROM order_events
                WHERE event_id = $1 AND kind = 'ORDER_CANCELLED'),
            (SELECT count(*) FROM hold_outcomes WHERE event_id = $1 AND outcome = 'expired'),
            (SELECT sum(sold)::bigint FROM areas WHERE event_id = $1)
                + (SELECT count(*) FROM tickets WHERE event_id = $1)";
    let row = stage.postgres.query_one(SQL, &[&EVENT]).await?;
    let count = i64::try_from(count)?;
    let names = ["orders CANCELLED", "events CANCELLED", "orders told of", "holds expired"];
    let mut wrong: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(at, name)| (name, row.get::<_, i64>(at)))
        .filter(|(_, found)| *found != count)
        .map(|(name, found)| format!("{name}: {found}, not {count}"))
        .collect();
    if row.get::<_, i64>(4) != 0 || i64::try_from(moved)? != count {
        wrong.push(format!("sold: {}; deadlines moved: {moved}", row.get::<_, i64>(4)));
    }
    Ok(wrong)
}

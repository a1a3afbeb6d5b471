//! Money given back.

use std::time::Duration;

use anyhow::Context as _;
use holdfast::proto::ticket::Place;

use super::{End, PART, TOTAL, given_back, sold, texts};
use crate::{process::until, sale::Sale};

pub async fn whole(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay().await?;
    sale.reach(&sold()).await?;
    sale.refund(Vec::new()).await?;
    Ok(given_back())
}

pub async fn some(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay().await?;
    sale.reach(&sold()).await?;
    let tickets = second_seat_and_unit(sale).await?;
    sale.refund(tickets).await?;
    Ok(some_given_back())
}

/// The tickets of them.
async fn second_seat_and_unit(sale: &Sale) -> anyhow::Result<Vec<String>> {
    let order = sale.get().await?.order.context("an order")?;
    let ticket = |wanted: &str| {
        let is_it = |ticket: &&holdfast::proto::Ticket| match &ticket.place {
            Some(Place::SeatId(id) | Place::AreaId(id)) => id == wanted,
            None => false,
        };
        let found = order.tickets.iter().find(is_it).context("a ticket");
        found.map(|ticket| ticket.ticket_id.clone())
    };
    Ok(vec![ticket(&format!("{}-2", sale.name))?, ticket(sale.name)?])
}

fn some_given_back() -> End {
    End {
        refunds: vec![format!("DONE {PART}")],
        tickets: 2,
        void_tickets: 2,
        events: texts(&["CREATED", "PAID", "REFUND_DUE", "REFUNDED"]),
        mails: texts(&["order_paid with 4 codes", "order_refunded"]),
        seats: texts(&["HELD SOLD", "HELD SOLD AVAILABLE"]),
        units_left: Some(3),
        given_back: vec![format!("03 {PART}")],
        ..sold()
    }
}

/// The tickets are void and the places back, whatever VNPAY says; the money is owed.
pub async fn refused(sale: &mut Sale) -> anyhow::Result<End> {
    let failed = End {
        order: "REFUND_DUE".to_owned(),
        refunds: vec![format!("FAILED {TOTAL}")],
        events: texts(&["CREATED", "PAID", "REFUND_DUE"]),
        given_back: Vec::new(),
        mails: sold().mails,
        ..given_back()
    };
    refused_then_again(sale, false, &failed, &given_back()).await?;
    Ok(given_back())
}

/// As above; the tickets that are left stay valid.
pub async fn some_refused(sale: &mut Sale) -> anyhow::Result<End> {
    let failed = End {
        refunds: vec![format!("FAILED {PART}")],
        events: texts(&["CREATED", "PAID", "REFUND_DUE"]),
        given_back: Vec::new(),
        mails: sold().mails,
        ..some_given_back()
    };
    refused_then_again(sale, true, &failed, &some_given_back()).await?;
    Ok(some_given_back())
}

async fn refused_then_again(
    sale: &mut Sale,
    some: bool,
    failed: &End,
    done: &End,
) -> anyhow::Result<()> {
    let stage = sale.stage.clone();
    let _alone = stage.alone.write().await;
    sale.begin().await?;
    sale.pay().await?;
    sale.reach(&sold()).await?;
    let tickets = if some { second_seat_and_unit(sale).await? } else { Vec::new() };
    stage.till.set("refuse_refunds", true).await?;
    let refunded = sale.refund(tickets).await;
    let reached = sale.reach(failed).await;
    stage.till.set("refuse_refunds", false).await?;
    refunded.and(reached)?;
    let metrics = stage.servers[0].at("/metrics");
    until("the metric shows it", Duration::from_secs(20), async || {
        let metrics = stage.http.get(&metrics).send().await.ok()?.text().await.ok()?;
        metrics.contains("holdfast_refunds_open{state=\"failed\"} 1\n").then_some(())
    })
    .await?;
    // All that is due, under an id of its own; or this one, by the id that it has.
    if some {
        sale.refund_again().await?;
    } else {
        sale.refund(Vec::new()).await?;
    }
    // Before VNPAY refuses what another case gives back.
    sale.reach(done).await
}

//! Paid in time.

use holdfast::proto::OrderState;
use serde_json::json;

use super::{End, TOTAL, sold, texts};
use crate::sale::Sale;

pub async fn pay(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay().await?;
    Ok(sold())
}

pub async fn told_twice(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay().await?;
    sale.pay().await?;
    Ok(End { ipn: texts(&["00", "02"]), ..sold() })
}

/// One sale; the money of the other attempt is due, and goes back when it is asked for.
pub async fn paid_twice(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.act("fail", json!({})).await?;
    sale.order_by("vnpay").await?;
    sale.pay().await?;
    sale.reach(&End {
        payments: texts(&["FAILED", "PAID/ORDER"]),
        ipn: texts(&["00", "00"]),
        ..sold()
    })
    .await?;
    // The bank had the money of the first one after all.
    sale.traces.txn_refs.reverse();
    sale.pay().await?;
    sale.traces.txn_refs.reverse();
    let due = End {
        payments: texts(&["PAID/REFUND", "PAID/ORDER"]),
        refunds: vec![format!("DUE {TOTAL}")],
        events: texts(&["CREATED", "PAID", "REFUND_DUE"]),
        ipn: texts(&["00", "00", "00"]),
        ..sold()
    };
    sale.reach(&due).await?;
    sale.refund_again().await?;
    Ok(End {
        refunds: vec![format!("DONE {TOTAL}")],
        events: texts(&["CREATED", "PAID", "REFUND_DUE", "REFUNDED"]),
        mails: texts(&["order_paid with 4 codes", "order_refunded"]),
        given_back: vec![format!("02 {TOTAL}")],
        ..due
    })
}

pub async fn fails_first(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.act("fail", json!({ "code": "51" })).await?;
    sale.order_by("vnpay").await?;
    sale.pay().await?;
    Ok(End { payments: texts(&["FAILED", "PAID/ORDER"]), ipn: texts(&["00", "00"]), ..sold() })
}

pub async fn replay(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay().await?;
    sale.act("replay", json!({})).await?;
    sale.act("replay", json!({})).await?;
    Ok(End { ipn: texts(&["00", "02", "02"]), ..sold() })
}

pub async fn callback_first(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    let back = sale.stage.till.choose(sale.txn_ref()?, "pay").await?;
    let told = sale.come_back_to(&back).await?;
    sale.check("the shop is told", &&*told, &"PAID");
    Ok(sold())
}

pub async fn return_first(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay_silently().await?;
    let told = sale.come_back().await?;
    sale.check("the shop is told at first", &&*told, &"PENDING");
    sale.act("ipn", json!({})).await?;
    let told = sale.come_back().await?;
    sale.check("the shop is told then", &&*told, &"PAID");
    Ok(sold())
}

pub async fn manual(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin_with("manual").await?;
    for _ in 0..2 {
        let paid = sale.confirm("manual-payment-1").await?;
        let order_id = sale.order.order_id.clone();
        let answered = (paid.state(), paid.order_id);
        sale.check("Confirm answers", &answered, &(OrderState::Paid, order_id));
    }
    Ok(End { payments: Vec::new(), ipn: Vec::new(), ..sold() })
}

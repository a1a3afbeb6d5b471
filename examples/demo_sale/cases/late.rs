//! Paid when the hold, or the order, was over.

use holdfast::proto::OrderState;

use super::{End, TOTAL, UNITS, cancelled, due, sold, texts};
use crate::sale::Sale;

pub async fn free(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.let_hold_expire().await?;
    sale.pay().await?;
    Ok(End {
        hold: "expired".to_owned(),
        seats: texts(&["HELD AVAILABLE HELD SOLD", "HELD AVAILABLE HELD SOLD"]),
        ..sold()
    })
}

pub async fn cancelled_then_paid(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.let_time_run_out().await?;
    sale.reach(&cancelled()).await?;
    sale.pay().await?;
    Ok(End {
        hold: "expired".to_owned(),
        events: texts(&["CREATED", "CANCELLED", "PAID"]),
        mails: texts(&["order_cancelled", "order_paid with 4 codes"]),
        seats: texts(&["HELD AVAILABLE HELD SOLD", "HELD AVAILABLE HELD SOLD"]),
        ..sold()
    })
}

pub async fn gone(sale: &mut Sale) -> anyhow::Result<End> {
    let due = seat_goes(sale).await?;
    sale.pay().await?;
    sale.reach(&due).await?;
    sale.refund(Vec::new()).await?;
    Ok(End {
        order: "REFUNDED".to_owned(),
        refunds: vec![format!("DONE {TOTAL}")],
        events: texts(&["CREATED", "REFUND_DUE", "REFUNDED"]),
        mails: texts(&["order_refunded"]),
        given_back: vec![format!("02 {TOTAL}")],
        ..due
    })
}

/// The hold runs out, and somebody else takes the second seat.
async fn seat_goes(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.let_hold_expire().await?;
    sale.rival_takes(&format!("{}-2", sale.name)).await?;
    Ok(End { seats: texts(&["HELD AVAILABLE", "HELD AVAILABLE HELD"]), ..due() })
}

pub async fn refused(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.let_hold_expire().await?;
    sale.pay().await?;
    Ok(due())
}

pub async fn manual(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin_with("manual").await?;
    sale.let_hold_expire().await?;
    sale.rival_takes(&format!("{}-2", sale.name)).await?;
    let order = sale.confirm("manual-payment-2").await?;
    sale.check("Confirm answers", &order.state(), &OrderState::RefundDue);
    sale.refund(Vec::new()).await?;
    Ok(End {
        order: "REFUNDED".to_owned(),
        payments: Vec::new(),
        refunds: vec![format!("DONE {TOTAL}")],
        events: texts(&["CREATED", "REFUND_DUE", "REFUNDED"]),
        mails: texts(&["order_refunded"]),
        seats: texts(&["HELD AVAILABLE", "HELD AVAILABLE HELD"]),
        units_left: Some(UNITS),
        ipn: Vec::new(),
        ..due()
    })
}

/// Whoever cancels does not want it any more.
pub async fn cancel_then_pay(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.cancel().await?;
    sale.reach(&End { hold: "released".to_owned(), ..cancelled() }).await?;
    sale.pay().await?;
    Ok(End {
        hold: "released".to_owned(),
        events: texts(&["CREATED", "CANCELLED", "REFUND_DUE"]),
        mails: texts(&["order_cancelled"]),
        ..due()
    })
}

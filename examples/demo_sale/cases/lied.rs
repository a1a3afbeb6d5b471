//! Callbacks that are not as they should be: they change nothing.

use serde_json::json;

use super::{End, SEAT, cancelled, pending, sold, texts};
use crate::sale::Sale;

pub async fn wrong_amount(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay_silently().await?;
    // In hundredths.
    sale.act("ipn", json!({ "amount": SEAT * 100 })).await?;
    sale.reach(&End { ipn: texts(&["04"]), ..pending() }).await?;
    sale.act("ipn", json!({})).await?;
    Ok(End { ipn: texts(&["04", "00"]), ..sold() })
}

pub async fn forged(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay_silently().await?;
    sale.act("ipn", json!({ "forged": true })).await?;
    sale.reach(&End { ipn: texts(&["97"]), ..pending() }).await?;
    sale.act("ipn", json!({})).await?;
    Ok(End { ipn: texts(&["97", "00"]), ..sold() })
}

pub async fn forged_alone(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.act("ipn", json!({ "forged": true })).await?;
    sale.let_time_run_out().await?;
    Ok(End { ipn: texts(&["97"]), ..cancelled() })
}

//! Nobody tells: VNPAY is asked when the order's time is up.

use super::{End, cancelled, pending, sold};
use crate::sale::Sale;

pub async fn no_callback(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.pay_silently().await?;
    sale.let_time_run_out().await?;
    sale.asked("querydr", "00").await?;
    Ok(End { ipn: Vec::new(), ..sold() })
}

pub async fn nobody_pays(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin().await?;
    sale.let_time_run_out().await?;
    sale.asked("querydr", "00").await?;
    Ok(cancelled())
}

pub async fn page_unopened(sale: &mut Sale) -> anyhow::Result<End> {
    sale.begin_unopened().await?;
    sale.let_time_run_out().await?;
    Ok(cancelled())
}

pub async fn down_paid(sale: &mut Sale) -> anyhow::Result<End> {
    down(sale, true).await?;
    Ok(End { ipn: Vec::new(), ..sold() })
}

pub async fn down_unpaid(sale: &mut Sale) -> anyhow::Result<End> {
    down(sale, false).await?;
    Ok(cancelled())
}

/// VNPAY has no answer when it is asked first, and the order waits.
async fn down(sale: &mut Sale, is_paid: bool) -> anyhow::Result<()> {
    let stage = sale.stage.clone();
    let _alone = stage.alone.write().await;
    sale.begin().await?;
    if is_paid {
        sale.pay_silently().await?;
    }
    stage.till.set("down", true).await?;
    sale.let_time_run_out().await?;
    let asked = sale.asked("querydr", "503").await;
    let waits = sale.reach(&pending()).await;
    stage.till.set("down", false).await?;
    asked.and(waits)
}

//! One of very many buyers: a seat, of three every third a unit too.

use std::{cell::RefCell, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use holdfast::proto::{self, OrderState};
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use super::EVENT;
use crate::{process::until, stage::Stage};

const PATIENCE: Duration = Duration::from_secs(60);

/// An order that was paid, as far as the buyer can know.
pub struct Bought {
    pub order_id: Uuid,
    /// The state that it must end in.
    pub expected: &'static str,
    /// What Confirm answered, where nobody else knows.
    pub confirmed: Option<OrderState>,
    /// The name of the payment at VNPAY.
    pub txn_ref: Option<String>,
}

/// How somebody pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// VNPAY tells.
    Told,
    /// Nobody tells, and the time is up.
    Untold,
    /// VNPAY tells when the hold has run out.
    Late,
    /// As `Late`, and somebody else buys the seat before that.
    Gone,
    /// By Confirm.
    Manual,
    /// VNPAY tells; then all of it is given back.
    GivenBack,
}

impl Way {
    /// Of twenty, one is untold, one late, one too late, one given back, two are manual.
    fn of(n: usize) -> Self {
        match n % 20 {
            9 => Self::Untold,
            13 => Self::Late,
            7 => Self::Gone,
            17 => Self::GivenBack,
            3 | 11 => Self::Manual,
            _ => Self::Told,
        }
    }
}

/// Buys; answers the orders that were paid: that of a rival, too.
pub async fn buy(stage: &Arc<Stage>, n: usize) -> anyhow::Result<Vec<Bought>> {
    let way = Way::of(n);
    let name = format!("buyer-{n}");
    let hold = hold(stage, n, &name, n.is_multiple_of(3)).await?;
    if way == Way::Manual {
        return Ok(vec![buy_by_confirm(stage, &hold).await?]);
    }
    let order = create_order(stage, &hold, "vnpay").await?;
    let order_id: Uuid = order.order.context("an order")?.order_id.parse()?;
    let txn_ref = stage.till.open(&order.payment_url).await?;
    let mut bought = Vec::new();
    if matches!(way, Way::Late | Way::Gone) {
        let_expire(stage, &hold).await?;
    }
    if way == Way::Gone {
        let hold = hold_when_free(stage, n, &format!("rival-{n}")).await?;
        bought.push(buy_by_confirm(stage, &hold).await?);
    }
    let deed = json!({ "ipn": way != Way::Untold, "wait": false });
    stage.till.act(&txn_ref, "pay", &deed).await?;
    if way == Way::Untold {
        const SQL: &str = "-- demo: time
            UPDATE orders SET price_expire_time = now() - interval '1 second'
            WHERE order_id = $1";
        ensure!(stage.postgres.execute(SQL, &[&order_id]).await? == 1, "no such order");
    }
    if way == Way::GivenBack {
        give_back(stage, order_id).await?;
    }
    let expected = match way {
        Way::Gone => "REFUND_DUE",
        Way::GivenBack => "REFUNDED",
        _ => "PAID",
    };
    bought.push(Bought { order_id, expected, confirmed: None, txn_ref: Some(txn_ref) });
    Ok(bought)
}

fn hold_request(n: usize, holder_id: &str, with_unit: bool) -> proto::HoldRequest {
    let unit = proto::AreaQuantity { area_id: "floor".to_owned(), quantity: 1 };
    proto::HoldRequest {
        event_id: EVENT.to_owned(),
        holder_id: holder_id.to_owned(),
        hold_id: Uuid::now_v7().to_string(),
        seat_ids: vec![format!("{}-{}", n / 10 + 1, n % 10 + 1)],
        areas: if with_unit { vec![unit] } else { Vec::new() },
        ttl: None,
        ..Default::default()
    }
}

async fn hold(
    stage: &Stage,
    n: usize,
    holder_id: &str,
    with_unit: bool,
) -> anyhow::Result<proto::Hold> {
    let request = hold_request(n, holder_id, with_unit);
    let answer = stage
        .call("Hold", async |server| server.reservations.clone().hold(request.clone()).await)
        .await?;
    answer.hold.context("a hold")
}

/// The seat of somebody whose hold runs out.
async fn hold_when_free(stage: &Stage, n: usize, holder_id: &str) -> anyhow::Result<proto::Hold> {
    let request = hold_request(n, holder_id, false);
    let last = RefCell::new(None);
    let held = until("the seat is free", PATIENCE, async || {
        let answer = stage
            .call("Hold", async |server| server.reservations.clone().hold(request.clone()).await);
        match answer.await {
            Ok(answer) => answer.hold,
            Err(error) => {
                last.replace(Some(error));
                None
            }
        }
    });
    held.await.with_context(|| format!("at last {:?}", last.borrow()))
}

async fn create_order(
    stage: &Stage,
    hold: &proto::Hold,
    provider: &str,
) -> anyhow::Result<proto::CreateOrderResponse> {
    let request = proto::CreateOrderRequest {
        event_id: EVENT.to_owned(),
        hold_id: hold.hold_id.clone(),
        holder_id: hold.holder_id.clone(),
        payment_provider: provider.to_owned(),
        buyer: Some(proto::Buyer {
            name: hold.holder_id.clone(),
            email: format!("{}@crowd.example", hold.holder_id),
            language: ["en", "vi", "ko"][fastrand::usize(..3)].to_owned(),
        }),
        ..proto::CreateOrderRequest::default()
    };
    let answer = stage.call("CreateOrder", async |server| {
        server.checkout.clone().create_order(request.clone()).await
    });
    answer.await
}

async fn buy_by_confirm(stage: &Stage, hold: &proto::Hold) -> anyhow::Result<Bought> {
    create_order(stage, hold, "manual").await?;
    let request = proto::ConfirmRequest {
        event_id: EVENT.to_owned(),
        hold_id: hold.hold_id.clone(),
        holder_id: hold.holder_id.clone(),
        payment_reference: format!("paid-{}", hold.hold_id),
    };
    let answer = stage
        .call("Confirm", async |server| server.reservations.clone().confirm(request.clone()).await);
    let order = answer.await?.order.context("an order")?;
    let confirmed = Some(order.state());
    Ok(Bought { order_id: order.order_id.parse()?, expected: "PAID", confirmed, txn_ref: None })
}

/// Waits until an order is paid, and gives all of it back.
async fn give_back(stage: &Stage, order_id: Uuid) -> anyhow::Result<()> {
    let order_id = order_id.to_string();
    let request = proto::GetOrderRequest { order_id: order_id.clone() };
    until("the order is paid", PATIENCE, async || {
        let answer = stage.call("GetOrder", async |server| {
            server.checkout.clone().get_order(request.clone()).await
        });
        let order = answer.await.ok()?.order?;
        (order.state() == OrderState::Paid).then_some(())
    })
    .await?;
    let request = proto::RefundOrderRequest {
        order_id,
        refund_id: Uuid::now_v7().to_string(),
        actor: "box office".to_owned(),
        reason: "a demo".to_owned(),
        ..proto::RefundOrderRequest::default()
    };
    let answer = stage.call("RefundOrder", async |server| {
        server.checkout.clone().refund_order(request.clone()).await
    });
    answer.await.map(|_| ())
}

async fn let_expire(stage: &Stage, hold: &proto::Hold) -> anyhow::Result<()> {
    let request = proto::ExtendHoldRequest {
        event_id: EVENT.to_owned(),
        hold_id: hold.hold_id.clone(),
        holder_id: hold.holder_id.clone(),
        ttl: Duration::from_millis(1).try_into().ok(),
    };
    let answer = stage.call("ExtendHold", async |server| {
        let answer = server.reservations.clone().extend_hold(request.clone()).await;
        match answer {
            // It was cut short before, by a call whose answer got lost.
            Err(status) if status.code() == Code::FailedPrecondition => {
                Ok(tonic::Response::new(proto::ExtendHoldResponse::default()))
            }
            answer => answer,
        }
    });
    answer.await.map(|_| ())
}

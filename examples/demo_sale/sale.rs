//! A buyer, their order, and all that can befall it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use holdfast::proto::{self, HoldState, SeatStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    end::{End, Traces},
    letters::BUYERS,
    process::until,
    stage::Stage,
    till::location,
    watch::Watch,
};

/// Of a seat, and of a unit of an area, in dong.
pub const SEAT: i64 = 500_000;
pub const UNIT: i64 = 250_000;
/// Two seats and two units.
pub const TOTAL: i64 = 2 * SEAT + 2 * UNIT;
/// Units of each case's area.
pub const UNITS: i32 = 4;
/// Where buyers of this demo are sent after paying.
pub const RETURN_URL: &str = "https://shop.example/thanks?lang=vi";

const PATIENCE: Duration = Duration::from_secs(30);

/// One case's order: seats `<case>-1` and `<case>-2`, and two units of area `<case>`.
pub struct Sale {
    pub stage: Arc<Stage>,
    pub watch: Watch,
    pub name: &'static str,
    event_id: String,
    pub traces: Traces,
    hold: proto::Hold,
    pub order: proto::Order,
    /// What this demo saw itself, and should not have.
    pub wrong: Vec<String>,
}

impl Sale {
    pub fn new(stage: Arc<Stage>, watch: Watch, event_id: &str, name: &'static str) -> Self {
        let seats = vec![format!("{name}-1"), format!("{name}-2")];
        Self {
            stage,
            watch,
            name,
            event_id: event_id.to_owned(),
            traces: Traces { seats, area: name.to_owned(), ..Traces::default() },
            hold: proto::Hold::default(),
            order: proto::Order::default(),
            wrong: Vec::new(),
        }
    }

    /// Holds the places, orders, and opens the page where they are paid.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        self.begin_with("vnpay").await
    }

    /// Orders, and never opens the page.
    pub async fn begin_unopened(&mut self) -> anyhow::Result<()> {
        self.hold_places().await?;
        self.create_order("vnpay").await.map(|_| ())
    }

    pub async fn begin_with(&mut self, provider: &str) -> anyhow::Result<()> {
        self.hold_places().await?;
        self.order_by(provider).await
    }

    async fn hold_places(&mut self) -> anyhow::Result<()> {
        let areas = vec![proto::AreaQuantity { area_id: self.traces.area.clone(), quantity: 2 }];
        self.hold = self.hold(self.name, &self.traces.seats, areas).await?;
        self.traces.hold_id.clone_from(&self.hold.hold_id);
        Ok(())
    }

    /// Orders, or asks again where to pay; opens the page.
    pub async fn order_by(&mut self, provider: &str) -> anyhow::Result<()> {
        let payment_url = self.create_order(provider).await?;
        if !payment_url.is_empty() {
            let txn_ref = self.stage.till.open(&payment_url).await?;
            self.traces.txn_refs.push(txn_ref);
        }
        Ok(())
    }

    async fn create_order(&mut self, provider: &str) -> anyhow::Result<String> {
        let request = proto::CreateOrderRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.hold_id.clone(),
            holder_id: self.name.to_owned(),
            payment_provider: provider.to_owned(),
            buyer: Some(proto::Buyer {
                name: format!("Buyer of {}", self.name),
                email: format!("buyer-of-{}{BUYERS}", self.name),
                language: "vi".to_owned(),
            }),
            return_url: RETURN_URL.to_owned(),
            client_ip: "203.0.113.7".to_owned(),
        };
        let answer = self.stage.call("CreateOrder", async |server| {
            server.checkout.clone().create_order(request.clone()).await
        });
        let answer = answer.await?;
        self.order = answer.order.context("an order")?;
        self.traces.order_id.clone_from(&self.order.order_id);
        Ok(answer.payment_url)
    }

    /// Somebody else takes a seat of this sale.
    pub async fn rival_takes(&self, seat_id: &str) -> anyhow::Result<()> {
        let seats = [seat_id.to_owned()];
        self.hold(&format!("rival-of-{}", self.name), &seats, Vec::new()).await.map(|_| ())
    }

    async fn hold(
        &self,
        holder_id: &str,
        seat_ids: &[String],
        areas: Vec<proto::AreaQuantity>,
    ) -> anyhow::Result<proto::Hold> {
        let request = proto::HoldRequest {
            event_id: self.event_id.clone(),
            holder_id: holder_id.to_owned(),
            hold_id: Uuid::now_v7().to_string(),
            seat_ids: seat_ids.to_vec(),
            areas,
            ttl: None,
            ..Default::default()
        };
        let answer = self
            .stage
            .call("Hold", async |server| server.reservations.clone().hold(request.clone()).await);
        answer.await?.hold.context("a hold")
    }

    /// The hold runs out before it is paid.
    pub async fn let_hold_expire(&self) -> anyhow::Result<()> {
        let request = proto::ExtendHoldRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.hold_id.clone(),
            holder_id: self.name.to_owned(),
            ttl: Duration::from_millis(1).try_into().ok(),
        };
        self.stage
            .call("ExtendHold", async |server| {
                server.reservations.clone().extend_hold(request.clone()).await
            })
            .await?;
        let request = proto::GetHoldRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.hold_id.clone(),
        };
        until("the hold runs out", PATIENCE, async || {
            let answer = self.stage.servers[0].reservations.clone().get_hold(request.clone()).await;
            let hold = answer.ok()?.into_inner().hold?;
            (hold.state() == HoldState::Expired).then_some(())
        })
        .await?;
        until("its seats are free on the stream", PATIENCE, async || {
            let is_free = |seat: &String| self.watch.status(seat) == Some(SeatStatus::Available);
            self.traces.seats.iter().all(is_free).then_some(())
        })
        .await
    }

    /// The order's time is up: there alone this demo turns the clock.
    pub async fn let_time_run_out(&self) -> anyhow::Result<()> {
        const SQL: &str = "-- demo: time
            UPDATE orders SET price_expire_time = now() - interval '1 second'
            WHERE order_id = $1";
        let order_id: Uuid = self.order.order_id.parse()?;
        ensure!(self.stage.postgres.execute(SQL, &[&order_id]).await? == 1, "no such order");
        Ok(())
    }

    /// How the payment that was begun last is called.
    pub fn txn_ref(&self) -> anyhow::Result<&str> {
        Ok(self.traces.txn_refs.last().context("no payment was begun")?)
    }

    /// Has something happen at VNPAY, such as `pay`.
    pub async fn act(&self, verb: &str, body: Value) -> anyhow::Result<()> {
        self.stage.till.act(self.txn_ref()?, verb, &body).await.map(|_| ())
    }

    /// Pays, and VNPAY tells a server of it.
    pub async fn pay(&self) -> anyhow::Result<()> {
        self.act("pay", json!({})).await
    }

    /// Pays, and nobody is told.
    pub async fn pay_silently(&self) -> anyhow::Result<()> {
        self.act("pay", json!({ "ipn": false })).await
    }

    /// Waits until VNPAY has answered a call of a server's so.
    pub async fn asked(&self, command: &str, code: &str) -> anyhow::Result<()> {
        let what = format!("{command} is answered {code}");
        until(&what, PATIENCE, async || {
            let known = self.stage.till.known(self.txn_ref().ok()?).await.ok()?;
            let asked = known["asked"].as_array()?;
            let is_it = |asked: &Value| asked["command"] == command && asked["code"] == code;
            asked.iter().any(is_it).then_some(())
        })
        .await
    }

    /// The buyer's browser comes back from VNPAY; answers which state of the order the
    /// shop is told.
    pub async fn come_back(&self) -> anyhow::Result<String> {
        let url = self.stage.till.return_url(self.txn_ref()?).await?;
        self.come_back_to(&url).await
    }

    pub async fn come_back_to(&self, url: &str) -> anyhow::Result<String> {
        let on_to = location(&self.stage.http.get(url).send().await?)?;
        let order_id = &self.order.order_id;
        let told = on_to.strip_prefix(&format!("{RETURN_URL}&order_id={order_id}&order_state="));
        Ok(told.with_context(|| format!("the browser is sent to {on_to}"))?.to_owned())
    }

    pub async fn confirm(&self, payment_reference: &str) -> anyhow::Result<proto::Order> {
        let request = proto::ConfirmRequest {
            event_id: self.event_id.clone(),
            hold_id: self.hold.hold_id.clone(),
            holder_id: self.name.to_owned(),
            payment_reference: payment_reference.to_owned(),
        };
        let answer = self.stage.call("Confirm", async |server| {
            server.reservations.clone().confirm(request.clone()).await
        });
        answer.await?.order.context("an order")
    }

    pub async fn cancel(&self) -> anyhow::Result<()> {
        let request = proto::CancelOrderRequest {
            order_id: self.order.order_id.clone(),
            actor: self.name.to_owned(),
            reason: "changed their mind".to_owned(),
        };
        let answer = self.stage.call("CancelOrder", async |server| {
            server.checkout.clone().cancel_order(request.clone()).await
        });
        answer.await.map(|_| ())
    }

    /// Gives back these tickets, or all of the order.
    pub async fn refund(&self, ticket_ids: Vec<String>) -> anyhow::Result<()> {
        self.refund_by(&Uuid::now_v7().to_string(), ticket_ids).await
    }

    /// Asks for the one refund that the contract tells of, by its own id.
    pub async fn refund_again(&self) -> anyhow::Result<()> {
        let refunds = self.get().await?.refunds;
        let refund = refunds.first().context("a refund")?;
        self.refund_by(&refund.refund_id, Vec::new()).await
    }

    async fn refund_by(&self, refund_id: &str, ticket_ids: Vec<String>) -> anyhow::Result<()> {
        let request = proto::RefundOrderRequest {
            order_id: self.order.order_id.clone(),
            refund_id: refund_id.to_owned(),
            ticket_ids,
            actor: "box office".to_owned(),
            reason: "a demo".to_owned(),
        };
        let answer = self.stage.call("RefundOrder", async |server| {
            server.checkout.clone().refund_order(request.clone()).await
        });
        answer.await.map(|_| ())
    }

    /// The order as the contract tells it.
    pub async fn get(&self) -> anyhow::Result<proto::GetOrderResponse> {
        let request = proto::GetOrderRequest { order_id: self.order.order_id.clone() };
        let answer = self.stage.call("GetOrder", async |server| {
            server.checkout.clone().get_order(request.clone()).await
        });
        answer.await
    }

    /// Waits until Postgres, the stream and VNPAY say what is expected by then.
    pub async fn reach(&self, expected: &End) -> anyhow::Result<()> {
        let found = until("the state expected by then", PATIENCE, async || {
            let found = End::find(&self.stage, &self.watch, &self.traces).await.ok()?;
            found.fits(expected).then_some(())
        });
        if let Err(error) = found.await {
            let found = End::find(&self.stage, &self.watch, &self.traces).await?;
            return Err(error.context(format!("found {found:?}, not {expected:?}")));
        }
        Ok(())
    }

    /// Notes what should not be.
    pub fn check<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            self.wrong.push(format!("{what}: {found:?}, not {expected:?}"));
        }
    }
}

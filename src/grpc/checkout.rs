//! CheckoutService: decode, call one flow, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    decode, encode,
    mine::{is_bound, is_his, mine},
    page_token,
};
use crate::{
    domain::Refusal,
    flow::{Error, Flows},
    proto::{self, checkout_service_server::CheckoutService},
};

/// The service.
pub struct Checkout {
    pub flows: Arc<Flows>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl CheckoutService for Checkout {
    async fn create_order(
        &self,
        request: Request<proto::CreateOrderRequest>,
    ) -> Answer<proto::CreateOrderResponse> {
        let request = decode::create_order(mine(request)?)?;
        let flows = self.flows.clone();
        let made = self.flows.carry_through(async move { flows.create_order(request).await });
        Ok(Response::new(encode::order_to_pay(made.await?)))
    }

    async fn get_order(
        &self,
        request: Request<proto::GetOrderRequest>,
    ) -> Answer<proto::GetOrderResponse> {
        let order_id = decode::get_order(request.get_ref())?;
        let found = self.flows.get_order(order_id).await.map_err(Error::of_a_read)?;
        let (order, payments, refunds) = found;
        if !is_his(request.extensions(), &order.holder_id) {
            return Err(Refusal::OrderNotFound(order_id).into());
        }
        Ok(Response::new(proto::GetOrderResponse {
            order: Some(encode::order(order)),
            payments: payments.into_iter().map(encode::payment).collect(),
            refunds: refunds.into_iter().map(encode::refund).collect(),
        }))
    }

    async fn list_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> Answer<proto::ListOrdersResponse> {
        let (filter, page_size) = decode::list_orders(&mine(request)?)?;
        let page = self.flows.list_orders(&filter, page_size).await.map_err(Error::of_a_read)?;
        let (orders, next) = page;
        Ok(Response::new(proto::ListOrdersResponse {
            orders: orders.into_iter().map(encode::order).collect(),
            next_page_token: next.map(page_token::encode_order).unwrap_or_default(),
        }))
    }

    async fn cancel_order(
        &self,
        request: Request<proto::CancelOrderRequest>,
    ) -> Answer<proto::CancelOrderResponse> {
        let (_, extensions, request) = request.into_parts();
        let request = decode::cancel_order(request)?;
        if is_bound(&extensions) {
            let found = self.flows.get_order(request.order_id).await.map_err(Error::of_a_read)?;
            if !is_his(&extensions, &found.0.holder_id) {
                return Err(Refusal::OrderNotFound(request.order_id).into());
            }
        }
        let flows = self.flows.clone();
        let cancelled = self.flows.carry_through(async move { flows.cancel_order(request).await });
        let order = Some(encode::order(cancelled.await?));
        Ok(Response::new(proto::CancelOrderResponse { order }))
    }

    async fn refund_order(
        &self,
        request: Request<proto::RefundOrderRequest>,
    ) -> Answer<proto::RefundOrderResponse> {
        let request = decode::refund_order(request.into_inner())?;
        let flows = self.flows.clone();
        let refunded = self.flows.carry_through(async move { flows.refund_order(request).await });
        let (order, refund) = refunded.await?;
        let (order, refund) = (Some(encode::order(order)), Some(encode::refund(refund)));
        Ok(Response::new(proto::RefundOrderResponse { order, refund }))
    }
}

//! GetOrder and ListOrders: orders as they are now.

use super::{Error, Flows};
use crate::domain::{Order, OrderFilter, OrderId, Payment, Refund};

impl Flows {
    /// An order, the attempts to pay it, and what was given back of it.
    pub async fn get_order(
        &self,
        order_id: OrderId,
    ) -> Result<(Order, Vec<Payment>, Vec<Refund>), Error> {
        let _span = crate::telemetry::flow("get_order");
        let order = self.order(order_id).await?;
        let payments = self.ledger.payments_of_order(order_id).await?;
        let refunds = self.ledger.refunds_of_order(order_id).await?;
        Ok((order, payments, refunds))
    }

    /// A page of orders, and the last one of it where there may be another page.
    pub async fn list_orders(
        &self,
        filter: &OrderFilter,
        page_size: u32,
    ) -> Result<(Vec<Order>, Option<OrderId>), Error> {
        let _span = crate::telemetry::flow("list_orders");
        // One more than asked for tells whether there is another page.
        let mut orders = self.ledger.list_orders(filter, page_size + 1).await?;
        let more = orders.len() > page_size as usize;
        orders.truncate(page_size as usize);
        let last = orders.last().filter(|_| more).map(|order| order.order_id);
        Ok((orders, last))
    }
}

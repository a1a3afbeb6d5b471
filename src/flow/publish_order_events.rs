//! What was committed is numbered, and whoever wants it is to be told.

use super::{Error, Flows};
use crate::domain::OrderEventKind;

/// Of these, buyers with an address are written a letter.
const BY_MAIL: [OrderEventKind; 3] =
    [OrderEventKind::OrderPaid, OrderEventKind::OrderCancelled, OrderEventKind::OrderRefunded];

impl Flows {
    /// Numbers all order events that were committed, and makes their deliveries.
    pub async fn publish_order_events(&self) -> Result<(), Error> {
        // 1. One transaction at a time gives numbers, at all servers together; so those
        //    who wait here at least do not wait with a session.
        let turn = self.couriers.publishing.lock().await;
        let by_mail = if self.couriers.mail.is_some() { &BY_MAIL[..] } else { &[] };
        let mut has_deliveries = false;
        loop {
            let published = self.ledger.publish_order_events(by_mail).await?;
            has_deliveries |= published.deliveries > 0;
            if !published.is_full {
                break;
            }
        }
        drop(turn);
        // 2. Only after that commit is there anything to claim, or to stream.
        if has_deliveries {
            self.couriers.due.notify_one();
        }
        self.follow_order_events().await
    }
}

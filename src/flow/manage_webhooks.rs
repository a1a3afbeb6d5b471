//! ListWebhooks, DeleteWebhook, ReplayWebhook, ListDeadLetters, RetryDeadLetters.

use super::{Error, Flows};
use crate::{
    domain::{DeadLetter, Refusal, Webhook, WebhookId},
    ledger::Replayed,
};

/// A page of dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetterPaging {
    /// Only of this webhook.
    pub webhook_id: Option<WebhookId>,
    pub page_size: u32,
    /// The last one of the page before.
    pub before: Option<i64>,
}

impl Flows {
    /// All of them, the oldest first.
    pub async fn list_webhooks(&self) -> Result<Vec<Webhook>, Error> {
        let _span = crate::telemetry::flow("list_webhooks");
        Ok(self.ledger.list_webhooks().await?)
    }

    /// Forgets a webhook, and what it was still to be told.
    pub async fn delete_webhook(&self, webhook_id: WebhookId) -> Result<(), Error> {
        let _span = crate::telemetry::flow("delete_webhook");
        match self.ledger.delete_webhook(webhook_id).await? {
            true => Ok(()),
            false => Err(Refusal::WebhookNotFound(webhook_id).into()),
        }
    }

    /// Tells a webhook again what comes after a number.
    pub async fn replay_webhook(
        &self,
        webhook_id: WebhookId,
        after: i64,
    ) -> Result<Replayed, Error> {
        let _span = crate::telemetry::flow("replay_webhook");
        let replayed = self.ledger.replay_webhook(webhook_id, after).await?;
        let replayed = replayed.ok_or(Refusal::WebhookNotFound(webhook_id))?;
        self.couriers.due.notify_one();
        Ok(replayed)
    }

    /// A page of dead letters, the latest first, and the last of them where there are
    /// more.
    pub async fn list_dead_letters(
        &self,
        paging: &DeadLetterPaging,
    ) -> Result<(Vec<DeadLetter>, Option<i64>), Error> {
        let _span = crate::telemetry::flow("list_dead_letters");
        let DeadLetterPaging { webhook_id, page_size, before } = *paging;
        let mut page = self.ledger.list_dead_letters(webhook_id, before, page_size + 1).await?;
        let more = page.len() > page_size as usize;
        page.truncate(page_size as usize);
        let last = page.last().map(|letter| letter.delivery_id).filter(|_| more);
        Ok((page, last))
    }

    /// Makes dead letters due again: these, or all; answers how many.
    pub async fn retry_dead_letters(
        &self,
        webhook_id: Option<WebhookId>,
        delivery_ids: &[i64],
    ) -> Result<usize, Error> {
        let _span = crate::telemetry::flow("retry_dead_letters");
        let retried = self.ledger.retry_dead_letters(webhook_id, delivery_ids).await?;
        self.couriers.due.notify_one();
        Ok(retried)
    }

    /// Tells the metrics how much is on its way.
    pub async fn measure_deliveries(&self) -> Result<crate::ledger::DeliveryCounts, Error> {
        Ok(self.ledger.count_deliveries().await?)
    }
}

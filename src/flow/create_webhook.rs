//! CreateWebhook: a URL that is told of order events.

use super::{Error, Flows};
use crate::{
    domain::{Refusal, Wanted, Webhook, WebhookId},
    ledger::NewWebhook,
    webhooks,
};

/// A webhook as somebody asks for it.
#[derive(Debug, Clone)]
pub struct CreateWebhookRequest {
    pub url: String,
    pub wanted: Wanted,
}

impl Flows {
    /// Makes a webhook; answers it, and its secret as it is told.
    pub async fn create_webhook(
        &self,
        CreateWebhookRequest { url, wanted }: CreateWebhookRequest,
    ) -> Result<(Webhook, String), Error> {
        let _span = crate::telemetry::flow("create_webhook");
        let secret = webhooks::new_secret().map_err(|error| Error::internal(error.to_string()))?;
        let webhook_id = WebhookId::new_v7();
        match self.ledger.create_webhook(webhook_id, &url, &wanted, &secret).await? {
            NewWebhook::Made(webhook) => Ok((webhook, webhooks::printed_secret(&secret))),
            NewWebhook::TooMany => Err(Refusal::TooManyWebhooks.into()),
            NewWebhook::NoEvent => Err(match wanted.event_id {
                Some(event_id) => Refusal::EventNotFound(event_id).into(),
                None => Error::internal("a webhook of no event has none"),
            }),
        }
    }

    /// Whether a webhook can have this URL.
    pub fn is_webhook_url(url: &str) -> bool {
        webhooks::is_url(url)
    }
}

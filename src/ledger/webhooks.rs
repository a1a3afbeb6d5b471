//! Webhooks: URLs that are told of order events.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{Error, Ledger, columns::parse, order_events::lock_numbering_in_tx, session::Params};
use crate::{
    domain::{EventId, Wanted, Webhook, WebhookId},
    limits::{MAX_REPLAYED, MAX_WEBHOOKS},
};

/// What became of a webhook that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewWebhook {
    Made(Webhook),
    /// There are [`MAX_WEBHOOKS`] already.
    TooMany,
    /// Its event does not exist.
    NoEvent,
}

/// What a replay has made due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    pub deliveries: usize,
    /// All up to this number are due; a further call goes on after it.
    pub to: i64,
    /// There is nothing after it.
    pub is_all: bool,
}

/// The columns of a webhook `w`, for [`webhook_from_row`].
macro_rules! webhook_columns {
    () => {
        "w.webhook_id, w.url, w.kinds, w.event_id, w.secret, w.create_time"
    };
}
pub(super) use webhook_columns;

impl Ledger {
    /// Makes a webhook, which is told of what is numbered from then on.
    pub async fn create_webhook(
        &self,
        webhook_id: WebhookId,
        url: &str,
        wanted: &Wanted,
        secret: &[u8],
    ) -> Result<NewWebhook, Error> {
        const SQL: &str = concat!(
            "-- create_webhook
            INSERT INTO webhooks AS w (webhook_id, url, kinds, event_id, secret)
            SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM webhooks) < $6
            RETURNING ",
            webhook_columns!()
        );
        let kinds: Vec<&str> = wanted.kinds.iter().map(|kind| kind.as_str()).collect();
        let (kinds, event_id) = (&kinds, wanted.event_id.as_ref().map(EventId::as_str));
        let made = self.run_tx(|tx| {
            Box::pin(async move {
                lock_numbering_in_tx(tx).await?;
                let params: Params<'_> =
                    &[&webhook_id.0, &url, kinds, &event_id, &secret, &MAX_WEBHOOKS];
                tx.query_opt(SQL, params).await
            })
        });
        match made.await {
            Ok(Some(row)) => Ok(NewWebhook::Made(webhook_from_row(&row, 0)?)),
            Ok(None) => Ok(NewWebhook::TooMany),
            Err(Error::Constraint { constraint, .. }) if constraint == "webhooks_event_id_fkey" => {
                Ok(NewWebhook::NoEvent)
            }
            Err(error) => Err(error),
        }
    }

    /// All webhooks, the oldest first.
    pub async fn list_webhooks(&self) -> Result<Vec<Webhook>, Error> {
        const SQL: &str = concat!(
            "-- list_webhooks
            SELECT ",
            webhook_columns!(),
            " FROM webhooks w ORDER BY webhook_id"
        );
        self.query(SQL, &[]).await?.iter().map(|row| webhook_from_row(row, 0)).collect()
    }

    /// Forgets a webhook and what it was still to be told. Answers whether it was there.
    pub async fn delete_webhook(&self, webhook_id: WebhookId) -> Result<bool, Error> {
        const SQL: &str = "-- delete_webhook
            DELETE FROM webhooks WHERE webhook_id = $1 RETURNING webhook_id";
        self.run_tx(|tx| {
            Box::pin(async move {
                // Or a delivery could be made for what is not there any more.
                lock_numbering_in_tx(tx).await?;
                Ok(tx.query_opt(SQL, &[&webhook_id.0]).await?.is_some())
            })
        })
        .await
    }

    /// Makes all that a webhook wants after a number due again, of [`MAX_REPLAYED`]
    /// numbers at most; `None` where there is no such webhook.
    pub async fn replay_webhook(
        &self,
        webhook_id: WebhookId,
        after: i64,
    ) -> Result<Option<Replayed>, Error> {
        const SQL: &str = "-- replay_webhook
            WITH bounds AS (
                SELECT least($3, last) AS upper, last
                FROM (SELECT coalesce(max(sequence), 0) AS last FROM order_events) l
            ), made AS (
                INSERT INTO deliveries (order_event_id, webhook_id)
                SELECT order_event_id, webhook_id FROM bounds, order_events e JOIN webhooks w
                    ON (w.kinds = '{}' OR e.kind = ANY(w.kinds))
                    AND (w.event_id IS NULL OR w.event_id = e.event_id)
                WHERE webhook_id = $1 AND sequence > $2 AND sequence <= upper
                ORDER BY sequence
                ON CONFLICT (webhook_id, order_event_id) WHERE webhook_id IS NOT NULL
                DO UPDATE SET state = 'DUE', attempts = 0, next_time = now(), end_time = NULL,
                    last_error = NULL
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM made), upper, upper = last OR $2 >= last
            FROM bounds, webhooks WHERE webhook_id = $1";
        let upper = after.saturating_add(MAX_REPLAYED);
        let row = self.run_tx(|tx| {
            Box::pin(async move {
                lock_numbering_in_tx(tx).await?;
                tx.query_opt(SQL, &[&webhook_id.0, &after, &upper]).await
            })
        });
        Ok(row.await?.map(|row| Replayed {
            deliveries: usize::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
            to: row.get::<_, i64>(1).max(after),
            is_all: row.get(2),
        }))
    }
}

/// From the columns of [`webhook_columns`], the first of them at `at`.
pub(super) fn webhook_from_row(row: &Row, at: usize) -> Result<Webhook, Error> {
    let kinds: Vec<&str> = row.get(at + 2);
    Ok(Webhook {
        webhook_id: WebhookId(row.get::<_, Uuid>(at)),
        url: row.get(at + 1),
        wanted: Wanted {
            kinds: kinds.into_iter().map(parse).collect::<Result<_, _>>()?,
            event_id: row.get::<_, Option<&str>>(at + 3).map(parse).transpose()?,
        },
        secret: row.get(at + 4),
        create_time: row.get(at + 5),
    })
}

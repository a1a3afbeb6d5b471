//! Deliveries: who is still to be told of which order event.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::to_u32,
    order_events::{order_event_columns, order_event_from_row},
    session::Params,
    webhooks::{webhook_columns, webhook_from_row},
};
use crate::{
    domain::{DeadLetter, OrderEvent, Target, Undelivered, Webhook, WebhookId},
    limits::{
        CALLS_OF_A_WEBHOOK, DELIVERIES_FORGOTTEN, DELIVERIES_KEPT, DELIVERY_BACKOFF,
        DELIVERY_LEASE, MAX_DEAD_LETTERS_RETRIED, MAX_DELIVERY_ATTEMPTS, MAX_DELIVERY_BACKOFF,
    },
};

/// A delivery that this server has claimed for [`DELIVERY_LEASE`].
#[derive(Debug, Clone)]
pub struct Delivery {
    pub delivery_id: i64,
    pub event: OrderEvent,
    /// Which try this is, from 1 up. It tells this claim from a later one.
    pub attempt: i32,
    /// `None`: e-mail to the buyer.
    pub webhook: Option<Webhook>,
}

impl Delivery {
    pub fn target(&self) -> Target {
        self.webhook.as_ref().map_or(Target::Mail, |webhook| Target::Webhook(webhook.webhook_id))
    }
}

/// How much is on its way, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Order events without a number.
    pub unpublished: i64,
    pub mails_due: i64,
    pub calls_due: i64,
    pub mails_dead: i64,
    pub calls_dead: i64,
}

impl Ledger {
    /// Claims mails that are due, so many at most. What is claimed is found by index, as
    /// an array: a join could be planned to read the whole table.
    pub async fn claim_mails(&self, limit: i64) -> Result<Vec<Delivery>, Error> {
        const SQL: &str = concat!(
            "-- claim_mails
            WITH claimed AS (
                UPDATE deliveries
                SET attempts = attempts + 1, next_time = now() + $1 * interval '1 second'
                WHERE delivery_id = ANY(ARRAY(
                    SELECT delivery_id FROM deliveries
                    WHERE state = 'DUE' AND webhook_id IS NULL AND next_time <= now()
                    ORDER BY next_time, delivery_id LIMIT $2 FOR UPDATE SKIP LOCKED))
                RETURNING delivery_id, order_event_id, attempts
            )
            SELECT delivery_id, attempts, ",
            order_event_columns!(),
            " FROM claimed JOIN order_events e USING (order_event_id) ORDER BY e.sequence"
        );
        let rows = self.query(SQL, &[&DELIVERY_LEASE.as_secs_f64(), &limit]).await?;
        rows.iter().map(|row| delivery_from_row(row, None)).collect()
    }

    /// Claims calls of webhooks that are due. Each webhook has room of its own, so that
    /// none waits for another: `busy` are those that have less than all of it, and how
    /// much.
    pub async fn claim_calls(&self, busy: &[(WebhookId, i64)]) -> Result<Vec<Delivery>, Error> {
        const SQL: &str = concat!(
            "-- claim_calls
            WITH rooms AS (
                SELECT webhook_id, coalesce(room, $4) AS room FROM webhooks
                    LEFT JOIN unnest($2::uuid[], $3::bigint[]) AS b (webhook_id, room)
                    USING (webhook_id)
            ), claimed AS (
                UPDATE deliveries
                SET attempts = attempts + 1, next_time = now() + $1 * interval '1 second'
                WHERE delivery_id = ANY(ARRAY(
                    SELECT delivery_id FROM rooms r CROSS JOIN LATERAL (
                        SELECT delivery_id FROM deliveries
                        WHERE state = 'DUE' AND webhook_id = r.webhook_id AND next_time <= now()
                        ORDER BY next_time, delivery_id LIMIT r.room FOR UPDATE SKIP LOCKED) d))
                RETURNING delivery_id, order_event_id, attempts, webhook_id
            )
            SELECT delivery_id, attempts, ",
            order_event_columns!(),
            ", ",
            webhook_columns!(),
            " FROM claimed JOIN order_events e USING (order_event_id)
                JOIN webhooks w USING (webhook_id)
            ORDER BY e.sequence"
        );
        let (ids, rooms): (Vec<Uuid>, Vec<i64>) =
            busy.iter().map(|(id, room)| (id.0, room)).unzip();
        let params: Params<'_> =
            &[&DELIVERY_LEASE.as_secs_f64(), &ids, &rooms, &CALLS_OF_A_WEBHOOK];
        let rows = self.query(SQL, params).await?;
        rows.iter().map(|row| delivery_from_row(row, Some(webhook_from_row(row, 9)?))).collect()
    }

    /// Notes that a delivery was made.
    pub async fn finish_delivery(&self, delivery: &Delivery) -> Result<(), Error> {
        const SQL: &str = "-- finish_delivery
            UPDATE deliveries SET state = 'DONE', end_time = now(), last_error = NULL
            WHERE delivery_id = $1 AND attempts = $2 AND state = 'DUE'";
        self.query(SQL, &[&delivery.delivery_id, &delivery.attempt]).await?;
        Ok(())
    }

    /// Notes that a try failed. Answers whether it was the last one.
    ///
    /// The next one comes at a random time up to an exponential bound: `full jitter`, as
    /// measured best for many that compete by M. Brooker, "Exponential Backoff And
    /// Jitter", AWS Architecture Blog, 2015.
    pub async fn fail_delivery(
        &self,
        delivery: &Delivery,
        failure: &Undelivered,
    ) -> Result<bool, Error> {
        const SQL: &str = "-- fail_delivery
            UPDATE deliveries SET last_error = $3,
                state = CASE WHEN is_last THEN 'DEAD' ELSE 'DUE' END,
                end_time = CASE WHEN is_last THEN now() END,
                next_time = now() + random() * interval '1 second'
                    * least($5::float8, $6::float8 * 2.0 ^ (attempts - 1))
            FROM (SELECT $4 OR $2::int >= $7::int AS is_last) l
            WHERE delivery_id = $1 AND attempts = $2 AND state = 'DUE'
            RETURNING is_last";
        let params: Params<'_> = &[
            &delivery.delivery_id,
            &delivery.attempt,
            &failure.why,
            &failure.is_final,
            &MAX_DELIVERY_BACKOFF.as_secs_f64(),
            &DELIVERY_BACKOFF.as_secs_f64(),
            &MAX_DELIVERY_ATTEMPTS,
        ];
        let row = self.query_opt(SQL, params).await?;
        Ok(row.is_some_and(|row| row.get(0)))
    }

    /// Dead letters, the latest first: of one webhook, or all; older than one, or all.
    pub async fn list_dead_letters(
        &self,
        webhook_id: Option<WebhookId>,
        before: Option<i64>,
        page_size: u32,
    ) -> Result<Vec<DeadLetter>, Error> {
        const SQL: &str = concat!(
            "-- list_dead_letters
            SELECT delivery_id, attempts, ",
            order_event_columns!(),
            ", webhook_id, coalesce(last_error, ''), end_time
            FROM deliveries d JOIN order_events e USING (order_event_id)
            WHERE state = 'DEAD' AND ($1::uuid IS NULL OR webhook_id = $1)
                AND ($2::bigint IS NULL OR delivery_id < $2)
            ORDER BY delivery_id DESC LIMIT $3"
        );
        let params: Params<'_> = &[&webhook_id.map(|id| id.0), &before, &i64::from(page_size)];
        let rows = self.query(SQL, params).await?;
        rows.iter()
            .map(|row| {
                let webhook_id = row.get::<_, Option<Uuid>>(9).map(WebhookId);
                Ok(DeadLetter {
                    delivery_id: row.get(0),
                    target: webhook_id.map_or(Target::Mail, Target::Webhook),
                    event: order_event_from_row(row, 2)?,
                    attempts: to_u32(row.get(1)),
                    last_error: row.get(10),
                    end_time: row.get(11),
                })
            })
            .collect()
    }

    /// Makes dead letters due again, with all their tries before them: these, or, where
    /// none is named, the oldest, [`MAX_DEAD_LETTERS_RETRIED`] at most. Answers how many.
    pub async fn retry_dead_letters(
        &self,
        webhook_id: Option<WebhookId>,
        delivery_ids: &[i64],
    ) -> Result<usize, Error> {
        const SQL: &str = "-- retry_dead_letters
            UPDATE deliveries SET state = 'DUE', attempts = 0, next_time = now(), end_time = NULL
            WHERE delivery_id IN (
                SELECT delivery_id FROM deliveries
                WHERE state = 'DEAD' AND ($1::uuid IS NULL OR webhook_id = $1)
                    AND (cardinality($2::bigint[]) = 0 OR delivery_id = ANY($2))
                ORDER BY delivery_id LIMIT $3 FOR UPDATE)
            RETURNING delivery_id";
        let params: Params<'_> =
            &[&webhook_id.map(|id| id.0), &delivery_ids, &MAX_DEAD_LETTERS_RETRIED];
        Ok(self.query(SQL, params).await?.len())
    }

    /// Forgets deliveries that were made longer than [`DELIVERIES_KEPT`] ago. Dead
    /// letters are kept until somebody has them tried again.
    pub async fn forget_deliveries(&self) -> Result<(), Error> {
        const SQL: &str = "-- forget_deliveries
            DELETE FROM deliveries WHERE delivery_id IN (
                SELECT delivery_id FROM deliveries
                WHERE state = 'DONE' AND end_time < now() - $1 * interval '1 second'
                ORDER BY end_time LIMIT $2 FOR UPDATE SKIP LOCKED)";
        self.query(SQL, &[&DELIVERIES_KEPT.as_secs_f64(), &DELIVERIES_FORGOTTEN]).await?;
        Ok(())
    }

    /// How much is on its way.
    pub async fn count_deliveries(&self) -> Result<DeliveryCounts, Error> {
        const SQL: &str = "-- count_deliveries
            SELECT (SELECT count(*) FROM order_events WHERE sequence IS NULL),
                count(*) FILTER (WHERE state = 'DUE' AND webhook_id IS NULL),
                count(*) FILTER (WHERE state = 'DUE' AND webhook_id IS NOT NULL),
                count(*) FILTER (WHERE state = 'DEAD' AND webhook_id IS NULL),
                count(*) FILTER (WHERE state = 'DEAD' AND webhook_id IS NOT NULL)
            FROM (SELECT state, webhook_id FROM deliveries WHERE state = 'DUE'
                UNION ALL SELECT state, webhook_id FROM deliveries WHERE state = 'DEAD') d";
        let rows = self.query(SQL, &[]).await?;
        let row = &rows[0];
        Ok(DeliveryCounts {
            unpublished: row.get(0),
            mails_due: row.get(1),
            calls_due: row.get(2),
            mails_dead: row.get(3),
            calls_dead: row.get(4),
        })
    }
}

/// From `delivery_id, attempts`, and an order event's columns after them.
fn delivery_from_row(row: &Row, webhook: Option<Webhook>) -> Result<Delivery, Error> {
    Ok(Delivery {
        delivery_id: row.get(0),
        attempt: row.get(1),
        event: order_event_from_row(row, 2)?,
        webhook,
    })
}

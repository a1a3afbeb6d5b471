//! OrderEventService: decode, call one flow, encode.

use std::sync::Arc;

use futures_util::stream::{self, Empty};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    decode, encode,
    frames::{self, Body},
    page_token,
};
use crate::{
    flow::{Error, Flows},
    proto::{self, order_event_service_server::OrderEventService},
};

/// The service, and the sign to end its streams by.
pub struct OrderEvents {
    pub flows: Arc<Flows>,
    pub drain: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl OrderEventService for OrderEvents {
    type StreamOrderEventsStream = Empty<Result<proto::StreamOrderEventsResponse, Status>>;

    async fn stream_order_events(
        &self,
        request: Request<proto::StreamOrderEventsRequest>,
    ) -> Answer<Self::StreamOrderEventsStream> {
        let (after, wanted) = decode::stream_order_events(request.get_ref())?;
        let opened = self.flows.stream_order_events(after, wanted).await;
        let reader = opened.map_err(Error::of_a_read)?;
        // The transport asks for a message only when its client has room for one.
        let messages = stream::unfold(reader, async |mut reader| {
            let message = reader.next().await.map_err(|error| error.of_a_read().into());
            let message = message.map(|told| frames::framed(&encode::order_event_message(&told)));
            Some((message, reader))
        });
        Ok(Body::until(&self.drain, messages).into_response(stream::empty()))
    }

    async fn create_webhook(
        &self,
        request: Request<proto::CreateWebhookRequest>,
    ) -> Answer<proto::CreateWebhookResponse> {
        let request = decode::create_webhook(request.into_inner())?;
        let flows = self.flows.clone();
        let made = self.flows.carry_through(async move { flows.create_webhook(request).await });
        let (webhook, secret) = made.await?;
        let webhook = Some(encode::webhook(webhook));
        Ok(Response::new(proto::CreateWebhookResponse { webhook, secret }))
    }

    async fn list_webhooks(
        &self,
        _request: Request<proto::ListWebhooksRequest>,
    ) -> Answer<proto::ListWebhooksResponse> {
        let webhooks = self.flows.list_webhooks().await.map_err(Error::of_a_read)?;
        let webhooks = webhooks.into_iter().map(encode::webhook).collect();
        Ok(Response::new(proto::ListWebhooksResponse { webhooks }))
    }

    async fn delete_webhook(
        &self,
        request: Request<proto::DeleteWebhookRequest>,
    ) -> Answer<proto::DeleteWebhookResponse> {
        let webhook_id = decode::delete_webhook(request.get_ref())?;
        let flows = self.flows.clone();
        let done = self.flows.carry_through(async move { flows.delete_webhook(webhook_id).await });
        done.await?;
        Ok(Response::new(proto::DeleteWebhookResponse {}))
    }

    async fn replay_webhook(
        &self,
        request: Request<proto::ReplayWebhookRequest>,
    ) -> Answer<proto::ReplayWebhookResponse> {
        let (webhook_id, after) = decode::replay_webhook(request.get_ref())?;
        let flows = self.flows.clone();
        let replayed =
            self.flows.carry_through(async move { flows.replay_webhook(webhook_id, after).await });
        let replayed = replayed.await?;
        Ok(Response::new(proto::ReplayWebhookResponse {
            deliveries: i32::try_from(replayed.deliveries).unwrap_or(i32::MAX),
            sequence: replayed.to,
            more: !replayed.is_all,
        }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<proto::ListDeadLettersRequest>,
    ) -> Answer<proto::ListDeadLettersResponse> {
        let paging = decode::list_dead_letters(request.get_ref())?;
        let listed = self.flows.list_dead_letters(&paging).await;
        let (letters, next) = listed.map_err(Error::of_a_read)?;
        Ok(Response::new(proto::ListDeadLettersResponse {
            dead_letters: letters.iter().map(encode::dead_letter).collect(),
            next_page_token: next.map(page_token::encode_number).unwrap_or_default(),
        }))
    }

    async fn retry_dead_letters(
        &self,
        request: Request<proto::RetryDeadLettersRequest>,
    ) -> Answer<proto::RetryDeadLettersResponse> {
        let (webhook_id, ids) = decode::retry_dead_letters(request.into_inner())?;
        let flows = self.flows.clone();
        let retry = async move { flows.retry_dead_letters(webhook_id, &ids).await };
        let retried = self.flows.carry_through(retry).await?;
        let retried = i32::try_from(retried).unwrap_or(i32::MAX);
        Ok(Response::new(proto::RetryDeadLettersResponse { retried }))
    }
}

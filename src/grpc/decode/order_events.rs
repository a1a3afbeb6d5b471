//! The requests of OrderEventService.

use super::fields::Fields;
use crate::{
    domain::{OrderEventKind, Refusal, Wanted, WebhookId},
    flow::{CreateWebhookRequest, DeadLetterPaging, Flows},
    limits::{MAX_DEAD_LETTERS_AT_ONCE, MAX_PAGE_SIZE, MAX_WEBHOOK_URL_CHARS},
    proto,
};

/// After which number, and what is wanted.
pub fn stream_order_events(
    request: &proto::StreamOrderEventsRequest,
) -> Result<(Option<i64>, Wanted), Refusal> {
    let mut fields = Fields::default();
    let after = request.after_sequence;
    if after.is_some_and(i64::is_negative) {
        fields.bad("after_sequence", "must be 0 or more");
    }
    let wanted = wanted(&mut fields, &request.kinds, &request.event_id);
    fields.finish(|| Some((after, wanted?)))
}

pub fn create_webhook(
    request: proto::CreateWebhookRequest,
) -> Result<CreateWebhookRequest, Refusal> {
    let mut fields = Fields::default();
    let proto::CreateWebhookRequest { url, kinds, event_id } = request;
    if url.chars().count() > MAX_WEBHOOK_URL_CHARS || !Flows::is_webhook_url(&url) {
        let text = format!(
            "must be an http or https URL of at most {MAX_WEBHOOK_URL_CHARS} characters, \
             without user and password"
        );
        fields.bad("url", text);
    }
    let wanted = wanted(&mut fields, &kinds, &event_id);
    fields.finish(|| Some(CreateWebhookRequest { url, wanted: wanted? }))
}

pub fn delete_webhook(request: &proto::DeleteWebhookRequest) -> Result<WebhookId, Refusal> {
    let mut fields = Fields::default();
    let webhook_id = fields.parsed("webhook_id", &request.webhook_id);
    fields.finish(|| webhook_id)
}

/// Which webhook, and after which number.
pub fn replay_webhook(request: &proto::ReplayWebhookRequest) -> Result<(WebhookId, i64), Refusal> {
    let mut fields = Fields::default();
    let webhook_id = fields.parsed("webhook_id", &request.webhook_id);
    let after = request.after_sequence;
    if after < 0 {
        fields.bad("after_sequence", "must be 0 or more");
    }
    fields.finish(|| Some((webhook_id?, after)))
}

pub fn list_dead_letters(
    request: &proto::ListDeadLettersRequest,
) -> Result<DeadLetterPaging, Refusal> {
    let mut fields = Fields::default();
    let webhook_id = webhook_id_if_any(&mut fields, &request.webhook_id);
    let page_size = fields.page_size(request.page_size, MAX_PAGE_SIZE);
    let before = fields.page_before(&request.page_token);
    fields.finish(|| {
        Some(DeadLetterPaging { webhook_id: webhook_id?, page_size: page_size?, before })
    })
}

/// Of which webhook, if of one, and which ones.
pub fn retry_dead_letters(
    request: proto::RetryDeadLettersRequest,
) -> Result<(Option<WebhookId>, Vec<i64>), Refusal> {
    let mut fields = Fields::default();
    let webhook_id = webhook_id_if_any(&mut fields, &request.webhook_id);
    fields.count("dead_letter_ids", &request.dead_letter_ids, 0..=MAX_DEAD_LETTERS_AT_ONCE);
    fields.finish(|| Some((webhook_id?, request.dead_letter_ids)))
}

/// `None` where it is bad, `Some(None)` where it is not given.
#[expect(clippy::option_option, reason = "bad and not given differ")]
fn webhook_id_if_any(fields: &mut Fields, id: &str) -> Option<Option<WebhookId>> {
    if id.is_empty() { Some(None) } else { fields.parsed("webhook_id", id).map(Some) }
}

fn wanted(fields: &mut Fields, kinds: &[i32], event_id: &str) -> Option<Wanted> {
    let mut known = Vec::with_capacity(OrderEventKind::ALL.len());
    for (i, kind) in kinds.iter().enumerate() {
        let field = format!("kinds[{i}]");
        match proto::OrderEventKind::try_from(*kind).ok().and_then(kind_of) {
            None => fields.bad(field, "is no kind of order event"),
            Some(kind) if known.contains(&kind) => fields.bad(field, "is named twice"),
            Some(kind) => known.push(kind),
        }
    }
    let event_id = match event_id {
        "" => Some(None),
        event_id => fields.parsed("event_id", event_id).map(Some),
    };
    Some(Wanted { kinds: known, event_id: event_id? })
}

fn kind_of(kind: proto::OrderEventKind) -> Option<OrderEventKind> {
    use proto::OrderEventKind as Kind;
    Some(match kind {
        Kind::Unspecified => return None,
        Kind::HoldsExpired => OrderEventKind::HoldsExpired,
        Kind::OrderCreated => OrderEventKind::OrderCreated,
        Kind::OrderPaid => OrderEventKind::OrderPaid,
        Kind::OrderCancelled => OrderEventKind::OrderCancelled,
        Kind::OrderRefundDue => OrderEventKind::OrderRefundDue,
        Kind::OrderRefunded => OrderEventKind::OrderRefunded,
    })
}

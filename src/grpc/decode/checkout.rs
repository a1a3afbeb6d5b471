//! The requests of CheckoutService.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use super::fields::Fields;
use crate::{
    domain::{Buyer, OrderFilter, OrderId, OrderState, RefundRequest, Refusal},
    flow::{CancelOrderRequest, CreateOrderRequest},
    grpc::page_token,
    limits::{
        MAX_EMAIL_CHARS, MAX_LANGUAGE_CHARS, MAX_NAME_CHARS, MAX_ORDERS_PAGE, MAX_REASON_CHARS,
        MAX_UNITS_PER_HOLD, MAX_URL_CHARS,
    },
    proto,
};

/// Who asks: as long as an id, in any words.
const ACTOR_CHARS: RangeInclusive<usize> = 1..=MAX_NAME_CHARS;

pub fn create_order(request: proto::CreateOrderRequest) -> Result<CreateOrderRequest, Refusal> {
    let mut fields = Fields::default();
    let event_id = fields.parsed("event_id", &request.event_id);
    let hold_id = fields.parsed("hold_id", &request.hold_id);
    let holder_id = fields.parsed("holder_id", &request.holder_id);
    let buyer = request.buyer.map(|buyer| buyer_of(&mut fields, buyer));
    let return_url = match request.return_url.as_str() {
        "" => Some(None),
        url => web_url(&mut fields, "return_url", url).map(Some),
    };
    let client_ip = match request.client_ip.as_str() {
        "" => Some(None),
        ip => fields.parsed("client_ip", ip).map(Some),
    };
    fields.finish(|| {
        Some(CreateOrderRequest {
            event_id: event_id?,
            hold_id: hold_id?,
            holder_id: holder_id?,
            payment_provider: request.payment_provider,
            buyer: match buyer {
                None => None,
                Some(buyer) => Some(buyer?),
            },
            return_url: return_url?,
            client_ip: client_ip?,
        })
    })
}

fn buyer_of(fields: &mut Fields, buyer: proto::Buyer) -> Option<Buyer> {
    let name = fields.text("buyer.name", buyer.name, 0..=MAX_NAME_CHARS);
    let email = fields.text("buyer.email", buyer.email, 0..=MAX_EMAIL_CHARS)?;
    let has_address = email
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    let is_plain = email.is_ascii() && !email.contains(|c: char| " ,;<>()[]\\\"".contains(c));
    let is_good = email.is_empty() || (has_address && is_plain);
    if !is_good {
        fields.bad("buyer.email", "must be an address such as ann@example.com");
        return None;
    }
    let language = match buyer.language.is_empty() {
        true => "en".to_owned(),
        false => buyer.language,
    };
    let is_tag = (2..=MAX_LANGUAGE_CHARS).contains(&language.len())
        && language.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        });
    if !is_tag {
        fields.bad("buyer.language", "must be a BCP 47 tag such as vi or vi-VN");
    }
    is_tag.then_some(())?;
    Some(Buyer { name: name?, email, language })
}

/// A URL that a browser, or a server, can be sent to.
fn web_url(fields: &mut Fields, field: &str, url: &str) -> Option<String> {
    let is_good = url.len() <= MAX_URL_CHARS
        && url.bytes().all(|b| b.is_ascii_graphic())
        && url.parse::<http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        });
    if !is_good {
        let most = format!("must be an http or https URL of at most {MAX_URL_CHARS} characters");
        fields.bad(field, most);
    }
    is_good.then(|| url.to_owned())
}

pub fn get_order(request: &proto::GetOrderRequest) -> Result<OrderId, Refusal> {
    let mut fields = Fields::default();
    let order_id = fields.parsed("order_id", &request.order_id);
    fields.finish(|| order_id)
}

pub fn list_orders(request: &proto::ListOrdersRequest) -> Result<(OrderFilter, u32), Refusal> {
    let mut fields = Fields::default();
    if request.holder_id.is_empty() && request.event_id.is_empty() {
        fields.bad("holder_id", "must be given, or event_id");
    }
    let holder_id = match request.holder_id.as_str() {
        "" => Some(None),
        id => fields.parsed("holder_id", id).map(Some),
    };
    let event_id = match request.event_id.as_str() {
        "" => Some(None),
        id => fields.parsed("event_id", id).map(Some),
    };
    let mut states = Vec::new();
    for (i, &state) in request.states.iter().enumerate() {
        match order_state(state) {
            Some(state) => states.push(state),
            None => fields.bad(format!("states[{i}]"), "must be a state of an order"),
        }
    }
    let page_size = fields.page_size(request.page_size, MAX_ORDERS_PAGE);
    let before = page_token::decode_order(&request.page_token);
    if before.is_none() && !request.page_token.is_empty() {
        fields.bad("page_token", "is not the token of a page before");
    }
    fields.finish(|| {
        let (holder_id, event_id) = (holder_id?, event_id?);
        Some((OrderFilter { holder_id, event_id, states, before }, page_size?))
    })
}

fn order_state(state: i32) -> Option<OrderState> {
    match proto::OrderState::try_from(state) {
        Ok(proto::OrderState::Pending) => Some(OrderState::Pending),
        Ok(proto::OrderState::Paid) => Some(OrderState::Paid),
        Ok(proto::OrderState::Cancelled) => Some(OrderState::Cancelled),
        Ok(proto::OrderState::RefundDue) => Some(OrderState::RefundDue),
        Ok(proto::OrderState::Refunded) => Some(OrderState::Refunded),
        Ok(proto::OrderState::Unspecified) | Err(_) => None,
    }
}

pub fn cancel_order(request: proto::CancelOrderRequest) -> Result<CancelOrderRequest, Refusal> {
    let mut fields = Fields::default();
    let order_id = fields.parsed("order_id", &request.order_id);
    let actor = fields.text("actor", request.actor, ACTOR_CHARS);
    let reason = fields.text("reason", request.reason, 0..=MAX_REASON_CHARS);
    fields
        .finish(|| Some(CancelOrderRequest { order_id: order_id?, actor: actor?, reason: reason? }))
}

pub fn refund_order(request: proto::RefundOrderRequest) -> Result<RefundRequest, Refusal> {
    let mut fields = Fields::default();
    let order_id = fields.parsed("order_id", &request.order_id);
    let refund_id = fields.parsed("refund_id", &request.refund_id);
    fields.count("ticket_ids", &request.ticket_ids, 0..=MAX_UNITS_PER_HOLD as usize);
    let mut named = request.ticket_ids.clone();
    let ticket_ids = fields.ids("ticket_ids", &request.ticket_ids);
    let actor = fields.text("actor", request.actor, ACTOR_CHARS);
    let reason = fields.text("reason", request.reason, 0..=MAX_REASON_CHARS);
    // In whatever order they are named.
    named.sort_unstable();
    let content = format!("{} {named:?} {actor:?} {reason:?}", request.order_id);
    let fingerprint = hex::encode(&Sha256::digest(content)[..8]);
    fields.finish(|| {
        Some(RefundRequest {
            order_id: order_id?,
            refund_id: refund_id?,
            ticket_ids: ticket_ids?,
            actor: actor?,
            reason: reason?,
            fingerprint,
        })
    })
}

//! Page tokens: the last event, order or hold of the page before, opaque to callers.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{
    domain::{EventId, FoundAt, FoundBy, HoldId, OrderId, Search},
    flow::HoldsAfter,
};

/// The token of the page after an event.
pub fn encode((start_time, event_id): &(OffsetDateTime, EventId)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {event_id}", start_time.unix_timestamp_nanos()))
}

/// The event that a token names; `None` for what is no token of ours.
pub fn decode(token: &str) -> Option<(OffsetDateTime, EventId)> {
    parse_event(&String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?)
}

fn parse_event(text: &str) -> Option<(OffsetDateTime, EventId)> {
    let (nanos, event_id) = text.split_once(' ')?;
    let start_time = OffsetDateTime::from_unix_timestamp_nanos(nanos.parse().ok()?).ok()?;
    let in_range = (1..=9999).contains(&start_time.year());
    in_range.then_some((start_time, event_id.parse().ok()?))
}

/// The token of the page after an event that a search has found; of that search alone.
pub fn encode_found(at: &FoundAt, search: &Search) -> String {
    let by = match at.by {
        FoundBy::Words => 'w',
        FoundBy::Likeness => 'l',
    };
    let (of, nanos) = (mark(search), at.start_time.unix_timestamp_nanos());
    URL_SAFE_NO_PAD.encode(format!("{of} {by} {} {nanos} {}", at.score, at.event_id))
}

/// Where a token of this search leads; `None` for what is none.
pub fn decode_found(token: &str, search: &Search) -> Option<FoundAt> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(4, ' ');
    let of = parts.next()?;
    let by = match parts.next()? {
        "w" => FoundBy::Words,
        "l" => FoundBy::Likeness,
        _ => return None,
    };
    let score = parts.next()?.parse().ok()?;
    let (start_time, event_id) = parse_event(parts.next()?)?;
    (of == mark(search)).then_some(FoundAt { by, score, start_time, event_id })
}

/// Tells searches apart.
fn mark(search: &Search) -> String {
    hex::encode(&Sha256::digest(search.text())[..8])
}

/// The token of the page after an order.
pub fn encode_order(order_id: OrderId) -> String {
    URL_SAFE_NO_PAD.encode(order_id.0.as_bytes())
}

/// The order that a token names; `None` for what is no token of ours.
pub fn decode_order(token: &str) -> Option<OrderId> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    Some(OrderId(uuid::Uuid::from_slice(&bytes).ok()?))
}

/// The token of the page after a number.
pub fn encode_number(last: i64) -> String {
    URL_SAFE_NO_PAD.encode(last.to_string())
}

/// The number that a token names; `None` for what is no token of ours.
pub fn decode_number(token: &str) -> Option<i64> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?.parse().ok()
}

/// The token of the page after these open holds.
pub fn encode_holds(after: HoldsAfter) -> String {
    URL_SAFE_NO_PAD.encode(match after {
        HoldsAfter::Redis { due_ms, told } => format!("r {due_ms} {told}"),
        HoldsAfter::Journal(HoldId(hold_id)) => format!("j {hold_id}"),
    })
}

/// The open holds that a token names; `None` for what is no token of ours.
pub fn decode_holds(token: &str) -> Option<HoldsAfter> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    match text.split_once(' ')? {
        ("r", at) => {
            let (due_ms, told) = at.split_once(' ')?;
            Some(HoldsAfter::Redis { due_ms: due_ms.parse().ok()?, told: told.parse().ok()? })
        }
        ("j", hold_id) => Some(HoldsAfter::Journal(HoldId(hold_id.parse().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_survives_the_way_out_and_in() {
        let last = (OffsetDateTime::UNIX_EPOCH, "demo".parse().unwrap());
        assert_eq!(decode(&encode(&last)), Some(last.clone()));
        let search = |query| Search::new(query, "", None, None);
        let at = FoundAt { by: FoundBy::Likeness, score: 7, start_time: last.0, event_id: last.1 };
        let token = encode_found(&at, &search("a"));
        assert_eq!(decode_found(&token, &search("A ")), Some(at));
        assert_eq!(decode_found(&token, &search("b")), None);
        assert_eq!(decode_found("not a token", &search("a")), None);
        for after in
            [HoldsAfter::Redis { due_ms: 7, told: 2 }, HoldsAfter::Journal(HoldId(Uuid::max()))]
        {
            assert_eq!(decode_holds(&encode_holds(after)), Some(after));
        }
        assert_eq!(decode_holds(&encode_number(7)), None);
        assert_eq!(decode("not a token"), None);
        assert_eq!(decode(""), None);
        assert_eq!(decode(&URL_SAFE_NO_PAD.encode("-377705116800000000000 a")), None);
    }
}

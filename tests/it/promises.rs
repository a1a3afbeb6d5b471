//! What `proto/` promises in words is what is kept.

use std::{fs, path::Path};

use holdfast::limits as l;

#[test]
fn the_contract_promises_the_bounds_that_are_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = |name: &str| {
        let text = fs::read_to_string(root.join("proto/holdfast/v1").join(name)).unwrap();
        text.replace("\n  // ", " ").replace("\n// ", " ").replace(',', "")
    };
    let (event, catalog) = (proto("event.proto"), proto("catalog.proto"));
    let (reservation, errors) = (proto("reservation.proto"), proto("errors.proto"));
    let (told, presence) = (proto("order_event.proto"), proto("presence.proto"));
    let (waiting, operator) = (proto("waiting_list.proto"), proto("operator.proto"));
    let hours = l::MAX_HOLD_TIME.as_secs() / 3_600;
    for (text, promise) in [
        (&errors, format!("the first {}", l::MAX_VIOLATIONS)),
        (&event, format!("At most {} seats in {} sections", l::MAX_SEATS, l::MAX_SECTIONS)),
        (&event, format!("{} areas and {} price", l::MAX_AREAS, l::MAX_PRICE_CATEGORIES)),
        (&event, format!("at most {} rows", l::MAX_ROWS)),
        (&event, format!("1 to {} characters.", l::MAX_NAME_CHARS)),
        (&event, format!("At most {} characters.", l::MAX_CITY_CHARS)),
        (&event, format!("1 s to {hours} h and")),
        (&event, format!("{} s where not given or max", l::DEFAULT_HOLD_TTL.as_secs())),
        (&event, format!("{} s where not given", l::DEFAULT_MAX_HOLD_TIME.as_secs())),
        (
            &event,
            format!(
                "1 to {} {} where not given",
                l::MAX_UNITS_PER_HOLD,
                l::DEFAULT_MAX_UNITS_PER_HOLD
            ),
        ),
        (&event, format!("At most {}.", l::MAX_UNITS_PER_HOLDER)),
        (&event, format!("At most {}. A hold that is", l::MAX_HOLDS_PER_HOLDER)),
        (&event, format!("0 to {} units", l::MAX_PRICE_UNITS)),
        (&event, format!("1 to {} in the order", l::MAX_SEATS_PER_ROW)),
        (&event, format!("1 to {}. It can grow", l::MAX_AREA_CAPACITY)),
        (&catalog, format!("1 to {}; {} where not given", l::MAX_PAGE_SIZE, l::DEFAULT_PAGE_SIZE)),
        (&catalog, format!("at most {} characters of which", l::MAX_QUERY_CHARS)),
        (&catalog, format!("the first {} words", l::MAX_SEARCH_WORDS)),
        (&catalog, format!("1 to {} rows", l::MAX_ROWS)),
        (&catalog, format!("1 to {} areas", l::MAX_AREAS)),
        (&catalog, format!("1 to {} seats", l::MAX_SEATS_BLOCKED_AT_ONCE)),
        (&reservation, format!("At most {} units in all", l::MAX_UNITS_PER_HOLD)),
        (&reservation, format!("1 to {} printable", l::MAX_PAYMENT_REFERENCE_CHARS)),
        (&reservation, format!("at most {} in one message", l::FEED_SEATS_PER_MESSAGE)),
        (&reservation, format!("nothing changes for {} s", l::FEED_HEARTBEAT.as_secs())),
        (&reservation, format!("is reset after {} s", l::STREAM_STALLED.as_secs())),
        (&reservation, format!("room for {} streams", l::MAX_SUBSCRIBERS)),
        (&reservation, format!("has changed at most every {} s", l::PRESENCE_TOLD.as_secs())),
        (&presence, format!("is there for {} s", l::DEFAULT_PRESENCE_TTL_SECONDS)),
        (&presence, format!("has room for {} viewers", l::MAX_VIEWERS)),
        (&operator, format!("1 to {}; {}", l::MAX_OPERATOR_ACTIONS_PAGE, l::DEFAULT_PAGE_SIZE)),
        (&operator, format!("1 to {}; {}", l::MAX_OPEN_HOLDS_PAGE, l::DEFAULT_PAGE_SIZE)),
        (&waiting, format!("beyond {} entries of one", l::MAX_OPEN_ENTRIES_PER_HOLDER)),
        (&waiting, format!("beyond {} that wait", l::MAX_WAITING_PER_EVENT)),
        (&waiting, format!("has {} such streams", l::MAX_WAITING_LIST_STREAMS)),
        (&waiting, format!("at most {} s; so are", l::FIRST_PICK_KEPT.as_secs())),
        (&waiting, format!("after {} s without", l::FEED_HEARTBEAT.as_secs())),
        (&waiting, format!("for {} days after", l::WAITING_LIST_KEPT.as_secs() / 86_400)),
        (&told, format!("has {} such streams", l::MAX_ORDER_EVENT_STREAMS)),
        (&told, format!("at most {}.", l::MAX_WEBHOOKS)),
        (&errors, format!("are {} webhooks already", l::MAX_WEBHOOKS)),
        (&told, format!("of at most {} characters without", l::MAX_WEBHOOK_URL_CHARS)),
        (&told, format!("looks through {} numbers", l::MAX_REPLAYED)),
        (&told, format!("and after {} s without", l::FEED_HEARTBEAT.as_secs())),
        (&told, format!("1 to {}; {} where not given", l::MAX_PAGE_SIZE, l::DEFAULT_PAGE_SIZE)),
        (&told, format!("at most {}; those that are none", l::MAX_DEAD_LETTERS_AT_ONCE)),
        (&told, format!("the oldest {} of them", l::MAX_DEAD_LETTERS_RETRIED)),
    ] {
        assert!(text.contains(&promise), "nowhere promised: {promise}");
    }
}

//! Any text as a token: only what was made here is taken, and means what it was made of.
#![no_main]

use arbitrary::Arbitrary;
use holdfast::{
    domain::{Epoch, EventId, HolderId, Position},
    grpc::fuzz,
    queue::Key,
};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    text: &'a str,
    epoch: u64,
    seq: u64,
    /// Where a good token is changed, and to what.
    at: usize,
    to: char,
}

fuzz_target!(|input: Input<'_>| {
    let event_id: EventId = "event".parse().unwrap();
    let other: EventId = "other".parse().unwrap();
    let holder: HolderId = "ann".parse().unwrap();
    let position = Position { epoch: Epoch(input.epoch), seq: input.seq };

    // What somebody made up.
    if let Ok(read) = Position::from_token(input.text, &event_id) {
        assert!(Position::from_token(&read.token(&event_id), &event_id).is_ok());
        assert!(Position::from_token(input.text, &other).is_err());
    }
    fuzz::page_tokens(input.text);
    let key = Key::new(b"0123456789abcdef0123456789abcdef".to_vec()).unwrap();
    assert!(key.place(&event_id, input.text).is_none(), "forged: {:?}", input.text);
    assert!(key.admission(&event_id, &holder, input.text).is_none());

    // What was made here, and what somebody makes of that.
    let token = position.token(&event_id);
    assert_eq!(Position::from_token(&token, &event_id), Ok(position));
    let place = key.place_token(&event_id, &holder, input.seq);
    assert_eq!(key.place(&event_id, &place), Some((holder.clone(), input.seq)));
    assert!(key.place(&other, &place).is_none());
    let mut forged: Vec<char> = place.chars().collect();
    let at = input.at % forged.len();
    if forged[at] != input.to {
        forged[at] = input.to;
        let forged: String = forged.into_iter().collect();
        assert!(key.place(&event_id, &forged).is_none(), "{place} as {forged}");
    }
});

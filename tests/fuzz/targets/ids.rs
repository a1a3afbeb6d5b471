//! Any text as an id: taken as it is where it has the shape of one, and no other.
#![no_main]

use holdfast::domain::{
    AreaId, ChannelKey, EventId, HoldId, HolderId, PaymentReference, SeatId, ViewerId,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let is_id = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    macro_rules! chosen_by_callers {
        ($($id:ty),*) => {$(
            let parsed = text.parse::<$id>();
            assert_eq!(parsed.is_ok(), is_id, "{}: {text:?}", stringify!($id));
            if let Ok(id) = parsed {
                assert_eq!(id.to_string(), text);
            }
        )*};
    }
    chosen_by_callers!(EventId, HolderId, SeatId, AreaId, ChannelKey, ViewerId);

    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    let parsed = text.parse::<HoldId>();
    assert_eq!(parsed.is_ok(), is_uuid, "{text:?}");
    if let Ok(id) = parsed {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }

    if let Ok(reference) = text.parse::<PaymentReference>() {
        assert!((1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()));
        assert_eq!(reference.to_string(), text);
    }
});

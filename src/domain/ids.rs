//! One type for each kind of id, so that a seat cannot be passed for an area.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::{MAX_ID_CHARS, MAX_PAYMENT_REFERENCE_CHARS};

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("must be 1 to {MAX_ID_CHARS} characters of A-Z a-z 0-9 . _ : -")]
    Text,
    #[error("must be a UUID, 36 characters with hyphens")]
    Uuid,
    #[error("must be 1 to {MAX_PAYMENT_REFERENCE_CHARS} printable ASCII characters without spaces")]
    PaymentReference,
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident: $check:path, $error:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if $check(text) { Ok(Self(text.into())) } else { Err($error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    )*};
}

text_id! {
    /// An event, chosen by the caller or a UUIDv7 of the server's.
    EventId: is_id, IdError::Text;
    /// Whoever holds: a user, a session, a till.
    HolderId: is_id, IdError::Text;
    /// A seat, unique within its event.
    SeatId: is_id, IdError::Text;
    /// An area of general admission, unique within its event.
    AreaId: is_id, IdError::Text;
    /// A section, unique within its event.
    SectionId: is_id, IdError::Text;
    /// A row, unique within its section.
    RowId: is_id, IdError::Text;
    /// A price category, unique within its event.
    PriceCategoryId: is_id, IdError::Text;
    /// A channel, to which seats or shares of areas are kept.
    ChannelKey: is_id, IdError::Text;
    /// Whoever watches.
    ViewerId: is_id, IdError::Text;
    /// What the payment provider calls a payment.
    PaymentReference: is_payment_reference, IdError::PaymentReference;
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

fn is_payment_reference(text: &str) -> bool {
    (1..=MAX_PAYMENT_REFERENCE_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic())
}

impl EventId {
    /// A new id for an event whose caller chose none.
    pub fn new_v7() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "uuid::serde::simple")] pub Uuid);

        impl $name {
            /// A new id, later in order than all that this server made before.
            pub fn new_v7() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                // Not the other notations of a UUID: one id, one text.
                match Uuid::try_parse(text) {
                    Ok(id) if text.len() == 36 => Ok(Self(id)),
                    _ => Err(IdError::Uuid),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuid_id! {
    /// A hold, and the idempotency key that made it. Kept in Redis as its 32
    /// hexadecimal digits.
    HoldId;
    /// An order.
    OrderId;
    /// An attempt to pay; its 32 hexadecimal digits are what the provider calls it.
    PaymentId;
    /// Money to give back, and the idempotency key that asked for it.
    RefundId;
    /// A ticket.
    TicketId;
    /// A URL that is told of order events.
    WebhookId;
    /// A party on a waiting list, and the idempotency key that entered it.
    WaitingEntryId;
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("A-12", true)]
    #[case("stalls:B:7", true)]
    #[case("a.b_c", true)]
    #[case("", false)]
    #[case("A 12", false)]
    #[case("a{b}", false)]
    #[case("é", false)]
    #[case("a\n", false)]
    #[case(&"x".repeat(64), true)]
    #[case(&"x".repeat(65), false)]
    fn text_ids_take_the_contracts_characters(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<SeatId>().is_ok(), good);
    }

    #[rstest]
    #[case("pay_1~!/+=", true)]
    #[case("two words", false)]
    #[case("", false)]
    #[case(&"p".repeat(128), true)]
    #[case(&"p".repeat(129), false)]
    fn payment_references_are_printable(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<PaymentReference>().is_ok(), good);
    }
}

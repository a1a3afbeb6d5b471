//! Bounds of orders, payments and refunds.

use std::{ops::RangeInclusive, time::Duration};

/// Characters of a URL.
pub const MAX_URL_CHARS: usize = 1_000;
/// Characters of an e-mail address (RFC 5321, 4.5.3.1).
pub const MAX_EMAIL_CHARS: usize = 254;
/// Characters of a language tag.
pub const MAX_LANGUAGE_CHARS: usize = 35;
/// Characters of why somebody cancels, or gives back.
pub const MAX_REASON_CHARS: usize = 200;
/// Orders of one page.
pub const MAX_ORDERS_PAGE: u32 = 200;
/// Bytes of a payment provider's callback.
pub const MAX_CALLBACK_BYTES: usize = 16 * 1024;
/// How long whoever sees to an order whose time is up has it. A provider that has no
/// answer is asked again after it.
pub const ORDER_LEASE: Duration = Duration::from_secs(30);
/// Orders whose time is up that one claim takes, where nobody is to be asked.
pub const STALE_ORDERS_AT_ONCE: i64 = 500;
/// Likewise, where a provider is: so few that a run ends in time though each of them
/// hangs.
pub const STALE_ORDERS_ASKED_AT_ONCE: i64 = 32;
/// How long a run goes on to take more of these.
pub const STALE_ORDERS_ASKED_FOR: Duration = Duration::from_secs(5);
/// How long after its time an order still waits for a provider that has no answer.
pub const PAYMENT_ASKED_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Providers' answers that one server waits for at the same time.
pub const PROVIDER_CALLS_AT_ONCE: usize = 16;
/// How long whoever learned of a payment has it to settle it.
pub const SETTLE_LEASE: Duration = Duration::from_secs(15);
/// How long a payment may be on its way to its order before it counts as not settled:
/// whoever had it has failed, and so did the next.
pub const PAYMENT_SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// Payments that one claim takes to settle.
pub const PAYMENTS_SETTLED_AT_ONCE: i64 = 20;
/// Payments that nobody told of, which one run asks providers for.
pub const PAYMENTS_ASKED_AT_ONCE: i64 = 16;
/// The shortest and the longest wait between two times that a provider is asked for a
/// payment of an order that has ended; between them, half the payment's age.
pub const PAYMENT_ASK_WAIT: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(3_600);
/// How long the places of a late payment are held until it has paid for them.
pub const LATE_HOLD_TTL: Duration = Duration::from_secs(600);
/// How long whoever asks a provider to give money back has the refund.
pub const REFUND_LEASE: Duration = Duration::from_secs(60);
/// Refunds that one claim takes.
pub const REFUNDS_AT_ONCE: i64 = 16;
/// The first wait before a provider is asked again to give money back; it doubles.
pub const REFUND_FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest such wait.
pub const REFUND_LONGEST_WAIT: Duration = Duration::from_secs(3_600);

const _: () = assert!(PAYMENT_SETTLES_WITHIN.as_secs() >= 2 * SETTLE_LEASE.as_secs());

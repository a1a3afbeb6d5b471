//! Query texts, signatures and times, after VNPAY's documents.
//!
//! Nothing of it is shared with what it is to check: HMAC is written out (RFC 2104), the
//! encoding is that of Java's `URLEncoder`, which VNPAY's examples use.

use std::fmt::Write as _;

use sha2::{Digest, Sha512};
use time::OffsetDateTime;

const BLOCK_BYTES: usize = 128;
const SEVEN_HOURS: i64 = 7 * 3_600;

/// HMAC-SHA512 in hexadecimal digits.
pub fn hmac(secret: &str, text: &str) -> String {
    let mut key = [0; BLOCK_BYTES];
    let secret = secret.as_bytes();
    match secret.len() > BLOCK_BYTES {
        true => key[..64].copy_from_slice(&Sha512::digest(secret)),
        false => key[..secret.len()].copy_from_slice(secret),
    }
    let inner = Sha512::new().chain_update(key.map(|b| b ^ 0x36)).chain_update(text).finalize();
    let outer = Sha512::new().chain_update(key.map(|b| b ^ 0x5c)).chain_update(inner).finalize();
    outer.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The query text of parameters, sorted by name.
pub fn query(parameters: &[(String, String)]) -> String {
    let mut sorted = parameters.to_vec();
    sorted.sort();
    let pairs: Vec<String> =
        sorted.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// Parameters as a signed query text; `forged`: by another secret.
pub fn signed_query(secret: &str, parameters: &[(String, String)], forged: bool) -> String {
    let text = query(parameters);
    let signature = match forged {
        true => hmac("another secret", &text),
        false => hmac(secret, &text),
    };
    format!("{text}&vnp_SecureHash={signature}")
}

/// The parameters of a query text, if it is well-formed and signed; the signature is
/// left out.
pub fn verified(secret: &str, text: &str) -> Option<Vec<(String, String)>> {
    let mut parameters = decode_query(text)?;
    let at = parameters.iter().position(|(name, _)| name == "vnp_SecureHash")?;
    let (_, signature) = parameters.remove(at);
    (hmac(secret, &query(&parameters)) == signature.to_lowercase()).then_some(parameters)
}

/// `None` where it is malformed, or a name is there twice.
pub fn decode_query(text: &str) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (decode(name)?, decode(value)?);
        if found.iter().any(|(other, _)| *other == name) {
            return None;
        }
        found.push((name, value));
    }
    Some(found)
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// `yyyyMMddHHmmss` in Vietnam.
pub fn now() -> String {
    let there = OffsetDateTime::now_utc().unix_timestamp() + SEVEN_HOURS;
    let there = OffsetDateTime::from_unix_timestamp(there).expect("a time of today");
    let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    // 2026-12-31 and 23:59:59.0, as they are written.
    let clock = there.time();
    format!(
        "{}{:02}{:02}{:02}",
        digits(there.date().to_string()),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// Whether that is a time, in 14 digits. Two of them compare as texts.
pub fn is_time(text: &str) -> bool {
    let in_range = |at: usize, range: std::ops::RangeInclusive<u32>| {
        text.get(at..at + 2).and_then(|two| two.parse().ok()).is_some_and(|n| range.contains(&n))
    };
    text.len() == 14
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && in_range(4, 1..=12)
        && in_range(6, 1..=31)
        && in_range(8, 0..=23)
        && in_range(10, 0..=59)
        && in_range(12, 0..=59)
}

//! How VNPAY signs: HMAC-SHA512 of a text, in hexadecimal digits. Of a page's or a
//! callback's parameters, the text is the query by which they travel, sorted by
//! name; of a call to its API, the fields' values in a fixed order, joined by `|`.

use form_urlencoded::Serializer;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;

/// The secret that both sides share, ready for use.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha512>);

impl Signer {
    pub(super) fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).expect("a key of HMAC has any length"))
    }

    /// 128 hexadecimal digits, in lower case.
    pub(super) fn sign(&self, text: &str) -> String {
        hex::encode(self.mac(text).finalize().into_bytes())
    }

    /// Whether that is its signature, in either case; compared in constant time.
    pub(super) fn is_signature(&self, signature: &str, text: &str) -> bool {
        hex::decode(signature).is_ok_and(|bytes| self.mac(text).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, text: &str) -> Hmac<Sha512> {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        mac
    }
}

/// Parameters as the query text that is signed.
pub(super) fn query_text<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<_> = parameters.into_iter().collect();
    sorted.sort_unstable();
    Serializer::new(String::new()).extend_pairs(sorted).finish()
}

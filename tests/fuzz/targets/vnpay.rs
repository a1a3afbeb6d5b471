//! Any parameters as a callback of VNPAY: believed only with its signature, and then read
//! without a fault.
#![no_main]

use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use holdfast::payments::{Forged, Providers, VnpaySettings};
use libfuzzer_sys::fuzz_target;
use sha2::Sha512;

const SECRET: &str = "a-secret-of-the-test";
const SIGNATURE: &str = "vnp_SecureHash";

static PROVIDERS: LazyLock<Providers> = LazyLock::new(|| {
    let settings = VnpaySettings {
        tmn_code: "HOLDFAST".into(),
        hash_secret: SECRET.into(),
        pay_url: "https://pay.example/".into(),
        api_url: "https://api.example/".into(),
        public_url: "https://tickets.example".into(),
    };
    Providers::new(Some(&settings)).unwrap()
});

fuzz_target!(|query: &str| {
    let provider = PROVIDERS.get("vnpay").unwrap();
    let parse = |query: &str| -> Vec<(String, String)> {
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    };
    // As it comes.
    let parameters = parse(query);
    assert!(provider.verify(&parameters).is_err(), "believed: {query}");

    // Signed, as the documents of VNPAY say it is done: what is theirs, by name.
    let is_signed = |name: &str| name.starts_with("vnp_") && !name.starts_with(SIGNATURE);
    let mut signed: Vec<_> =
        parameters.into_iter().filter(|(name, _)| is_signed(name)).collect();
    signed.push(("vnp_TmnCode".to_owned(), "HOLDFAST".to_owned()));
    signed.sort();
    signed.dedup_by(|one, other| one.0 == other.0);
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&signed).finish();
    let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    signed.push((SIGNATURE.to_owned(), hex::encode(mac.finalize().into_bytes())));
    let verdict = provider.verify(&signed);
    assert!(!matches!(verdict, Err(Forged::Signature)), "not believed: {text}");

    // And changed afterwards.
    let Some(first) = signed.iter_mut().find(|(name, _)| name.starts_with("vnp_A")) else {
        return;
    };
    first.1.push('0');
    assert!(provider.verify(&signed).is_err(), "believed: {signed:?}");
});

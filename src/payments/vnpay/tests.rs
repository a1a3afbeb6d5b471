//! Expected signatures come from another implementation, Python's:
//! `hmac.new(SECRET, urlencode(sorted(parameters.items())).encode(), sha512)`.

use std::sync::LazyLock;

use proptest::prelude::*;
use rstest::rstest;
use time::macros::datetime;
use uuid::uuid;

use super::*;
use crate::{
    domain::{OrderId, PaymentState},
    payments::parameters,
};

const SECRET: &str = "a-secret-of-both-sides";
const PAID: &str = "vnp_Amount=125000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14422574&\
    vnp_CardType=ATM&vnp_OrderInfo=Thanh+toan+don+hang+01890a5dac96774bbcceb302099a8058&\
    vnp_PayDate=20270101063512&vnp_ResponseCode=00&vnp_TmnCode=HOLDFAST&\
    vnp_TransactionNo=14422574&vnp_TransactionStatus=00&\
    vnp_TxnRef=01890a5dac96774bbcceb302099a8057";
const PAID_SIGNATURE: &str = "02c86b4de00f0fc6d7e00fe05651fd43ec8279675f50ddd1d38dc6565208d037\
    b9a09472c4df07d8d156d66b68621e2029126ae92eba01b87df45dab63cfb838";

type Parameters = Vec<(String, String)>;

fn settings() -> Settings {
    Settings {
        tmn_code: "HOLDFAST".into(),
        hash_secret: SECRET.into(),
        pay_url: "https://sandbox.vnpayment.vn/paymentv2/vpcpay.html".into(),
        api_url: "https://sandbox.vnpayment.vn/merchant_webapi/api/transaction".into(),
        public_url: "https://tickets.example/".into(),
    }
}

/// Made once: it reads whom the system trusts.
fn vnpay() -> &'static Vnpay {
    static VNPAY: LazyLock<Vnpay> = LazyLock::new(|| Vnpay::new(&settings()).unwrap());
    &VNPAY
}

fn dong(dong: i64) -> Money {
    Money { currency: "VND".parse().unwrap(), micros: dong * 1_000_000 }
}

fn payment() -> Payment {
    Payment {
        payment_id: PaymentId(uuid!("01890a5d-ac96-774b-bcce-b302099a8057")),
        order_id: OrderId(uuid!("01890a5d-ac96-774b-bcce-b302099a8058")),
        provider: VNPAY.into(),
        amount: dong(1_250_000),
        state: PaymentState::Begun,
        provider_reference: None,
        // The last half hour of the year; in Vietnam it has begun.
        begin_time: datetime!(2026-12-31 23:30:00.999 UTC),
        pay_time: None,
        settlement: None,
    }
}

/// A callback's parameters, with some set anew or, where empty, taken out.
fn callback(changes: &[(&str, &str)]) -> Parameters {
    let mut fields: BTreeMap<String, String> = parameters(PAID).into_iter().collect();
    for &(name, value) in changes {
        match value {
            "" => fields.remove(name),
            value => fields.insert(name.to_owned(), value.to_owned()),
        };
    }
    signed(fields.into_iter().collect())
}

fn signed(mut parameters: Parameters) -> Parameters {
    let text = query_text(parameters.iter().map(|(name, value)| (&**name, &**value)));
    parameters.push((HASH.into(), Signer::new(SECRET).sign(&text)));
    parameters
}

#[test]
fn a_payment_url_is_signed_and_in_vietnams_time() {
    let payment = payment();
    let charge = Charge {
        payment: &payment,
        expire_time: datetime!(2026-12-31 23:45 UTC),
        client_ip: Some("2001:db8::7".parse().unwrap()),
        language: "vi-VN",
    };
    let expected = "https://sandbox.vnpayment.vn/paymentv2/vpcpay.html?\
        vnp_Amount=125000000&vnp_Command=pay&vnp_CreateDate=20270101063000&vnp_CurrCode=VND&\
        vnp_ExpireDate=20270101064500&vnp_IpAddr=2001%3Adb8%3A%3A7&vnp_Locale=vn&\
        vnp_OrderInfo=Thanh+toan+don+hang+01890a5dac96774bbcceb302099a8058&\
        vnp_OrderType=other&\
        vnp_ReturnUrl=https%3A%2F%2Ftickets.example%2Fpayments%2Fvnpay%2Freturn&\
        vnp_TmnCode=HOLDFAST&vnp_TxnRef=01890a5dac96774bbcceb302099a8057&vnp_Version=2.1.0&\
        vnp_SecureHash=e5d3906421074671e2bdec00677fb4a9b475a210c1f73316cb6403d01ccbeee6\
        ff38ed6fad150419893d19948e213cb57dcf83e6558e106e44d60d71767ce0f2";
    assert_eq!(vnpay().payment_url(&charge).unwrap(), expected);
    let elsewhere = Charge { language: "ko", client_ip: None, ..charge };
    let url = vnpay().payment_url(&elsewhere).unwrap();
    assert!(url.contains("vnp_Locale=en") && url.contains("vnp_IpAddr=127.0.0.1"), "{url}");
}

#[test]
fn a_signature_of_joined_fields_is_the_known_one() {
    let text = "r1|2.1.0|querydr|HOLDFAST|01890a5dac96774bbcceb302099a8057|20270101063000|\
        20270101064600|127.0.0.1|Query";
    let expected = "c4298587a0b4a06e1b6109b02d63a88f43f4179cde874cad8bc9fd4410ef50d3\
        b3e81cab7a5a31557124128e0f541e51b7c68699c8b5c55a4984eef131b66cec";
    assert_eq!(Signer::new(SECRET).sign(text), expected);
}

#[rstest]
#[case(PAID_SIGNATURE.to_owned())]
#[case(PAID_SIGNATURE.to_uppercase())]
fn a_callback_that_is_signed_is_believed(#[case] signature: String) {
    let mut told = parameters(PAID);
    told.push((HASH.into(), signature));
    // Neither is part of what is signed.
    told.push((HASH_TYPE.into(), "HMACSHA512".into()));
    told.push(("utm_source".into(), "mail".into()));
    let standing =
        Standing::Paid { amount: dong(1_250_000), reference: "14422574".parse().unwrap() };
    let expected = Notice { payment_id: Some(payment().payment_id), standing };
    assert_eq!(vnpay().verify(&told), Ok(expected));
}

#[rstest]
#[case("00", "00", "paid")]
#[case("00", "01", "open")]
#[case("07", "07", "open")]
#[case("00", "07", "open")]
#[case("24", "02", "24")]
#[case("00", "02", "02")]
#[case("00", "04", "04")]
#[case("99", "00", "99")]
fn both_codes_decide(#[case] code: &str, #[case] status: &str, #[case] expected: &str) {
    let told = callback(&[("vnp_ResponseCode", code), ("vnp_TransactionStatus", status)]);
    let standing = vnpay().verify(&told).unwrap().standing;
    let expected = match expected {
        "paid" => {
            Standing::Paid { amount: dong(1_250_000), reference: "14422574".parse().unwrap() }
        }
        "open" => Standing::Open,
        code => Standing::Failed { code: code.into() },
    };
    assert_eq!(standing, expected);
}

#[rstest]
#[case("vnp_TmnCode", "SOMEBODY")]
#[case("vnp_TmnCode", "")]
#[case("vnp_TxnRef", "")]
#[case("vnp_ResponseCode", "")]
#[case("vnp_TransactionStatus", "")]
#[case("vnp_TransactionNo", "")]
#[case("vnp_TransactionNo", "0")]
#[case("vnp_Amount", "")]
#[case("vnp_Amount", "-125000000")]
#[case("vnp_Amount", "+125000000")]
#[case("vnp_Amount", "1250000.00")]
#[case("vnp_Amount", "9999999999999999")]
fn what_is_signed_has_to_be_whole(#[case] name: &'static str, #[case] value: &str) {
    assert_eq!(vnpay().verify(&callback(&[(name, value)])), Err(Forged::Malformed(name)));
}

#[rstest]
#[case("01890A5DAC96774BBCCEB302099A8057")]
#[case("01890a5d-ac96-774b-bcce-b302099a8057")]
#[case("{01890a5dac96774bbcceb302099a8057}")]
#[case("5")]
fn a_payment_has_one_name(#[case] name: &str) {
    assert_eq!(vnpay().verify(&callback(&[("vnp_TxnRef", name)])).unwrap().payment_id, None);
}

#[test]
fn too_many_parameters_are_refused() {
    let many: Parameters =
        (0..=MAX_CALLBACK_PARAMETERS).map(|i| (format!("p{i}"), String::new())).collect();
    assert_eq!(vnpay().verify(&many), Err(Forged::Shape));
    assert_eq!(vnpay().verify(&parameters(PAID)), Err(Forged::Signature));
}

#[rstest]
#[case("VND", 5_000_000_000, true)]
#[case("VND", 4_999_000_000, false)]
#[case("VND", 999_999_999_000_000, true)]
#[case("VND", 1_000_000_000_000_000, false)]
#[case("VND", 5_000_500_000, false)]
#[case("EUR", 5_000_000_000, false)]
fn whole_dong_within_bounds_are_taken(
    #[case] currency: &str,
    #[case] micros: i64,
    #[case] is_taken: bool,
) {
    let amount = Money { currency: currency.parse().unwrap(), micros };
    assert_eq!(vnpay().refuses(amount).is_none(), is_taken);
}

#[rstest]
#[case(Settings { hash_secret: "".into(), ..settings() })]
#[case(Settings { tmn_code: String::new(), ..settings() })]
#[case(Settings { tmn_code: "TWO WORDS".into(), ..settings() })]
#[case(Settings { pay_url: "sandbox.vnpayment.vn".into(), ..settings() })]
#[case(Settings { api_url: "file:///etc/hosts".into(), ..settings() })]
#[case(Settings { public_url: String::new(), ..settings() })]
fn settings_that_cannot_work_are_refused(#[case] settings: Settings) {
    assert!(Vnpay::new(&settings).is_err());
}

#[test]
fn nobody_is_shown_the_secret() {
    assert!(!format!("{:?}", settings()).contains(SECRET));
}

#[rstest]
#[case(Answer::Settled, 200, r#"{"Message":"Confirm Success","RspCode":"00"}"#)]
#[case(Answer::Forged, 200, r#"{"Message":"Invalid signature","RspCode":"97"}"#)]
#[case(Answer::Later, 503, r#"{"Message":"Try again later","RspCode":"99"}"#)]
fn answers_are_as_vnpay_reads_them(
    #[case] answer: Answer,
    #[case] status: u16,
    #[case] body: &str,
) {
    let reply = vnpay().answer(answer);
    assert_eq!((reply.status, &*reply.body), (status, body));
}

/// What is on the way may be of any text.
fn any_fields() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("vnp_[A-Z][a-zA-Z]{0,8}", ".{0,12}", 0..12)
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_nothing_else(
        others in any_fields(),
        at in any::<prop::sample::Index>(),
        other in ".{0,12}",
        added in "vnp_x[a-z]{0,8}",
    ) {
        let vnpay = vnpay();
        let mut fields: BTreeMap<String, String> = others;
        fields.extend(parameters(PAID));
        let good = signed(fields.into_iter().collect());
        prop_assert!(vnpay.verify(&good).is_ok());
        // The order in which they come means nothing.
        let mut turned = good.clone();
        turned.rotate_left(at.index(good.len()));
        prop_assert!(vnpay.verify(&turned).is_ok());
        let forged = |parameters: Parameters| vnpay.verify(&parameters) == Err(Forged::Signature);
        // Changed.
        let mut changed = good.clone();
        let value = &mut changed[at.index(good.len())].1;
        if *value != other {
            *value = other.clone();
            prop_assert!(forged(changed));
        }
        // Removed.
        let mut removed = good.clone();
        removed.remove(at.index(good.len()));
        prop_assert!(forged(removed));
        // Added.
        let mut more = good.clone();
        more.push((added, other.clone()));
        prop_assert!(forged(more));
        // Named otherwise.
        let mut renamed = good.clone();
        renamed[at.index(good.len())].0.push('x');
        prop_assert!(forged(renamed));
        // Said twice.
        let mut twice = good;
        let (name, _) = twice[at.index(twice.len())].clone();
        twice.push((name, other));
        prop_assert_eq!(vnpay.verify(&twice), Err(Forged::Shape));
    }
}

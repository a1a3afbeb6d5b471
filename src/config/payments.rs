//! The flags of payment providers.

use std::{fs, io, path::PathBuf};

use clap::Args;
use secrecy::SecretString;

/// VNPAY's page for tests.
const VNPAY_SANDBOX_PAY_URL: &str = "https://sandbox.vnpayment.vn/paymentv2/vpcpay.html";
/// VNPAY's merchant API for tests.
const VNPAY_SANDBOX_API_URL: &str = "https://sandbox.vnpayment.vn/merchant_webapi/api/transaction";

/// Through whom orders are paid, beside `manual`.
#[derive(Debug, Clone, Args)]
pub struct Payments {
    /// Where browsers reach the HTTP port, such as `https://tickets.example`: buyers
    /// come back there after paying. The port itself, where not given.
    #[arg(long, env = "HOLDFAST_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// The merchant's terminal at VNPAY (vnp_TmnCode). With it, and a secret, orders
    /// can be paid by `vnpay`.
    #[arg(long, env = "HOLDFAST_VNPAY_TMN_CODE")]
    pub vnpay_tmn_code: Option<String>,
    /// The secret of that terminal (vnp_HashSecret).
    #[arg(
        long,
        env = "HOLDFAST_VNPAY_HASH_SECRET",
        hide_env_values = true,
        requires = "vnpay_tmn_code",
        conflicts_with = "vnpay_hash_secret_file"
    )]
    pub vnpay_hash_secret: Option<SecretString>,
    /// A file that has the secret of that terminal, and nothing else.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDFAST_VNPAY_HASH_SECRET_FILE",
        requires = "vnpay_tmn_code"
    )]
    pub vnpay_hash_secret_file: Option<PathBuf>,
    /// VNPAY's page where buyers pay; the sandbox's, where nothing else is said. The
    /// live one comes with the contract.
    #[arg(long, env = "HOLDFAST_VNPAY_PAY_URL", default_value = VNPAY_SANDBOX_PAY_URL)]
    pub vnpay_pay_url: String,
    /// VNPAY's merchant API, for queries and refunds; likewise.
    #[arg(long, env = "HOLDFAST_VNPAY_API_URL", default_value = VNPAY_SANDBOX_API_URL)]
    pub vnpay_api_url: String,
}

impl Default for Payments {
    /// `manual` alone.
    fn default() -> Self {
        Self {
            public_url: None,
            vnpay_tmn_code: None,
            vnpay_hash_secret: None,
            vnpay_hash_secret_file: None,
            vnpay_pay_url: VNPAY_SANDBOX_PAY_URL.to_owned(),
            vnpay_api_url: VNPAY_SANDBOX_API_URL.to_owned(),
        }
    }
}

impl Payments {
    /// The secret of VNPAY, from wherever it is; `None` where it is not set up.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn vnpay_secret(&self) -> io::Result<Option<SecretString>> {
        match &self.vnpay_hash_secret_file {
            None => Ok(self.vnpay_hash_secret.clone()),
            Some(file) => fs::read_to_string(file).map(|text| Some(text.trim_end().into())),
        }
    }
}

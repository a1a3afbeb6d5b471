//! An internal service takes the money, and says so by Confirm.

use async_trait::async_trait;

use super::{Answer, Charge, Error, Forged, Notice, Provider, Reply, Reversed, Standing};
use crate::domain::{Money, Payment, Refund};

/// Its name in the contract.
pub const MANUAL: &str = "manual";

pub(super) struct Manual;

#[async_trait]
impl Provider for Manual {
    fn name(&self) -> &'static str {
        MANUAL
    }

    fn has_page(&self) -> bool {
        false
    }

    fn refuses(&self, _: Money) -> Option<String> {
        None
    }

    fn payment_url(&self, _: &Charge<'_>) -> Option<String> {
        None
    }

    /// It never calls.
    fn verify(&self, _: &[(String, String)]) -> Result<Notice, Forged> {
        Err(Forged::Unheard)
    }

    fn answer(&self, _: Answer) -> Reply {
        Reply { status: 404, content_type: "text/plain", body: "no such callback\n".to_owned() }
    }

    /// Confirm alone tells.
    async fn query(&self, _: &Payment) -> Result<Standing, Error> {
        Ok(Standing::Unknown)
    }

    /// Whoever asks gives it back.
    async fn refund(&self, _: &Payment, _: &Refund, _: bool) -> Result<Reversed, Error> {
        Ok(Reversed { reference: None })
    }
}
